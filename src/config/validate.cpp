// Combinations: each rule looks at two or more keys. What one key may hold is checked where it is read.
#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>

#include "config/read.hpp"
#include "config/values.hpp"

namespace gatehouse::config {
namespace {

constexpr std::size_t kLongestUnixPath = 107;  // sun_path holds 108 with its NUL

void validate_cookie_prefix(Reading& reading, const auth::CookieProfile& cookie) {
  const bool is_host = has_prefix(cookie.name, "__Host-");
  const bool is_secure = has_prefix(cookie.name, "__Secure-");
  if ((is_host || is_secure) && !cookie.secure) {
    reading.problem_at("session.cookie.secure",
                       "browsers drop " + in_quotes(cookie.name) +
                           " without Secure; allowed: secure: true, or another cookie.name such as "
                           "session");
  }
  if (is_host && !cookie.domain.empty()) {
    reading.problem_at("session.cookie.domain", "browsers drop " + in_quotes(cookie.name) +
                                                    " with a Domain; allowed: \"\", or a cookie.name without __Host-");
  }
  if (is_host && cookie.path != "/") {
    reading.problem_at("session.cookie.path",
                       "browsers drop " + in_quotes(cookie.name) +
                           " with another path than /; allowed: /, or a cookie.name without __Host-");
  }
}

void validate_cookie(Reading& reading, const auth::CookieProfile& cookie) {
  constexpr std::size_t kLongestCookie = 4096;
  constexpr std::string_view kAttributes =
      "=; Domain=; Path=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Secure; SameSite=Strict";
  validate_cookie_prefix(reading, cookie);
  if (cookie.same_site == auth::SameSite::none && !cookie.secure) {
    reading.problem_at("session.cookie.same_site",
                       "browsers drop SameSite=None without Secure; allowed: secure: true, or "
                       "same_site: lax or strict");
  }
  const std::size_t size =
      cookie.name.size() + auth::kTokenLength + kAttributes.size() + cookie.domain.size() + cookie.path.size();
  if (size > kLongestCookie) {
    reading.problem_at("session.cookie.name", "makes a cookie of " + std::to_string(size) +
                                                  " bytes; allowed: 4096 for name, value and attributes together");
  }
}

bool covers(const std::string& cookie_path, const std::string& path) {
  if (!path.starts_with(cookie_path)) return false;
  return cookie_path.ends_with('/') || path.size() == cookie_path.size() || path[cookie_path.size()] == '/';
}

void validate_cookie_reach(Reading& reading, const Config& config) {
  if (covers(config.session.cookie.path, config.endpoints.prefix)) return;
  reading.warning_at("session.cookie.path", "browsers do not send the cookie to the endpoints below " +
                                                config.endpoints.prefix + ": nobody could log out");
}

struct LuciaConflict {
  std::string_view key;
  std::string_view what;
  std::string_view allowed;
  bool is_there;
};

// Lucia's tables have a column for the plain id and none for a family, a parent or a creation time.
void validate_lucia_schema(Reading& reading, const Config& config) {
  const Session& session = config.session;
  if (config.store.schema == Schema::native) return;
  const std::array<LuciaConflict, 3> conflicts{{
      {"session.renewal", "rotate", "extend", session.renewal == auth::Renewal::rotate},
      {"session.token_storage", "sha256", "plain", session.token_storage == auth::TokenStorage::sha256},
      {"session.max_lifetime", "a lifetime", "0", session.periods.max_lifetime.count() > 0},
  }};
  bool is_of_profile = false;
  for (const LuciaConflict& conflict : conflicts) {
    if (!conflict.is_there) continue;
    const std::string key(conflict.key);
    is_of_profile = is_of_profile || !reading.is_given(key);
    if (!reading.is_given(key)) continue;
    reading.problem_at(key, std::string(conflict.what)
                                .append(" has no place in Lucia's tables; allowed: ")
                                .append(conflict.allowed)
                                .append(", or leave the key out and set session.profile: lucia"));
  }
  if (!is_of_profile) return;
  reading.problem_at("store.schema",
                     "Lucia's tables cannot hold what session.profile hardened asks for (rotate, sha256, "
                     "max_lifetime); allowed: set session.profile: lucia");
}

void validate_tables(Reading& reading, const Store& store) {
  // SQLite, and MariaDB on some file systems, take two names that differ in case only for one.
  const std::string user = variable_name(store.user_table);
  const std::string key = variable_name(store.key_table);
  const std::string session = variable_name(store.session_table);
  constexpr std::string_view kSame = " is the name of another table already; allowed: three different names";
  if (key == user) reading.problem_at("store.tables.key", in_quotes(store.key_table).append(kSame));
  if (session == user || session == key) {
    reading.problem_at("store.tables.session", in_quotes(store.session_table).append(kSame));
  }
}

void validate_address(Reading& reading, const std::string& key, const std::string& address) {
  constexpr std::string_view kUnix = "unix:";
  constexpr std::string_view kTcp = "tcp:";
  if (address.starts_with(kUnix) && address.size() - kUnix.size() > kLongestUnixPath) {
    reading.problem_at(key, in_quotes(address) + " is too long; allowed: a path of at most 107 bytes");
  }
  if (!address.starts_with(kTcp)) return;
  const auto parts = split_host_port(std::string_view(address).substr(kTcp.size()));
  if (parts && !is_loopback(parts->host)) {
    reading.warning_at(key, in_quotes(address) +
                                " can be reached from other machines: whoever reaches it speaks for the web "
                                "server");
  }
}

// A listener's key is that of its entry in a list, or of the list that one text stands for.
std::string entry_key(const Reading& reading, const std::string& list, std::size_t index) {
  const std::string entry = list + "[" + std::to_string(index) + "]";
  return reading.is_given(entry) ? entry : list;
}

void validate_listeners(Reading& reading, const Config& config) {
  std::set<std::string> seen;
  const auto validate_one = [&](const std::string& key, const std::string& address) {
    validate_address(reading, key, address);
    if (!seen.insert(address).second)
      reading.problem_at(key, in_quotes(address) + " is listened on already; allowed: once");
  };
  for (std::size_t i = 0; i < config.listen.size(); ++i) {
    validate_one(entry_key(reading, "listen", i), config.listen[i]);
  }
  for (std::size_t i = 0; i < config.listen_http.size(); ++i) {
    validate_one(entry_key(reading, "listen_http", i), config.listen_http[i]);
  }
  if (!config.admin_listen.empty()) validate_one("admin.listen", config.admin_listen);
  const bool hears_tcp =
      std::ranges::any_of(config.listen_http, [](const auto& text) { return text.starts_with("tcp:"); });
  if (hears_tcp && config.trusted_proxies.empty()) {
    reading.warning_at("listen_http",
                       "over tcp nobody's forwarded headers count while trusted_proxies is empty: check and "
                       "forward refuse every request there");
  }
}

// SCRIPT_NAME of a single program is the literal beginning of the pattern (PRODUCT.md section 2): a wildcard before the
// last segment would put the rest of the pattern into PATH_INFO, where no program looks for it.
bool has_early_wildcard(const std::string& pattern) {
  return pattern.substr(0, pattern.rfind('/')).contains('*');
}

bool is_one_script(const Downstream& downstream) {
  if (const auto* cgi = std::get_if<CgiDownstream>(&downstream)) return !cgi->program.empty();
  const auto& fastcgi = std::get<FastCgiDownstream>(downstream);
  return !fastcgi.program.empty() || fastcgi.root.empty();
}

std::string names(const std::map<std::string, Downstream>& downstreams) {
  std::vector<std::string> words;
  std::ranges::transform(downstreams, std::back_inserter(words), [](const auto& entry) { return entry.first; });
  return words.empty() ? "none, there are no downstreams" : joined(words);
}

void validate_route_downstream(Reading& reading, const Config& config, const policy::Route& route,
                               const std::string& path) {
  if (route.downstream.empty()) return;
  const auto found = config.downstreams.find(route.downstream);
  if (found == config.downstreams.end()) {
    reading.problem_at(path + ".downstream",
                       in_quotes(route.downstream) + " is no downstream; allowed: " + names(config.downstreams));
    return;
  }
  if (!is_one_script(found->second) || !has_early_wildcard(route.path.text())) return;
  reading.problem_at(path + ".path", in_quotes(route.path.text()) + " has a wildcard before its last segment, and " +
                                         route.downstream +
                                         " is one program; allowed: a wildcard in the last segment only");
}

void validate_routes(Reading& reading, const Config& config) {
  if (config.routes.empty()) {
    reading.warning_at("routes", "there are no routes: everything is denied");
  }
  for (std::size_t i = 0; i < config.routes.size(); ++i) {
    const policy::Route& route = config.routes[i];
    const std::string path = "routes[" + std::to_string(i) + "]";
    validate_route_downstream(reading, config, route, path);
    if (route.access == policy::Access::public_ && reading.is_given(path + ".require")) {
      reading.problem_at(path + ".require",
                         "a public route lets everybody in; allowed: access: authenticated with require, or "
                         "public without it");
    }
  }
}

// Lucia 1.x gives its tables their names itself.
void validate_lucia_names(Reading& reading, const Store& store) {
  if (store.schema != Schema::lucia_v1) return;
  for (const std::string_view key : {"store.tables.user", "store.tables.key", "store.tables.session"}) {
    if (!reading.is_given(std::string(key))) continue;
    reading.warning_at(std::string(key),
                       "is not looked at: Lucia 1.x calls its tables auth_user, auth_key, auth_session");
  }
}

// What goes over the wire are passwords' hashes and, with Lucia, tokens that open a session.
void validate_mysql_hosts(Reading& reading, const Store& store) {
  if (store.driver != Driver::mysql || store.mysql.tls == TlsMode::verify) return;
  for (const std::string& text : store.mysql.hosts) {
    const auto parts = text.starts_with("unix:") ? std::nullopt : split_host_port(text);
    if (!parts || is_loopback(parts->host) || parts->host == "localhost") continue;
    reading.warning_at("store.mysql.hosts",
                       in_quotes(text) + " is reached in clear; store.mysql.tls.mode: verify encrypts");
  }
}

// The client library only says that it could not connect.
void validate_authorities(Reading& reading, const Store& store) {
  const std::string& file = store.mysql.tls_ca_file;
  if (store.driver != Driver::mysql || file.empty()) return;
  if (store.mysql.tls == TlsMode::off) {
    reading.problem_at("store.mysql.tls.ca_file",
                       "stands beside mode: off, which encrypts nothing; allowed: mode: verify");
    return;
  }
  if (!std::ifstream(file)) reading.warning_at("store.mysql.tls.ca_file", in_quotes(file) + " cannot be read");
}

void validate_login(Reading& reading, const Login& login) {
  constexpr std::size_t kWeak = 8;  // NIST SP 800-63B section 3.1.1.2
  if (login.min_password >= kWeak) return;
  reading.warning_at("login.min_password", "passwords of fewer than 8 characters are guessed");
}

}  // namespace

void validate(Reading& reading, const Config& config) {
  validate_listeners(reading, config);
  validate_tables(reading, config.store);
  validate_cookie(reading, config.session.cookie);
  validate_cookie_reach(reading, config);
  validate_lucia_schema(reading, config);
  validate_lucia_names(reading, config.store);
  validate_mysql_hosts(reading, config.store);
  validate_authorities(reading, config.store);
  validate_routes(reading, config);
  validate_login(reading, config.login);
}

}  // namespace gatehouse::config
