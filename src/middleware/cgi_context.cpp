#include "middleware/cgi_context.hpp"

#include <poll.h>

#include <array>
#include <cerrno>

namespace gatehouse::middleware {
namespace {

// How long nothing may move before the other side is given up, and how much of an unread body is taken: as in Gatehouse
// itself.
constexpr std::chrono::seconds kStall{10};
constexpr std::uint64_t kDropBytes = std::uint64_t{64} * 1024 * 1024;

std::chrono::steady_clock::time_point stalled() {
  return std::chrono::steady_clock::now() + kStall;
}

// False past the deadline, or where there is nothing to wait for.
bool wait_for(short event, int descriptor, std::chrono::steady_clock::time_point deadline) {
  pollfd waited{.fd = descriptor, .events = event, .revents = 0};
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    if (left <= 0) return false;
    const int ready = ::poll(&waited, 1, static_cast<int>(left));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

}  // namespace

CgiContext::CgiContext(const char* const* environment, int input, int output)
    : ProgramContext(Environment(environment)), input_(input), output_(output) {}

std::optional<std::size_t> CgiContext::read_some(std::span<char> into, Deadline deadline) {
  while (wait_for(POLLIN, input_, deadline)) {
    const ssize_t got = ::read(input_, into.data(), into.size());
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EINTR && errno != EAGAIN) return std::nullopt;
  }
  return std::nullopt;
}

// Many servers write the whole body before they read a byte of the answer, or throw the answer away if they could not
// (mod_cgid, fcgiwrap): first the one, then the other.
void CgiContext::drop_rest_of_body() {
  std::array<char, 65'536> piece{};
  for (std::uint64_t dropped = 0; dropped < kDropBytes;) {
    const auto got = take_some(piece, stalled());
    if (!got || *got == 0) return;
    dropped += *got;
  }
}

void CgiContext::write_answer(std::string_view bytes) {
  drop_rest_of_body();
  while (!bytes.empty() && wait_for(POLLOUT, output_, stalled())) {
    const ssize_t written = ::write(output_, bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR && errno != EAGAIN) return;
    if (written > 0) bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace gatehouse::middleware
