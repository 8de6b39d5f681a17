#include "cgi/environment.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "http/origin.hpp"
#include "http/syntax.hpp"

namespace gatehouse::cgi {
namespace {

using std::string_view_literals::operator""sv;

constexpr std::array kNeverSet{"HTTP_PROXY"sv,        "HTTP_AUTHORIZATION"sv,   "HTTP_CONTENT_LENGTH"sv,
                               "HTTP_CONTENT_TYPE"sv, "HTTP_REDIRECT_STATUS"sv, "PHP_VALUE"sv,
                               "PHP_ADMIN_VALUE"sv};

bool is_never_set(std::string_view name) {
  return name.starts_with("LD_") || std::ranges::find(kNeverSet, name) != kNeverSet.end();
}

// Each name once.
class Collection {
 public:
  void set(std::string name, std::string_view value) {
    const bool fits = !name.empty() && !name.contains('=') && !name.contains('\0') && !value.contains('\0');
    if (fits && !is_never_set(name)) values_.insert_or_assign(std::move(name), std::string(value));
  }
  void set_unless_empty(std::string name, std::string_view value) {
    if (!value.empty()) set(std::move(name), value);
  }
  // Adds a header of the client's; several fields of one variable become one list.
  void add_header(const http::Header& header) {
    const auto name = header_variable(header.name);
    const auto at = values_.find(name);
    if (at == values_.end()) return set(name, header.value);
    auto list = at->second;
    http::append_part(list, name == "HTTP_COOKIE" ? "; " : ", ", header.value);
    set(name, list);
  }

  [[nodiscard]] const std::map<std::string, std::string>& all() const { return values_; }

 private:
  std::map<std::string, std::string> values_;
};

// Read from environ: getenv is no better, and its thread-safety is the same (we never write the environment).
Collection inherited() {
  Collection variables;
  static constexpr std::array kInherited{"PATH"sv, "LANG"sv, "LC_ALL"sv, "TZ"sv};
  variables.set("PATH", "/usr/local/bin:/usr/bin:/bin");
  for (char** entry = environ; entry != nullptr && *entry != nullptr; std::advance(entry, 1)) {
    const std::string_view line(*entry);
    const auto equals = std::min(line.find('='), line.size());
    if (equals < line.size() && std::ranges::find(kInherited, line.substr(0, equals)) != kInherited.end()) {
      variables.set(std::string(line.substr(0, equals)), line.substr(equals + 1));
    }
  }
  return variables;
}

void add_client_headers(const http::Request& request, Collection& variables) {
  for (const auto& header : request.headers.fields()) {
    if (!http::equals_ignoring_case(header.name, "host")) variables.add_header(header);
  }
  variables.set_unless_empty("HTTP_HOST", request.host);
}

void add_connection(const http::Request& request, Collection& variables) {
  const bool is_secure = request.scheme == "https";
  const int default_port = is_secure ? 443 : 80;
  variables.set("GATEWAY_INTERFACE", "CGI/1.1");
  variables.set("SERVER_SOFTWARE", "Gatehouse");
  variables.set("SERVER_PROTOCOL", request.server_protocol);
  // A catch-all server block of nginx has no name; RFC 3875 section 4.1.14 wants one always.
  variables.set("SERVER_NAME",
                request.server_name.empty() ? http::host_without_port(request.host) : request.server_name);
  variables.set("SERVER_PORT", std::to_string(request.server_port == 0 ? default_port : int{request.server_port}));
  variables.set_unless_empty("SERVER_ADDR", request.server_addr);
  variables.set("REMOTE_ADDR", request.remote_addr);
  variables.set_unless_empty("REMOTE_PORT", request.remote_port);
  variables.set("REQUEST_SCHEME", request.scheme);
  if (is_secure) variables.set("HTTPS", "on");
  // php-cgi refuses to run without it.
  variables.set("REDIRECT_STATUS", "200");
}

// The prefix we are mounted below, decoded again as SCRIPT_NAME is.
std::string decoded_mount(const http::Request& request) {
  if (request.mount.empty()) return {};
  const auto path = http::Path::parse(request.mount);
  return path ? path->text() : request.mount;
}

void add_target(const http::Request& request, const Script& script, Collection& variables) {
  auto uri = request.mount + request.path.escaped();
  if (!request.query.empty()) uri += "?" + request.query;
  variables.set("REQUEST_METHOD", request.method);
  variables.set("REQUEST_URI", uri);
  variables.set("QUERY_STRING", request.query);
  variables.set_unless_empty("SCRIPT_FILENAME", script.filename);
  variables.set("SCRIPT_NAME", decoded_mount(request) + script.script_name);
  variables.set_unless_empty("PATH_INFO", script.path_info);
  if (script.root.empty()) return;
  variables.set("DOCUMENT_ROOT", script.root);
  if (!script.path_info.empty()) variables.set("PATH_TRANSLATED", script.root + script.path_info);
}

// A chunked body has a type and no length: the script reads to the end.
void add_body_description(const http::Request& request, Collection& variables) {
  variables.set_unless_empty("CONTENT_TYPE", request.content_type);
  if (request.content_length) variables.set("CONTENT_LENGTH", std::to_string(*request.content_length));
}

void add_identity(const Identity& identity, Collection& variables) {
  for (const auto& header : identity.headers) variables.set(header_variable(header.name), header.value);
  if (!identity.remote_user || identity.remote_user->empty()) return;
  variables.set("REMOTE_USER", *identity.remote_user);
  variables.set("AUTH_TYPE", "Gatehouse");
  variables.set("GATEHOUSE_USER_ID", identity.user_id);
  variables.set("GATEHOUSE_SESSION_STATE", identity.session_state);
}

Collection collect(Collection variables, const http::Request& request, const Script& script, const Identity& identity,
                   const std::map<std::string, std::string>& extra) {
  add_client_headers(request, variables);
  add_connection(request, variables);
  add_target(request, script, variables);
  add_body_description(request, variables);
  add_identity(identity, variables);
  for (const auto& [name, value] : extra) variables.set(name, value);
  return variables;
}

}  // namespace

// Cut at NUL, everything but letters and digits an underscore.
std::string header_variable(std::string_view header) {
  std::string name = "HTTP_";
  for (const char byte : header.substr(0, header.find('\0'))) {
    const bool is_lower = byte >= 'a' && byte <= 'z';
    const bool is_plain = (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9');
    if (is_lower) {
      name += static_cast<char>(byte - 'a' + 'A');
    } else {
      name += is_plain ? byte : '_';
    }
  }
  return name;
}

Variables script_variables(const http::Request& request, const Script& script, const Identity& identity,
                           const std::map<std::string, std::string>& extra) {
  const auto variables = collect({}, request, script, identity, extra);
  return {variables.all().begin(), variables.all().end()};
}

std::vector<std::string> script_environment(const http::Request& request, const Script& script,
                                            const Identity& identity, const std::map<std::string, std::string>& extra) {
  const auto variables = collect(inherited(), request, script, identity, extra);
  std::vector<std::string> lines;
  lines.reserve(variables.all().size());
  for (const auto& [name, value] : variables.all()) lines.emplace_back(name).append("=").append(value);
  return lines;
}

}  // namespace gatehouse::cgi
