#include "middleware/fcgx_context.hpp"

#include <fcgiapp.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <tuple>

namespace gatehouse::middleware {
namespace {

constexpr std::chrono::seconds kStall{10};
constexpr std::chrono::seconds kNoLimit{0};
constexpr int kResponder = 1;  // FastCGI 1.0 section 6.1; fastcgi.h's macros have the names of its fields
constexpr int kEnd = -1;       // EOF, without <cstdio>

// libfcgi waits for ever. The descriptor is the one private field that is looked at: there is no other way to it.
void limit_waiting(const FCGX_Request& request, std::chrono::seconds limit) {
  const timeval time{.tv_sec = limit.count(), .tv_usec = 0};
  for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO}) {
    std::ignore = ::setsockopt(request.ipcFd, SOL_SOCKET, option, &time, sizeof time);
  }
}

}  // namespace

FcgxContext::FcgxContext(FCGX_Request& request)
    : ProgramContext(FCGX_GetError(request.in) == 0 ? Environment(request.envp) : Environment()),
      request_(request),
      is_cut_off_(FCGX_GetError(request.in) != 0) {
  limit_waiting(request, kStall);
}

FcgxContext::~FcgxContext() {
  if (request_.in == nullptr) return;  // finished by the program
  if (is_cut_off_ || !has_answered()) {
    FCGX_Free(&request_, 1);
  } else if (is_read_to_its_end()) {
    limit_waiting(request_, kNoLimit);  // a kept connection may rest
    FCGX_Finish_r(&request_);
  } else {
    std::ignore = FCGX_FClose(request_.err);
    std::ignore = FCGX_FClose(request_.out);
    FCGX_Free(&request_, 1);
  }
}

// An authorizer's request has no body, and often no end of one: who waits for it waits for ever.
bool FcgxContext::is_read_to_its_end() {
  if (request_.role != kResponder || unread() != 0) return false;
  return FCGX_GetChar(request_.in) == kEnd && FCGX_GetError(request_.in) == 0;
}

// Byte by byte, because FCGX_GetStr waits until all of them are there, however slowly they come. They are buffered.
std::optional<std::size_t> FcgxContext::read_some(std::span<char> into, Deadline deadline) {
  if (is_cut_off_) return std::nullopt;
  std::size_t size = 0;
  while (size < into.size()) {
    if (std::chrono::steady_clock::now() >= deadline) return std::nullopt;
    const int byte = FCGX_GetChar(request_.in);
    if (byte == kEnd) break;
    into[size++] = static_cast<char>(byte);
  }
  if (FCGX_GetError(request_.in) != 0) return std::nullopt;
  return size;
}

void FcgxContext::write_answer(std::string_view bytes) {
  constexpr std::size_t kPiece = std::size_t{1} << 20U;  // FCGX_PutStr counts with int
  while (!is_cut_off_ && !bytes.empty()) {
    const std::string_view piece = bytes.substr(0, kPiece);
    if (FCGX_PutStr(piece.data(), static_cast<int>(piece.size()), request_.out) < 0) return;
    bytes.remove_prefix(piece.size());
  }
}

}  // namespace gatehouse::middleware
