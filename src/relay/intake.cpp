#include "relay/intake.hpp"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <span>
#include <system_error>

namespace gatehouse::relay {

namespace {

constexpr std::size_t kPieceSize = 65'536;

cgi::RunOutcome not_read(net::StreamError error) {
  std::string reason = "the request's body: " + std::string(name(error));
  if (error == net::StreamError::closed) return cgi::BrokenOff{std::move(reason)};
  return cgi::Failed{400, std::move(reason)};
}

}  // namespace

net::Task<std::expected<std::uint64_t, cgi::RunOutcome>> take_in(net::Exchange& exchange, IntakeBounds bounds,
                                                                 net::Spool& body) {
  const std::uint64_t most = bounds.max_body == 0 ? UINT64_MAX : bounds.max_body;
  if (bounds.content_length.value_or(0) > most) {
    co_return std::unexpected(cgi::Failed{413, "the announced body is larger than max_body"});
  }
  const std::uint64_t wanted = bounds.content_length.value_or(UINT64_MAX);
  const auto buffer = wanted == 0 ? nullptr : std::make_unique_for_overwrite<char[]>(kPieceSize);
  std::uint64_t taken = 0;
  while (taken < wanted) {
    const auto room = static_cast<std::size_t>(std::min<std::uint64_t>(kPieceSize, wanted - taken));
    const std::span<char> into(buffer.get(), room);
    const net::Deadline deadline = net::after(bounds.visitor_stall);
    const net::IoResult<std::size_t> size = co_await exchange.read_body(into, deadline);
    if (!size) co_return std::unexpected(not_read(size.error()));
    if (*size == 0) break;
    taken += *size;
    if (taken > most) co_return std::unexpected(cgi::Failed{413, "the request's body is larger than max_body"});
    if (!body.put({buffer.get(), *size})) {
      co_return std::unexpected(
          cgi::Failed{503, "no room to keep the request's body: " + std::generic_category().message(errno)});
    }
  }
  const bool is_short = bounds.content_length && taken < wanted;
  if (is_short) co_return std::unexpected(cgi::Failed{400, "the request's body ended early"});
  co_return taken;
}

}  // namespace gatehouse::relay
