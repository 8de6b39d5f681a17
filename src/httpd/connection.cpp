#include "httpd/connection.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <algorithm>
#include <array>
#include <cassert>
#include <utility>

#include "http/cgi_head.hpp"
#include "httpd/answer_head.hpp"

namespace gatehouse::httpd {

namespace {

namespace asio = net::asio;
using net::Deadline;
using net::IoResult;
using net::StreamError;
using net::Task;

// An answer of ours is small; a head and a body that fit leave together.
constexpr std::size_t kGatherLimit = std::size_t{16} * 1024;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

std::string address_text(int family, const void* address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  return ::inet_ntop(family, address, text.data(), text.size()) == nullptr ? "" : text.data();
}

Peer peer_of(int fd, bool is_tcp) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (!is_tcp) return {.is_unix = true, .address = {}, .port = {}};
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return {};
  if (storage.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
    return {false, address_text(AF_INET, &v4.sin_addr), std::to_string(ntohs(v4.sin_port))};
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
  return {false, address_text(AF_INET6, &v6.sin6_addr), std::to_string(ntohs(v6.sin6_port))};
}

}  // namespace

Connection::Connection(std::shared_ptr<const Service> service, net::Accepted accepted)
    : net::Connection(std::move(accepted.host), accepted.reactor),
      service_(std::move(service)),
      stream_(std::make_shared<Stream>(accepted.reactor.context, accepted.fd)),
      peer_(peer_of(accepted.fd, accepted.is_tcp)) {}

void Connection::begin() {
  asio::co_spawn(reactor().context, serve(shared_from_this()), asio::detached);
}

void Connection::close_if_idle() {
  if (is_idle_ && input_.empty() && !stream_->has_input()) close_now();
}

Task<> Connection::serve(std::shared_ptr<Connection> self) {
  while (true) {
    const bool keeps = co_await self->serve_request();
    if (!keeps || !self->reactor().keeps_idle) break;
  }
  self->close_now();
}

// Returns whether another request may follow.
Task<bool> Connection::serve_request() {
  parser_.emplace(ParserLimits{service_->options.max_head_bytes, service_->options.max_fields});
  body_.clear();
  body_read_ = 0;
  head_written_ = hides_body_ = is_broken_off_ = false;
  const auto has_head = co_await read_head();
  if (!has_head && has_head.error().status == 0) co_return false;
  enter_busy();
  keeps_ = has_head && parser_->keeps();
  awaits_continue_ = parser_->expects_continue();
  std::optional<ParseProblem> problem;
  if (!has_head) problem = has_head.error();
  const bool is_answered = co_await answer(problem);
  leave_busy();
  note_use();
  if (!is_answered) {
    stream_->close_abruptly();
    co_return false;
  }
  // The peer may send the body now or not: nobody knows where the next request begins.
  if (awaits_continue_) keeps_ = false;
  if (keeps_) keeps_ = co_await drop_body();
  if (!keeps_) co_await linger();
  co_return keeps_;
}

// ---- Reading ----

// Status 0 if there is nobody to answer.
Task<std::expected<void, ParseProblem>> Connection::read_head() {
  is_idle_ = true;
  Deadline deadline = net::after(service_->options.idle_time);
  while (true) {
    if (!input_.empty() && std::exchange(is_idle_, false)) deadline = net::after(service_->options.header_time);
    const auto taken = parser_->take_head(input_);
    if (!taken) co_return std::unexpected(taken.error());
    if (*taken > 0) {
      input_.erase(0, *taken);
      co_return std::expected<void, ParseProblem>{};
    }
    const auto received = co_await receive(deadline);
    if (!received) co_return std::unexpected(ParseProblem{0, name(received.error())});
  }
}

Task<IoResult<void>> Connection::receive(Deadline deadline) {
  const std::span<char> scratch(reactor().scratch.get(), net::Reactor::kScratchSize);
  return stream_->receive(input_, scratch, deadline);
}

// Makes `body_` longer, or finds its end. Fails: closed, deadline, malformed.
Task<IoResult<void>> Connection::receive_body(Deadline deadline) {
  while (!parser_->is_done()) {
    const std::size_t before = body_.size();
    const auto taken = parser_->take_body(std::string_view(input_).substr(input_read_), body_);
    if (!taken) co_return std::unexpected(StreamError::malformed);
    input_read_ += *taken;
    if (body_.size() > before) break;
    if (*taken > 0) continue;
    input_.erase(0, std::exchange(input_read_, 0));
    const auto received = co_await receive(deadline);
    if (!received) co_return received;
  }
  if (parser_->is_done()) input_.erase(0, std::exchange(input_read_, 0));
  co_return IoResult<void>{};
}

Task<IoResult<std::size_t>> Connection::read_body(std::span<char> into, Deadline deadline) {
  assert(!into.empty());
  if (awaits_continue_ && input_.empty()) {
    const auto sent = co_await stream_->send(kContinue, deadline);
    if (!sent) co_return std::unexpected(sent.error());
  }
  awaits_continue_ = false;
  if (body_read_ == body_.size()) {
    body_.clear();
    body_read_ = 0;
    const auto received = co_await receive_body(deadline);
    if (!received) {
      keeps_ = false;
      co_return std::unexpected(received.error());
    }
  }
  const std::size_t count = body_.copy(into.data(), into.size(), body_read_);
  body_read_ += count;
  co_return count;
}

// What nobody has read is dropped as long as it moves, but not for ever. Returns whether its end was found.
Task<bool> Connection::drop_body() {
  const Deadline end = net::after(service_->options.write_time);
  std::size_t dropped = 0;
  while (!parser_->is_done() && dropped < service_->options.drain_bytes && !reactor().is_draining) {
    body_.clear();
    const Deadline stalled = std::min(end, net::after(service_->options.drain_time));
    const auto received = co_await receive_body(stalled);
    if (!received) co_return false;
    dropped += body_.size();
  }
  co_return parser_->is_done();
}

// Closing under the hands of a peer that still sends would take the answer away from it.
Task<> Connection::linger() {
  stream_->shut_down_sending();
  const Deadline end = net::after(service_->options.drain_time);
  std::size_t dropped = 0;
  while (dropped < service_->options.drain_bytes) {
    dropped += input_.size();
    input_.clear();
    const auto received = co_await receive(end);
    if (!received) co_return;
  }
}

// ---- Answering ----

// Returns whether a whole answer was sent.
Task<bool> Connection::answer(std::optional<ParseProblem> problem) {
  bool has_returned = false;
  try {
    if (problem) {
      Task<> work = service_->refuser(*this, *problem);
      co_await std::move(work);
    } else {
      Task<> work = service_->handler(*this);
      co_await std::move(work);
    }
    has_returned = true;
  } catch (...) {
    has_returned = false;  // the request loop: one broken request must not end the others
  }
  if (!has_returned || !head_written_ || is_broken_off_) co_return false;
  const auto sent = co_await flush(net::after(service_->options.write_time));
  co_return sent.has_value();
}

Task<IoResult<void>> Connection::write_head(const http::ResponseHead& head, Deadline) {
  assert(!head_written_);
  if (!stream_->is_open()) co_return std::unexpected(StreamError::closed);
  head_written_ = true;
  const http::ResponseHead& writable = http::writable_head(head);
  const bool is_head_request = parser_->head().method == "HEAD";
  const Framing framing{.is_head_request = is_head_request,
                        .is_http_1_0 = parser_->head().is_http_1_0,
                        .keeps = keeps_ && !awaits_continue_ && !reactor().is_draining};
  hides_body_ = &writable != &head || has_no_body(head.status, is_head_request);
  keeps_ = append_answer_head(output_, writable, framing, std::time(nullptr));
  co_return IoResult<void>{};
}

Task<IoResult<void>> Connection::write_body(std::string_view bytes, Deadline deadline) {
  assert(head_written_);
  if (hides_body_) co_return IoResult<void>{};
  if (output_.size() + bytes.size() <= kGatherLimit) {
    output_ += bytes;
    co_return IoResult<void>{};
  }
  const auto flushed = co_await flush(deadline);
  if (!flushed) co_return flushed;
  const auto sent = co_await stream_->send(bytes, deadline);
  co_return sent;
}

Task<IoResult<void>> Connection::flush(Deadline deadline) {
  const auto sent = co_await stream_->send(output_, deadline);
  output_.clear();
  co_return sent;
}

net::ConnectionFactory connections(Handler handler, Refuser refuser, const ServerOptions& options) {
  const auto service = std::make_shared<const Service>(std::move(handler), std::move(refuser), options);
  return [service](net::Accepted accepted) { return std::make_shared<Connection>(service, std::move(accepted)); };
}

}  // namespace gatehouse::httpd
