#include "cgi/door.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <cassert>
#include <vector>

#include "http/cgi_head.hpp"
#include "http/number.hpp"

namespace gatehouse::cgi {
namespace {

namespace asio = net::asio;
using net::Deadline;
using net::IoResult;
using net::StreamError;
using net::Task;

constexpr std::size_t kPieceSize = 65'536;
// How much of the body lies here before its reader asks for it; more only while the answer waits to be taken.
constexpr std::size_t kWindow = 4 * kPieceSize;
// How long an unread body may stand still, and how much of it is taken, before it is given up: as in the FastCGI door.
constexpr std::chrono::seconds kDrainStall{10};
constexpr std::uint64_t kDrainBytes = std::uint64_t{64} * 1024 * 1024;

}  // namespace

std::uint64_t body_length(const Variables& variables) {
  const auto text = last_value(variables, "CONTENT_LENGTH");
  if (text.empty()) return last_value(variables, "HTTP_TRANSFER_ENCODING").empty() ? 0 : UINT64_MAX;
  return http::parse_number<std::uint64_t>(text).value_or(0);
}

Door::Door(const asio::any_io_executor& executor, int input, int output, std::uint64_t body_length)
    : input_(executor, input),
      output_(executor, output),
      input_flags_(::fcntl(input, F_GETFL)),
      output_flags_(::fcntl(output, F_GETFL)),
      write_timer_(executor),
      reader_(executor, Deadline::max()),
      room_(executor, Deadline::max()),
      has_known_length_(body_length != UINT64_MAX),
      left_(body_length),
      has_ended_(body_length == 0) {
  asio::co_spawn(executor, watch_output(), asio::detached);
}

Door::~Door() {
  ::fcntl(input_.native_handle(), F_SETFL, input_flags_);
  if (output_.is_open()) ::fcntl(output_.native_handle(), F_SETFL, output_flags_);
}

// ---- The body ----

Task<IoResult<std::size_t>> Door::read_body(std::span<char> into, Deadline deadline) {
  assert(!into.empty());
  start_taking_in();
  while (true) {
    if (const std::size_t size = body_.take(into); size > 0) {
      kept_ -= size;
      room_.cancel();
      co_return size;
    }
    if (visitor_is_gone_ || body_.is_broken()) co_return std::unexpected(StreamError::closed);
    if (has_ended_) co_return std::size_t{0};
    if (std::chrono::steady_clock::now() >= deadline) co_return std::unexpected(StreamError::deadline);
    reader_.expires_at(deadline);
    boost::system::error_code ignored;
    co_await reader_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

void Door::start_taking_in() {
  if (is_taking_in_ || has_ended_) return;
  is_taking_in_ = true;
  asio::co_spawn(input_.get_executor(), take_in(), asio::detached);
}

Task<> Door::take_in() {
  std::vector<char> buffer(kPieceSize);
  boost::system::error_code error;
  while (left_ > 0 && !visitor_is_gone_) {
    if (must_wait()) {
      co_await room_.async_wait(asio::redirect_error(asio::use_awaitable, error));
      continue;
    }
    const auto room = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), left_));
    const auto piece = asio::buffer(buffer.data(), room);
    const std::size_t size = co_await input_.async_read_some(piece, asio::redirect_error(asio::use_awaitable, error));
    const bool is_end = size == 0 && error == asio::error::eof && !has_known_length_;
    if (is_end) break;
    if (size == 0 || !keep({buffer.data(), size})) {
      visitor_left();  // half a body must not pass for a whole one
      break;
    }
    left_ -= size;
    reader_.cancel();
  }
  has_ended_ = true;
  reader_.cancel();
}

// False if there is nowhere to put them.
bool Door::keep(std::string_view bytes) {
  if (is_dropping_) return true;
  kept_ += bytes.size();
  return body_.put(bytes);
}

bool Door::must_wait() const {
  return kept_ >= kWindow && !is_sending_ && !is_dropping_;
}

// ---- The answer ----

Task<IoResult<void>> Door::write_head(const http::ResponseHead& head, Deadline deadline) {
  assert(!head_written_);
  if (visitor_is_gone_) co_return std::unexpected(StreamError::closed);
  head_written_ = true;
  const http::ResponseHead& writable = http::writable_head(head);
  hides_body_ = &writable != &head;
  std::string text;
  http::append_cgi_head(text, writable);
  const IoResult<void> sent = co_await send(text, deadline);
  co_return sent;
}

Task<IoResult<void>> Door::write_body(std::string_view bytes, Deadline deadline) {
  assert(head_written_);
  if (hides_body_) co_return IoResult<void>{};
  const IoResult<void> sent = co_await send(bytes, deadline);
  co_return sent;
}

Task<IoResult<void>> Door::send(std::string_view bytes, Deadline deadline) {
  is_sending_ = true;
  start_taking_in();
  room_.cancel();
  while (!bytes.empty() && !visitor_is_gone_) {
    const std::size_t size = co_await write_some(bytes, deadline);
    if (size == 0 && std::chrono::steady_clock::now() >= deadline) break;
    bytes.remove_prefix(size);
  }
  is_sending_ = false;
  if (bytes.empty()) co_return IoResult<void>{};
  co_return std::unexpected(visitor_is_gone_ ? StreamError::closed : StreamError::deadline);
}

// Returns 0 if nothing could be written for now, or ever: then the visitor has gone.
Task<std::size_t> Door::write_some(std::string_view bytes, Deadline deadline) {
  write_timer_.expires_at(deadline);
  write_timer_.async_wait([this](const boost::system::error_code& cancelled) {
    boost::system::error_code ignored;
    if (!cancelled) output_.cancel(ignored);
  });
  const auto buffer = asio::buffer(bytes.data(), bytes.size());
  boost::system::error_code error;
  const std::size_t size = co_await output_.async_write_some(buffer, asio::redirect_error(asio::use_awaitable, error));
  write_timer_.cancel();
  if (error && error != asio::error::operation_aborted) visitor_left();
  co_return size;
}

// Cancelling a write cancels this wait too, so it begins again. What cannot be waited for (a file) has no other end
// that could go.
Task<> Door::watch_output() {
  boost::system::error_code error;
  do co_await output_.async_wait(Stream::wait_error, asio::redirect_error(asio::use_awaitable, error));
  while (error == asio::error::operation_aborted && output_.is_open());
  if (!error) visitor_left();
}

void Door::on_abort(std::function<void()> notice) {
  if (!visitor_is_gone_) {
    notice_ = std::move(notice);
  } else if (notice) {
    notice();
  }
}

void Door::visitor_left() {
  if (std::exchange(visitor_is_gone_, true)) return;
  boost::system::error_code ignored;
  input_.cancel(ignored);
  if (output_.is_open()) output_.cancel(ignored);
  reader_.cancel();
  room_.cancel();
  const std::function<void()> notice = std::exchange(notice_, nullptr);
  if (notice) notice();
}

// ---- The end ----

Task<bool> Door::finish() {
  const bool is_whole = head_written_ && !is_broken_off_ && !visitor_is_gone_;
  if (!is_whole) co_return false;
  end_answer();
  is_dropping_ = true;
  start_taking_in();
  room_.cancel();
  const std::uint64_t enough = left_ - std::min(left_, kDrainBytes);
  for (bool is_moving = true; is_moving && !has_ended_ && left_ > enough;) {
    const std::uint64_t before = left_;
    const Deadline stalled = net::after(kDrainStall);
    boost::system::error_code ignored;
    while (!has_ended_ && left_ == before && std::chrono::steady_clock::now() < stalled) {
      reader_.expires_at(stalled);
      co_await reader_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    is_moving = left_ < before;
  }
  co_return true;
}

// Input and output may be one socket: its other direction has to stay open, and as it is.
void Door::end_answer() {
  if (::shutdown(output_.native_handle(), SHUT_WR) == 0) return;
  ::fcntl(output_.native_handle(), F_SETFL, output_flags_);
  boost::system::error_code ignored;
  output_.close(ignored);
}

}  // namespace gatehouse::cgi
