#include "httpd/answer_head.hpp"

#include <fmt/chrono.h>

namespace gatehouse::httpd {

namespace {

// Each answer of one second has the same.
const std::string& date_field(std::time_t now) {
  thread_local std::time_t made_at = -1;
  thread_local std::string date;
  if (now != made_at) {
    date = fmt::format("{:%a, %d %b %Y %H:%M:%S} GMT", fmt::gmtime(now));  // IMF-fixdate (RFC 9110 section 5.6.7)
    made_at = now;
  }
  return date;
}

// What is said of the connection is ours to say.
bool is_ours(std::string_view name) {
  return http::equals_ignoring_case(name, "connection") || http::equals_ignoring_case(name, "transfer-encoding") ||
         http::equals_ignoring_case(name, "keep-alive");
}

}  // namespace

bool has_no_body(int status, bool is_head_request) {
  return is_head_request || status < 200 || status == 204 || status == 304;
}

bool append_answer_head(std::string& out, const http::ResponseHead& head, const Framing& framing, std::time_t now) {
  const bool ends_by_itself = head.headers.has("content-length") || has_no_body(head.status, framing.is_head_request);
  const bool keeps = framing.keeps && ends_by_itself;
  out.append("HTTP/1.1 ").append(std::to_string(head.status)).append(" ");
  out.append(head.reason.empty() ? http::reason_phrase(head.status) : std::string_view{head.reason}).append("\r\n");
  for (const auto& [name, value] : head.headers.fields()) {
    if (!is_ours(name)) out.append(name).append(": ").append(value).append("\r\n");
  }
  if (!head.headers.has("date")) out.append("Date: ").append(date_field(now)).append("\r\n");
  if (!keeps) out.append("Connection: close\r\n");
  if (keeps && framing.is_http_1_0) out.append("Connection: keep-alive\r\n");
  out.append("\r\n");
  return keeps;
}

}  // namespace gatehouse::httpd
