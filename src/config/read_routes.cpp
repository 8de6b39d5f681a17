// Who may do what. Whatever could be taken for "any" by mistake is refused here.
#include <utility>

#include "config/read.hpp"
#include "config/values.hpp"
#include "http/headers.hpp"

namespace gatehouse::config {
namespace {

using policy::Access;
constexpr std::array<Word<Access>, 3> kAccess{
    {{"public", Access::public_}, {"authenticated", Access::authenticated}, {"deny", Access::deny}}};

Wrong check_pattern(const std::string& text) {
  const auto pattern = policy::PathPattern::parse(text);
  if (pattern) return std::nullopt;
  return in_quotes(text) + " is no pattern: " + pattern.error() +
         "; allowed: an absolute path, '*' within one segment, '**' as the last segment";
}

// Hosts are compared without case and port (route.hpp), so they are kept that way.
void normalise_hosts(std::vector<std::string>& hosts) {
  for (std::string& host : hosts) {
    const auto parts = split_host_port(host);
    if (parts) host = http::to_lower(parts->host);
  }
}

policy::Route read_route(Section& section) {
  policy::Route route;
  if (!section.is_map()) return route;
  std::string path;
  section.required_text("path", path, check_pattern, "a pattern such as /admin/**");
  if (auto pattern = policy::PathPattern::parse(path)) route.path = std::move(*pattern);
  section.some_texts("hosts", route.hosts, check_host);
  normalise_hosts(route.hosts);
  section.some_texts("methods", route.methods, check_method);
  section.required_choice("access", route.access, kAccess);
  section.some_texts_map("require", route.require, check_attribute);
  section.text("downstream", route.downstream, check_not_empty);
  section.refuse_unknown();
  return route;
}

}  // namespace

void read_routes(Section& root, std::vector<policy::Route>& routes) {
  for (Section& section : root.sections_of_list("routes")) routes.push_back(read_route(section));
}

}  // namespace gatehouse::config
