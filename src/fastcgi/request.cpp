// The two open ends of one FastCGI request: STDIN through a bounded window, STDOUT through the wire.
#include "fastcgi/request.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <cassert>
#include <utility>

#include "http/cgi_head.hpp"

namespace gatehouse::fastcgi {
namespace {

// What web servers send: nginx about 25 parameters, Apache 40.
constexpr std::size_t kUsualParams = 40;

}  // namespace

Request::Request(Wire& wire, Source& source, const ServerOptions& options, std::uint16_t id, Role role)
    : wire_(wire),
      source_(source),
      id_(id),
      role_(role),
      window_(options.stdin_window),
      pairs_(std::make_unique<PairDecoder>(PairLimits{.pair_bytes = options.max_pair_bytes,
                                                      .total_bytes = options.max_params_bytes,
                                                      .count = options.max_params})) {
  params_.reserve(kUsualParams);
}

Request::ParamsStep Request::take_params(std::string_view content) {
  NameValue pair;
  while (true) {
    switch (pairs_->next(content, pair)) {
      case PairDecoder::Step::pair: params_.emplace_back(pair.name, pair.value); break;
      case PairDecoder::Step::need_more: return ParamsStep::more;
      case PairDecoder::Step::too_large: return ParamsStep::too_large;
    }
  }
}

bool Request::end_params() {
  const bool is_whole = pairs_->at_boundary();
  pairs_.reset();
  return is_whole;
}

void Request::take_body(std::string_view content) {
  if (!wanted_.empty()) {
    const std::size_t count = std::min(wanted_.size(), content.size());
    content.copy(wanted_.data(), count);
    content.remove_prefix(count);
    given_ += count;
    wanted_ = wanted_.subspan(count);
    wake_reader();
  }
  if (content.empty()) return;
  if (body_read_ > 0 && body_.size() + content.size() > window_) {
    body_.erase(0, body_read_);
    body_read_ = 0;
  }
  body_.append(content);
}

void Request::end_body() {
  body_ended_ = true;
  wake_reader();
}

void Request::drop_body() {
  std::string{}.swap(body_);
  body_read_ = 0;
}

void Request::wake_reader() {
  if (read_timer_) read_timer_->cancel();
}

net::Task<net::IoResult<std::size_t>> Request::read_body(std::span<char> into, net::Deadline deadline) {
  assert(!into.empty());
  while (true) {
    if (!wire_.is_open()) co_return std::unexpected(wire_.failure());
    if (unread() > 0) co_return read_unread(into);
    if (body_ended_ || !has_body()) co_return std::size_t{0};
    if (std::chrono::steady_clock::now() >= deadline) co_return std::unexpected(net::StreamError::deadline);
    given_ = 0;
    wanted_ = into;
    co_await wait_for_body(deadline);
    wanted_ = {};
    if (given_ > 0 && wire_.is_open()) co_return given_;
  }
}

std::size_t Request::read_unread(std::span<char> into) {
  const std::size_t count = std::min(into.size(), unread());
  std::copy_n(body_.data() + body_read_, count, into.data());
  body_read_ += count;
  if (body_read_ == body_.size()) {
    body_.clear();
    body_read_ = 0;
  }
  // Not after every byte: a window that opens in small steps makes small reads.
  if (unread() <= window_ / 2) source_.resume_reading();
  return count;
}

net::Task<> Request::wait_for_body(net::Deadline deadline) {
  if (!read_timer_) read_timer_ = std::make_unique<net::Timer>(wire_.executor());
  read_timer_->expires_at(deadline);
  boost::system::error_code ignored;
  co_await read_timer_->async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

net::Task<net::IoResult<void>> Request::write_head(const http::ResponseHead& head, net::Deadline /*deadline*/) {
  assert(!head_written_);
  if (!wire_.is_open()) co_return std::unexpected(wire_.failure());
  head_written_ = true;
  std::string text;
  const http::ResponseHead& writable = http::writable_head(head);
  hides_body_ = &writable != &head;
  http::append_cgi_head(text, writable);
  append_stream(wire_.pending(), RecordType::stdout_stream, id_, text);
  wire_.flush_soon();
  co_return net::IoResult<void>{};
}

net::Task<net::IoResult<void>> Request::write_body(std::string_view bytes, net::Deadline deadline) {
  assert(head_written_);
  while (!bytes.empty() && !hides_body_) {
    if (!wire_.is_open()) co_return std::unexpected(wire_.failure());
    const std::string_view part = bytes.substr(0, kMaxAlignedContent);
    bytes.remove_prefix(part.size());
    if (wire_.has_room_for(part.size())) {
      append_stream(wire_.pending(), RecordType::stdout_stream, id_, part);
      wire_.flush_soon();
      continue;
    }
    const net::IoResult<void> sent = co_await wire_.send_record(RecordType::stdout_stream, id_, part, deadline);
    if (!sent) co_return sent;
  }
  co_return net::IoResult<void>{};
}

void Request::on_abort(std::function<void()> notice) {
  if (!visitor_is_gone_) {
    notice_ = std::move(notice);
  } else if (notice) {
    notice();
  }
}

void Request::end_waiting(net::StreamError why) {
  wake_reader();
  // Of a deadline of its own the handler learns by the result.
  if (why == net::StreamError::deadline) return;
  visitor_is_gone_ = true;
  const std::function<void()> notice = std::exchange(notice_, nullptr);
  if (notice) notice();
}

void Request::refuse(int status) {
  std::string text;
  const http::ResponseHead head{.status = status, .reason = {}, .headers = {{"Content-Type", "text/plain"}}};
  http::append_cgi_head(text, head);
  text.append(http::reason_phrase(status)).append("\n");
  append_stream(wire_.pending(), RecordType::stdout_stream, id_, text);
  append_end();
}

void Request::append_end() {
  append_stream_end(wire_.pending(), RecordType::stdout_stream, id_);
  append_end_request(wire_.pending(), id_, {.app_status = 0, .protocol_status = ProtocolStatus::request_complete});
}

}  // namespace gatehouse::fastcgi
