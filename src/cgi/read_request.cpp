#include "cgi/read_request.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <ranges>

#include "http/negotiation.hpp"
#include "http/number.hpp"
#include "http/origin.hpp"
#include "http/syntax.hpp"

namespace gatehouse::cgi {
namespace {

using std::string_view_literals::operator""sv;

template <std::size_t N>
bool is_one_of(std::string_view name, const std::array<std::string_view, N>& names) {
  return std::ranges::find(names, name) != names.end();
}

bool is_digit(char byte) {
  return byte >= '0' && byte <= '9';
}

bool is_upper(char byte) {
  return byte >= 'A' && byte <= 'Z';
}

// A name that every language reads as we do: PHP makes '_' of '.', ' ' and '[' and cuts at NUL, so that "REMOTE.USER"
// would come out as REMOTE_USER there.
bool is_plain_name(std::string_view name) {
  const auto is_plain = [](char byte) { return is_upper(byte) || is_digit(byte) || byte == '_'; };
  return !name.empty() && std::ranges::all_of(name, is_plain);
}

enum class Doubling {
  ignored,      // not a name that we read, or one that is never believed
  last_counts,  // the front server's word after the client's: php-fpm's rule
  cookies,      // RFC 6265 section 5.4: one list
  must_agree,   // what decisions hang on: two answers are none
  list,         // RFC 9110 section 5.3
};

constexpr std::array kRead{"REQUEST_METHOD"sv,
                           "REQUEST_URI"sv,
                           "QUERY_STRING"sv,
                           "SCRIPT_NAME"sv,
                           "PATH_INFO"sv,
                           "REQUEST_SCHEME"sv,
                           "HTTPS"sv,
                           "SERVER_NAME"sv,
                           "SERVER_ADDR"sv,
                           "SERVER_PORT"sv,
                           "REMOTE_ADDR"sv,
                           "CONTENT_TYPE"sv,
                           "REMOTE_PORT"sv,
                           "SERVER_PROTOCOL"sv,
                           "CONTENT_LENGTH"sv,
                           "REDIRECT_URI"sv,
                           "REDIRECT_STATUS"sv,
                           "REDIRECT_REQUEST_METHOD"sv,
                           "MATCH_GATEHOUSE_PATH"sv};

// HTTP_PROXY would be a program's outgoing proxy; an Authorization header that we did not check would pass for one
// that we did; the HTTP_ twins of CONTENT_* may differ from what the front server framed the body by.
constexpr std::array kNeverBelieved{"HTTP_"sv, "HTTP_PROXY"sv, "HTTP_AUTHORIZATION"sv, "HTTP_CONTENT_LENGTH"sv,
                                    "HTTP_CONTENT_TYPE"sv};

Doubling doubling_of(std::string_view name) {
  if (is_one_of(name, kNeverBelieved)) return Doubling::ignored;
  if (name.starts_with("GATEHOUSE_") || name == "HTTP_ORIGIN" || name.starts_with("HTTP_SEC_FETCH_")) {
    return Doubling::must_agree;
  }
  if (name == "HTTP_COOKIE") return Doubling::cookies;
  if (name == "HTTP_HOST" || is_one_of(name, kRead)) return Doubling::last_counts;
  return name.starts_with("HTTP_") ? Doubling::list : Doubling::ignored;
}

// The variables that count, each name once.
class MetaVariables {
 public:
  struct Entry {
    std::string_view name;
    std::string_view value;
    std::string* list = nullptr;  // what `value` is a view of, where it did not come in one piece
  };

  // The variables must outlive it: it holds views of them. Fails with the reason.
  static std::expected<MetaVariables, std::string> of(const Variables& variables) {
    MetaVariables all;
    all.entries_.reserve(variables.size());
    for (const auto& [name, value] : variables) {
      if (!is_plain_name(name)) continue;
      const auto doubling = doubling_of(name);
      if (doubling == Doubling::ignored) continue;
      if (http::has_control_byte(value)) return std::unexpected(short_name(name) + " has a control byte");
      if (!all.take(name, value, doubling)) return std::unexpected(short_name(name) + " is there twice and differs");
    }
    return all;
  }

  [[nodiscard]] bool has(std::string_view name) const { return find(name) != nullptr; }
  [[nodiscard]] std::string_view get(std::string_view name) const {
    const Entry* const found = find(name);
    return found == nullptr ? std::string_view() : found->value;
  }
  // By name.
  [[nodiscard]] const std::vector<Entry>& all() const { return entries_; }

 private:
  static std::string short_name(const std::string& name) { return name.substr(0, 100); }

  [[nodiscard]] const Entry* find(std::string_view name) const {
    const auto at = std::ranges::lower_bound(entries_, name, {}, &Entry::name);
    return at == entries_.end() || at->name != name ? nullptr : &*at;
  }

  // False if it contradicts what is there.
  bool take(std::string_view name, std::string_view value, Doubling doubling) {
    const auto at = std::ranges::lower_bound(entries_, name, {}, &Entry::name);
    if (at == entries_.end() || at->name != name) {
      entries_.insert(at, Entry{name, value});
      return true;
    }
    switch (doubling) {
      case Doubling::ignored: break;
      case Doubling::last_counts: at->value = value; break;
      case Doubling::cookies: join(*at, "; ", value); break;
      case Doubling::must_agree: return at->value == value;
      case Doubling::list: join(*at, ", ", value); break;
    }
    return true;
  }

  void join(Entry& entry, std::string_view separator, std::string_view value) {
    if (entry.list == nullptr) entry.list = &lists_.emplace_back(entry.value);
    http::append_part(*entry.list, separator, value);
    entry.value = *entry.list;
  }

  std::vector<Entry> entries_;  // sorted
  std::deque<std::string> lists_;
};

// "HTTP_X_FORWARDED_FOR" → "x-forwarded-for".
std::string header_name(std::string_view variable) {
  std::string name(variable.substr("HTTP_"sv.size()));
  for (char& byte : name) {
    if (byte == '_') byte = '-';
    if (is_upper(byte)) byte = static_cast<char>(byte - 'A' + 'a');
  }
  return name;
}

http::Headers headers_of(const MetaVariables& variables) {
  http::Headers headers;
  headers.reserve(variables.all().size());
  for (const auto& variable : variables.all()) {
    if (variable.name.starts_with("HTTP_")) headers.add(header_name(variable.name), std::string(variable.value));
  }
  return headers;
}

std::string_view query_of_uri(std::string_view uri) {
  return http::split_target(uri).query;
}

// A front server that gives the path by itself gives the query beside it; REQUEST_URI carries both.
std::string_view query_of(const MetaVariables& variables, bool path_is_from_uri) {
  const auto uri = variables.get("REQUEST_URI");
  if (path_is_from_uri && uri.contains('?')) return query_of_uri(uri);
  if (variables.has("QUERY_STRING")) return variables.get("QUERY_STRING");
  return query_of_uri(uri);
}

std::expected<http::Path, std::string> named(std::string_view variable,
                                             std::expected<http::Path, http::PathProblem> path) {
  if (path) return std::move(*path);
  return std::unexpected(std::string(variable) + ": " + std::string(http::describe(path.error())));
}

constexpr std::string_view kNoPath = "no path is known";

// Apache's way to set a variable for its lookups and internal redirects too: a group of that name in a LocationMatch.
constexpr std::string_view kServedPath = "MATCH_GATEHOUSE_PATH";

// What Apache will serve is decoded, what lighttpd has made of REQUEST_URI, normalising or rewriting, is not.
std::expected<http::Path, std::string> served_path(const MetaVariables& variables) {
  if (variables.has(kServedPath)) return named(kServedPath, http::Path::from_decoded(variables.get(kServedPath)));
  return named("REDIRECT_URI", http::Path::parse(http::split_target(variables.get("REDIRECT_URI")).path));
}

// An empty GATEHOUSE_PATH is a mistake of the front server's configuration, and no leave to take REQUEST_URI instead:
// behind a rewrite that is another path.
std::expected<http::Path, std::string> decided_path(const MetaVariables& variables, const ReadOptions& options,
                                                    bool is_mounted) {
  const bool says_served = options.is_authorizer && variables.has(kServedPath);
  if (!says_served && variables.has("GATEHOUSE_PATH")) {
    return named("GATEHOUSE_PATH", http::Path::from_decoded(variables.get("GATEHOUSE_PATH")));
  }
  if (is_mounted) {
    const auto info = variables.get("PATH_INFO");
    return named("PATH_INFO", http::Path::from_decoded(info.empty() ? "/"sv : info));
  }
  if (variables.get("REQUEST_URI").empty()) return std::unexpected(std::string(kNoPath));
  return named("REQUEST_URI", http::Path::parse(http::split_target(variables.get("REQUEST_URI")).path));
}

// Escaped, because it stands in front of links and in Location headers; normalised, so that it never begins with "//".
std::expected<std::string, std::string> mount_of(const MetaVariables& variables) {
  const auto script_name = variables.get("SCRIPT_NAME");
  if (script_name.empty()) return std::string();
  const auto path = named("SCRIPT_NAME", http::Path::from_decoded(script_name));
  if (!path) return std::unexpected(path.error());
  auto mount = path->escaped();
  if (mount.ends_with('/')) mount.pop_back();
  return mount;
}

void copy_connection(const MetaVariables& variables, http::Request& request) {
  request.scheme = http::scheme_of(variables.get("HTTPS"), variables.get("REQUEST_SCHEME"));
  request.host = variables.get("HTTP_HOST");
  request.server_name = variables.get("SERVER_NAME");
  request.server_addr = variables.get("SERVER_ADDR");
  request.server_port = http::parse_number<std::uint16_t>(variables.get("SERVER_PORT")).value_or(0);
  if (const auto protocol = variables.get("SERVER_PROTOCOL"); !protocol.empty()) request.server_protocol = protocol;
  request.remote_addr = variables.get("REMOTE_ADDR");
  request.remote_port = variables.get("REMOTE_PORT");
}

// Fails with the reason.
std::expected<void, std::string> read_target(const MetaVariables& variables, const ReadOptions& options,
                                             bool is_mounted, http::Request& request) {
  auto path = decided_path(variables, options, is_mounted);
  if (!path) return std::unexpected(path.error());
  request.path = std::move(*path);
  request.query = query_of(variables, !variables.has("GATEHOUSE_PATH") && !is_mounted);
  request.endpoint_path = variables.get(is_mounted ? "PATH_INFO" : "SCRIPT_NAME");
  if (!is_mounted) return {};
  auto mount = mount_of(variables);
  if (!mount) return std::unexpected(mount.error());
  request.mount = std::move(*mount);
  return {};
}

// GATEHOUSE_PATH, a site's own word, takes the place of lighttpd's. Not of Apache's: any .htaccess may set variables.
std::expected<void, std::string> read_served_path(const MetaVariables& variables, http::Request& request) {
  const bool is_lighttpds = !variables.get("REDIRECT_URI").empty() && !variables.has("GATEHOUSE_PATH");
  if (!variables.has(kServedPath) && !is_lighttpds) return {};
  auto path = served_path(variables);
  if (!path) return std::unexpected(path.error());
  if (path->text() != request.path.text()) request.served_path = std::move(*path);
  return {};
}

// An empty CONTENT_LENGTH is what nginx sends where there is none.
std::expected<void, std::string> read_body_description(const MetaVariables& variables, http::Request& request) {
  request.content_type = variables.get("CONTENT_TYPE");
  const auto length = variables.get("CONTENT_LENGTH");
  if (length.empty()) return {};
  request.content_length = http::parse_number<std::uint64_t>(length);
  if (!request.content_length) return std::unexpected("CONTENT_LENGTH is not a number");
  return {};
}

bool is_check(const Variables& variables, const ReadOptions& options) {
  const auto uri = http::split_target(last_value(variables, "REQUEST_URI")).path;
  return !options.check_path.empty() &&
         (last_value(variables, "SCRIPT_NAME") == options.check_path || uri == options.check_path);
}

// The web server asks about another page, which GATEHOUSE_PATH and GATEHOUSE_METHOD describe.
bool is_question(const Variables& variables, const ReadOptions& options) {
  return options.is_authorizer || is_check(variables, options);
}

// The web server hands its own variables on, and those of headers with a name like "Remote.User" with them, which PHP
// reads as REMOTE_USER. Nobody takes them out on that way, so nobody passes with them.
bool has_ambiguous_header(const Variables& variables) {
  return std::ranges::any_of(variables, [](const auto& variable) {
    return variable.first.starts_with("HTTP_") && !is_plain_name(variable.first);
  });
}

std::expected<http::Request, std::string> read(const Variables& raw, const ReadOptions& options) {
  const bool is_asked_about_another = is_question(raw, options);
  if (is_asked_about_another && has_ambiguous_header(raw)) {
    return std::unexpected("the name of a header is another one's in some language");
  }
  const auto variables = MetaVariables::of(raw);
  if (!variables) return std::unexpected(variables.error());
  http::Request request;
  request.id = options.request_id;
  const bool names_its_method = is_asked_about_another && variables->has("GATEHOUSE_METHOD");
  request.method = variables->get(names_its_method ? "GATEHOUSE_METHOD" : "REQUEST_METHOD");
  request.delivers_cookies = variables->get("GATEHOUSE_COOKIES") == "1";
  if (!http::is_token(request.method)) return std::unexpected("the method is missing or not a token");
  const bool is_mounted = !options.is_authorizer && (options.is_mounted || variables->get("GATEHOUSE_MOUNT") == "1");
  if (auto target = read_target(*variables, options, is_mounted, request); !target)
    return std::unexpected(target.error());
  if (variables->get("REDIRECT_STATUS") == "401") {
    const bool is_named = variables->has("REDIRECT_REQUEST_METHOD");
    request.refused_method = is_named ? variables->get("REDIRECT_REQUEST_METHOD") : request.method;
  }
  if (options.is_authorizer) {
    request.is_lookup = variables->get("SERVER_PROTOCOL") == "INCLUDED";
    if (auto served = read_served_path(*variables, request); !served) return std::unexpected(served.error());
  }
  if (auto body = read_body_description(*variables, request); !body) return std::unexpected(body.error());
  copy_connection(*variables, request);
  request.headers = headers_of(*variables);
  return request;
}

// Of the variables as they came: a refusal, too, is shown in the form that the visitor reads.
bool accepts_html(const Variables& variables) {
  std::string accept;
  for (const auto& [name, value] : variables) {
    if (name == "HTTP_ACCEPT") http::append_part(accept, ", ", value);
  }
  return http::prefers_html(accept);
}

}  // namespace

std::string_view last_value(const Variables& variables, std::string_view name) {
  const auto last = std::ranges::find(variables | std::views::reverse, name, &Variables::value_type::first);
  return last == variables.rend() ? std::string_view() : std::string_view(last->second);
}

std::expected<http::Request, http::Malformed> read_request(const Variables& variables, const ReadOptions& options) {
  auto request = read(variables, options);
  if (request) return std::move(*request);
  const bool is_refused = is_question(variables, options) || request.error() == kNoPath;
  return std::unexpected(http::Malformed{.request_id = options.request_id,
                                         .reason = request.error(),
                                         .wants_html = accepts_html(variables),
                                         .status = is_refused ? 403 : 400,
                                         .is_check = !options.is_authorizer && is_check(variables, options)});
}

}  // namespace gatehouse::cgi
