#include "middleware/stderr_events.hpp"

#include <algorithm>
#include <cstdio>
#include <tuple>
#include <utility>

namespace gatehouse::middleware {
namespace {

std::string printable(std::string text) {
  const auto is_strange = [](char byte) { return byte < ' ' || byte > '~' || byte == '"'; };
  std::ranges::replace_if(text, is_strange, '?');
  return text;
}

}  // namespace

std::string event_line(const auth::Event& event) {
  std::string line = "gatehouse: " + std::string(auth::name(event.kind));
  const std::pair<const char*, const std::string*> fields[] = {{"request", &event.request_id},
                                                               {"user", &event.user_id},
                                                               {"session", &event.handle},
                                                               {"address", &event.address},
                                                               {"detail", &event.detail}};
  for (const auto& [name, value] : fields) {
    if (!value->empty()) line.append(" ").append(name).append("=\"").append(printable(*value)).append("\"");
  }
  return line;
}

void StderrEvents::report(const auth::Event& event) {
  std::ignore = std::fputs((event_line(event) + "\n").c_str(), stderr);
}

}  // namespace gatehouse::middleware
