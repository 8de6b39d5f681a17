#include "fastcgi/client.hpp"

#include <poll.h>
#include <unistd.h>

#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <cassert>

namespace gatehouse::fastcgi {

namespace {

using net::Task;

// Nothing may lie in an idle connection, not even its end.
bool is_silent(int fd) {
  pollfd state{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&state, 1, 0) == 0;
}

// Every coroutine of ours runs on a reactor of the server, or on that of a CGI process.
net::ReactorExecutor reactor_of(const asio::any_io_executor& executor) {
  const auto* reactor = executor.target<net::ReactorExecutor>();
  assert(reactor != nullptr);
  return *reactor;
}

}  // namespace

// ---- One request ----

ClientRequest::ClientRequest(const net::ReactorExecutor& reactor, int fd, bool keeps)
    : Wire(reactor, fd),
      keeps_(keeps),
      readable_(reactor),
      buffer_(std::make_unique_for_overwrite<char[]>(kBufferSize)) {}

Task<net::IoResult<void>> ClientRequest::begin(std::string_view params) {
  append_begin_request(pending(), kRequestId, {.role = 1, .flags = keeps_ ? kKeepConnection : std::uint8_t{0}});
  pending() += params;
  append_stream_end(pending(), RecordType::params, kRequestId);
  const net::Deadline never = net::Deadline::max();
  auto sent = co_await flush_all(never);
  co_return sent;
}

Task<net::IoResult<void>> ClientRequest::send_stdin(std::string_view bytes) {
  const net::Deadline never = net::Deadline::max();
  auto sent = co_await send_record(RecordType::stdin_stream, kRequestId, bytes, never);
  co_return sent;
}

Task<net::IoResult<void>> ClientRequest::end_stdin() {
  append_stream_end(pending(), RecordType::stdin_stream, kRequestId);
  const net::Deadline never = net::Deadline::max();
  auto sent = co_await flush_all(never);
  has_ended_in_ = sent.has_value();
  co_return sent;
}

Task<std::expected<Output, Broken>> ClientRequest::next() {
  for (;;) {
    RecordPiece piece;
    switch (decoder_.next(input_, piece)) {
      case RecordDecoder::Step::malformed: co_return std::unexpected(Broken{"a record that is none"});
      case RecordDecoder::Step::need_more: {
        auto received = co_await receive_more();
        if (!received) co_return std::unexpected(std::move(received.error()));
        break;
      }
      case RecordDecoder::Step::piece: {
        Output output;
        const auto is_output = accept(piece, output);
        if (!is_output) co_return std::unexpected(is_output.error());
        if (*is_output) co_return output;
        break;
      }
    }
  }
}

// Always through the reactor: an application that writes without pause shares the thread with everybody else.
Task<std::expected<void, Broken>> ClientRequest::receive_more() {
  ssize_t size = -1;
  while (size < 0 && is_open()) {
    wait_readable();
    const net::Deadline never = net::Deadline::max();
    co_await readable_.wait(never);
    if (is_open()) size = receive({buffer_.get(), kBufferSize});
  }
  if (size > 0) {
    input_ = {buffer_.get(), static_cast<std::size_t>(size)};
    co_return std::expected<void, Broken>{};
  }
  const bool is_between = decoder_.at_boundary();
  co_return std::unexpected(Broken{is_between ? "the connection was closed" : "a record was cut", is_between});
}

// Returns whether `output` is filled.
std::expected<bool, Broken> ClientRequest::accept(const RecordPiece& piece, Output& output) {
  const auto& header = piece.header;
  if (header.request_id != kRequestId) return std::unexpected(Broken{"a record that is not of this request"});
  switch (header.type) {
    case RecordType::stdout_stream:
      if (has_ended_out_) return std::unexpected(Broken{"STDOUT after its end"});
      has_ended_out_ = header.content_length == 0;
      output = {.kind = Output::Kind::out, .content = piece.content, .end = {}};
      return !piece.content.empty();
    case RecordType::stderr_stream:
      output = {.kind = Output::Kind::err, .content = piece.content, .end = {}};
      return !piece.content.empty();
    case RecordType::end_request:
      has_ended_ = true;
      output = {.kind = Output::Kind::end, .content = {}, .end = decode_end_request(piece.content)};
      return true;
    default: return std::unexpected(Broken{"a record of a type that no application sends"});
  }
}

void ClientRequest::abort() {
  if (!is_open()) return;
  // A record that is cut cannot be followed by another one.
  if (is_flushed()) {
    append_abort_request(pending(), kRequestId);
    flush();
  }
  close(net::StreamError::closed);
}

bool ClientRequest::may_be_kept() const {
  return keeps_ && is_open() && has_ended_ && has_ended_in_ && is_flushed() && input_.empty() && decoder_.at_boundary();
}

// ---- The connections ----

Client::~Client() {
  retire();
}

void Client::retire() {
  most_kept_ = 0;
  const std::scoped_lock lock(mutex_);
  for (const Idle& idle : kept_) ::close(idle.fd);
  kept_.clear();
}

Task<std::expected<std::shared_ptr<ClientRequest>, net::NotConnected>> Client::open(bool has_body,
                                                                                    net::Connecting& connecting,
                                                                                    net::Deadline deadline) {
  const auto executor = co_await asio::this_coro::executor;
  const bool may_be_kept = most_kept_ > 0 && !has_body;
  int fd = may_be_kept ? take_kept() : -1;
  if (fd < 0) {
    close_one_kept();
    auto connected = co_await connecting.connect(address_, deadline);
    if (!connected) co_return std::unexpected(std::move(connected.error()));
    fd = *connected;
  }
  co_return std::make_shared<ClientRequest>(reactor_of(executor), fd, may_be_kept);
}

bool Client::is_old(const Idle& idle) {
  return std::chrono::steady_clock::now() - idle.since >= kIdleTime;
}

int Client::take_kept() {
  const std::scoped_lock lock(mutex_);
  while (!kept_.empty()) {
    const Idle idle = kept_.back();
    kept_.pop_back();
    if (!is_old(idle) && is_silent(idle.fd)) return idle.fd;
    ::close(idle.fd);
  }
  return -1;
}

// An idle connection may occupy the very process that a new one waits for.
void Client::close_one_kept() {
  const std::scoped_lock lock(mutex_);
  if (kept_.empty()) return;
  ::close(kept_.front().fd);
  kept_.erase(kept_.begin());
}

void Client::close_idle() {
  const std::scoped_lock lock(mutex_);
  const auto end = std::ranges::find_if_not(kept_, is_old);
  std::for_each(kept_.begin(), end, [](const Idle& idle) { ::close(idle.fd); });
  kept_.erase(kept_.begin(), end);
}

void Client::done(ClientRequest& request) {
  if (!request.may_be_kept()) return request.close(net::StreamError::closed);
  const std::scoped_lock lock(mutex_);
  if (kept_.size() >= most_kept_) return request.close(net::StreamError::closed);
  kept_.push_back({request.release(), std::chrono::steady_clock::now()});
}

}  // namespace gatehouse::fastcgi
