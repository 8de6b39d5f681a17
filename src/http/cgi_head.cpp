// The head of an answer as lines of text, and the check that nothing in it can make a line of its own.
#include "http/cgi_head.hpp"

#include <algorithm>

#include "http/syntax.hpp"

namespace gatehouse::http {
namespace {

bool is_one_line(std::string_view text) {
  return text.find_first_of(std::string_view{"\r\n\0", 3}) == text.npos;
}

}  // namespace

bool is_writable(const ResponseHead& head) {
  const auto is_safe = [](const Header& field) { return is_token(field.name) && is_one_line(field.value); };
  return head.status >= 100 && head.status <= 999 && is_one_line(head.reason) &&
         std::ranges::all_of(head.headers.fields(), is_safe);
}

const ResponseHead& writable_head(const ResponseHead& head) {
  static const ResponseHead bare{.status = 500, .reason = {}, .headers = {{"Content-Length", "0"}}};
  return is_writable(head) ? head : bare;
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
