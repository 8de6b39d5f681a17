// The head of an answer as lines of text, and the check that nothing in it can make a line of its own.
#include "http/cgi_head.hpp"

#include <algorithm>

namespace gatehouse::http {
namespace {

bool is_one_line(std::string_view text) {
  return text.find_first_of(std::string_view{"\r\n\0", 3}) == text.npos;
}

bool is_token_char(char c) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || kMarks.contains(c);
}

bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, is_token_char);
}

}  // namespace

bool is_writable(const ResponseHead& head) {
  const auto is_safe = [](const Header& field) { return is_token(field.name) && is_one_line(field.value); };
  return head.status >= 100 && head.status <= 999 && is_one_line(head.reason) &&
         std::ranges::all_of(head.headers.fields(), is_safe);
}

void append_cgi_head(std::string& out, const ResponseHead& head) {
  out.append("Status: ").append(std::to_string(head.status)).append(" ");
  out.append(head.reason.empty() ? reason_phrase(head.status) : std::string_view{head.reason}).append("\r\n");
  for (const auto& [name, value] : head.headers.fields()) {
    if (equals_ignoring_case(name, "status")) continue;
    out.append(name).append(": ").append(value).append("\r\n");
  }
  out.append("\r\n");
}

}  // namespace gatehouse::http
