#include "cgi/answer.hpp"

#include <algorithm>
#include <cerrno>
#include <span>
#include <system_error>

#include "http/number.hpp"

namespace gatehouse::cgi {
namespace {

using net::Deadline;
using net::Task;

constexpr std::size_t kPieceSize = 65'536;
// So long a visitor is waited for before a file is made: a web server that buffers answers is seldom so slow.
constexpr std::chrono::milliseconds kPatience{50};

// RFC 9110 section 6.4.1.
bool has_no_body(int status) {
  return status == 204 || status == 304;
}

std::optional<std::uint64_t> announced_length(const http::ResponseHead& head) {
  const auto text = head.headers.get("Content-Length");
  if (has_no_body(head.status) || !text) return std::nullopt;
  return http::parse_number<std::uint64_t>(*text);
}

}  // namespace

// ---- In ----

Task<std::expected<void, Failed>> Answer::take(std::string_view bytes) {
  if (!has_head_) {
    const auto rest = take_head(bytes);
    if (!rest) co_return std::unexpected(rest.error());
    bytes = *rest;
  }
  bytes = body_of(bytes);
  if (!bytes.empty()) {
    auto kept = co_await keep(bytes);
    if (!kept) co_return std::move(kept);
  }
  co_await wait_for_room();
  co_return std::expected<void, Failed>{};
}

// Returns the bytes that belong to the body.
std::expected<std::string_view, Failed> Answer::take_head(std::string_view bytes) {
  auto step = parser_.feed(bytes);
  if (std::holds_alternative<ResponseParser::NeedMore>(step)) return std::string_view();
  if (const auto* malformed = std::get_if<ResponseParser::Malformed>(&step)) {
    return std::unexpected(Failed{502, "the header is malformed: " + malformed->reason});
  }
  auto complete = std::move(std::get<ResponseParser::Complete>(step));
  has_head_ = true;
  local_redirect_ = std::move(complete.local_redirect);
  if (local_redirect_) return std::string_view();
  if (on_head_) on_head_(complete.head);
  status_ = complete.head.status;
  if (!options_.without_body) body_left_ = announced_length(complete.head);
  unsent_head_ = std::move(complete.head);
  has_more_.notify();
  return complete.rest;
}

std::string_view Answer::body_of(std::string_view bytes) {
  if (body_left_) {
    bytes = bytes.substr(0, *body_left_);
    *body_left_ -= bytes.size();
  }
  const bool is_dropped = options_.without_body || has_no_body(status_) || local_redirect_ || is_stopped_;
  return is_dropped ? std::string_view() : bytes;
}

// Where the disk is full, the script waits until there is room in memory.
Task<std::expected<void, Failed>> Answer::keep(std::string_view bytes) {
  while (!kept_.put(bytes)) {
    if (!is_sending_ || unsent_ == 0) {
      co_return std::unexpected(Failed{503, "no room to keep the answer: " + std::generic_category().message(errno)});
    }
    const Deadline never = Deadline::max();
    co_await has_room_.wait(never);
    if (is_stopped_) co_return std::expected<void, Failed>{};
  }
  unsent_ += bytes.size();
  has_more_.notify();
  co_return std::expected<void, Failed>{};
}

bool Answer::is_whole() const {
  return has_head_ && (options_.without_body || has_no_body(status_) || body_left_ == 0U);
}

bool Answer::wants_more() const {
  return has_head_ && !is_whole() && !local_redirect_;
}

bool Answer::has_room() const {
  if (!is_sending_ || is_stopped_ || unsent_ == 0) return true;
  const std::uint64_t in_memory = std::min<std::uint64_t>(options_.most_kept, options_.in_memory);
  return unsent_ < (is_slow_ ? options_.most_kept : in_memory);
}

Task<> Answer::wait_for_room() {
  while (!has_room()) {
    const bool may_use_file = unsent_ < options_.most_kept;
    const Deadline patience = may_use_file ? net::after(kPatience) : Deadline::max();
    co_await has_room_.wait(patience);
    if (may_use_file && std::chrono::steady_clock::now() >= patience) is_slow_ = true;
  }
}

void Answer::end() {
  is_ended_ = true;
  has_more_.notify();
}

void Answer::stop() {
  is_stopped_ = true;
  has_room_.notify();
  end();
}

// ---- Out ----

Task<std::expected<void, Answer::NotSent>> Answer::send() {
  is_sending_ = true;
  const auto buffer = std::make_unique_for_overwrite<char[]>(kPieceSize);
  while (!is_stopped_) {
    net::IoResult<void> sent;
    if (unsent_head_) {
      sent = co_await send_head();
    } else if (unsent_ > 0) {
      sent = co_await send_piece({buffer.get(), kPieceSize});
    } else if (is_ended_) {
      break;
    } else {
      const Deadline never = Deadline::max();
      co_await has_more_.wait(never);
    }
    if (!sent) {
      co_return std::unexpected(
          NotSent{true, "the visitor did not take the answer: " + std::string(name(sent.error()))});
    }
    if (kept_.is_broken()) co_return std::unexpected(NotSent{false, "the kept answer cannot be read again"});
  }
  co_return std::expected<void, NotSent>{};
}

Task<net::IoResult<void>> Answer::send_head() {
  const http::ResponseHead head = std::move(*unsent_head_);
  unsent_head_.reset();
  const Deadline deadline = net::after(options_.visitor_stall);
  auto sent = co_await exchange_.write_head(head, deadline);
  co_return sent;
}

Task<net::IoResult<void>> Answer::send_piece(std::span<char> buffer) {
  const std::size_t size = kept_.take(buffer);
  if (size == 0) co_return net::IoResult<void>{};
  const Deadline deadline = net::after(options_.visitor_stall);
  auto sent = co_await exchange_.write_body({buffer.data(), size}, deadline);
  unsent_ -= size;
  if (unsent_ == 0) is_slow_ = false;
  has_room_.notify();
  co_return sent;
}

}  // namespace gatehouse::cgi
