#include "middleware/program_context.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

#include "http/cgi_head.hpp"

namespace gatehouse::middleware {
namespace {

constexpr std::chrono::seconds kBodyTime{10};

// RFC 9110 section 8.6: such an answer must not say how long its body is, and has none.
bool can_have_body(int status) {
  return status >= 200 && status != 204 && status != 304;
}

void complete(http::Response& response, const std::optional<std::string>& cookie) {
  http::Headers& headers = response.head.headers;
  if (cookie || !headers.has("Cache-Control")) headers.set("Cache-Control", "no-store");
  if (cookie) headers.add("Set-Cookie", *cookie);
  if (response.head.status == 503 && !headers.has("Retry-After")) headers.set("Retry-After", "5");
  if (!can_have_body(response.head.status)) {
    response.body.clear();
    headers.remove("Content-Length");
    return;
  }
  headers.set("Content-Length", std::to_string(response.body.size()));
  // RFC 3875 section 6.3.1 wants one, and a browser must not guess.
  if (!response.body.empty() && !headers.has("Content-Type")) headers.set("Content-Type", "text/plain; charset=utf-8");
}

}  // namespace

ProgramContext::ProgramContext(const Environment& environment)
    : environment_(environment),
      view_(read_request(environment)),
      has_readable_length_(body_length(environment).has_value()),
      unread_(body_length(environment).value_or(0)) {}

void ProgramContext::set_session_cookie(std::string line) {
  if (has_answered_) throw std::logic_error("the answer has been sent: it cannot carry a cookie any more");
  cookie_ = std::move(line);
}

std::string_view ProgramContext::variable(std::string_view name) const {
  return environment_.get(name).value_or("");
}

std::optional<std::size_t> ProgramContext::take_some(std::span<char> into, Deadline deadline) {
  const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), unread_));
  if (wanted == 0) return 0;
  const auto got = read_some(into.first(wanted), deadline);
  if (got && unread_ != kUnknownLength) unread_ -= *got;
  if (got == 0U && unread_ == kUnknownLength) unread_ = 0;
  return got;
}

std::expected<std::string, int> ProgramContext::take_body(std::size_t max_bytes) {
  if (!has_readable_length_) return std::unexpected(400);
  if (unread_ != kUnknownLength && unread_ > max_bytes) return std::unexpected(413);
  const Deadline deadline = std::chrono::steady_clock::now() + kBodyTime;
  std::string body;
  std::array<char, 8192> piece{};
  while (unread_ > 0) {
    const auto got = take_some(piece, deadline);
    if (!got) return std::unexpected(400);
    if (*got == 0) break;
    body.append(piece.data(), *got);
    if (body.size() > max_bytes) return std::unexpected(413);
  }
  if (unread_ != 0) return std::unexpected(400);
  return body;
}

std::expected<std::string, int> ProgramContext::read_body(std::size_t max_bytes) {
  if (!body_) body_ = take_body(max_bytes);
  return *body_;
}

std::expected<http::Form, int> ProgramContext::read_form() {
  if (!http::is_form_type(variable("CONTENT_TYPE"))) return http::Form();
  const auto body = read_body();
  if (!body) return std::unexpected(body.error());
  auto form = http::Form::parse(*body);
  if (!form) return std::unexpected(400);
  return std::move(*form);
}

std::expected<auth::LogoutForm, int> ProgramContext::read_logout_form() {
  const auto body = read_form();
  if (!body) return std::unexpected(body.error());
  const auto query = http::Form::parse(variable("QUERY_STRING"));
  if (!query) return std::unexpected(400);
  auto form = auth::read_logout_form(*body, *query, variable("HTTP_ACCEPT"));
  if (!form) return std::unexpected(400);
  return std::move(*form);
}

void ProgramContext::send(http::Response response) {
  if (has_answered_) throw std::logic_error("the answer has been sent already");
  has_answered_ = true;
  complete(response, cookie_);
  const http::ResponseHead& head = http::writable_head(response.head);
  std::string out;
  http::append_cgi_head(out, head);
  if (&head == &response.head && view_.method != "HEAD") out += response.body;
  write_answer(out);
}

}  // namespace gatehouse::middleware
