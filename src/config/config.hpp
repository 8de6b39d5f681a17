// The configuration as plain values. Every default stands here and nowhere else; conf/gatehouse.yaml documents the
// same keys in the same order, and a drift test compares the two.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "auth/cookie.hpp"
#include "auth/password.hpp"
#include "auth/session.hpp"
#include "auth/token.hpp"
#include "policy/route.hpp"

namespace gatehouse::config {

using std::chrono::milliseconds;

enum class Driver { sqlite, mysql };
enum class Schema { native, lucia_v1, lucia_v2 };
enum class Profile { hardened, lucia };
enum class TlsMode { off, verify };
enum class Encoding { utf8, percent };
enum class LogLevel { debug, info, warn, error };
enum class LogFormat { text, json };

struct Socket {
  mode_t mode = 0660;
  std::string group = "www-data";  ///< a name or a number; empty: left alone

  bool operator==(const Socket&) const = default;
};

struct MySql {
  std::vector<std::string> hosts{"unix:/run/mysqld/mysqld.sock"};
  std::string database = "gatehouse";
  std::string user = "gatehouse";
  std::string password;  ///< of `password` or the file named by `password_file`
  TlsMode tls = TlsMode::off;
  std::string tls_ca_file;
  std::size_t pool_max = 16;
  milliseconds acquire_timeout{1'000};
  milliseconds timeout{2'000};

  bool operator==(const MySql&) const = default;
};

struct Store {
  Driver driver = Driver::sqlite;
  Schema schema = Schema::native;
  std::string sqlite_path = "/var/lib/gatehouse/gatehouse.db";
  MySql mysql;
  std::string user_table = "user";
  std::string key_table = "user_key";
  std::string session_table = "user_session";

  bool operator==(const Store&) const = default;
};

struct Session {
  Profile profile = Profile::hardened;
  auth::CookieProfile cookie;
  auth::SessionPeriods periods;  ///< active_period, idle_period, max_lifetime, rotation_grace
  auth::Renewal renewal = auth::Renewal::rotate;
  auth::TokenStorage token_storage = auth::TokenStorage::sha256;
  std::size_t max_per_user = 0;  ///< 0: no limit
  std::size_t cache_max_entries = 100'000;
  milliseconds cache_max_staleness{1'000};  ///< 0: every request asks the store

  // Of the profile alone, no keys of their own.
  auth::TokenAlphabet token_alphabet = auth::TokenAlphabet::base36;
  auth::HashScheme hash_scheme = auth::HashScheme::argon2id;
  bool rehash_on_login = true;
};

/// Returns what a profile gives: the defaults above for `hardened`; Lucia's own name, renewal, lifetime, storage,
/// alphabet and hash for `lucia`. Explicit keys override it.
[[nodiscard]] Session session_preset(Profile profile);

/// Header name → attribute of the user, without the "user." ("Remote-User" → "username"), in the order of the file.
using HeaderMap = std::vector<std::pair<std::string, std::string>>;

struct Identity {
  HeaderMap headers{
      {"Remote-User", "username"}, {"Remote-Name", "name"}, {"Remote-Email", "email"}, {"Remote-Groups", "roles"}};
  Encoding encoding = Encoding::utf8;
  bool hide_session_cookie = true;
};

/// Returns the headers of a preset: remote, x-auth-request (oauth2-proxy's names) or x-forwarded; nullopt for others.
[[nodiscard]] std::optional<HeaderMap> header_preset(std::string_view name);

struct CgiDownstream {
  std::string root;  ///< one of root and program
  std::string program;
  milliseconds timeout{30'000};
  std::size_t max_processes = 32;
  std::uint64_t max_body = 0;  ///< bytes; 0 = no limit
  std::map<std::string, std::string> env;
};

struct FastCgiDownstream {
  std::string address;  ///< unix:PATH or tcp:HOST:PORT
  std::string root;     ///< of scripts; with `program` its DOCUMENT_ROOT; neither: the application is no file
  std::string program;
  std::string index;  ///< a file name; empty: none
  std::vector<std::string> extensions{".php"};
  milliseconds timeout{60'000};
  std::size_t max_connections = 64;
  std::size_t keep_connections = 0;
  std::uint64_t max_body = 0;
  std::uint64_t answer_buffer = std::uint64_t{64} << 20U;
  bool allow_x_accel = false;
  std::map<std::string, std::string> env;
};

using Downstream = std::variant<CgiDownstream, FastCgiDownstream>;

struct Endpoints {
  std::string prefix = "/auth";
  std::string url;  ///< scheme://host[:port], where the endpoints are reached from other hosts
};

struct Login {
  bool enabled = true;
  std::string url;
  std::string templates;          ///< a folder; empty: the built-in pages
  std::size_t min_password = 15;  ///< code points
  std::string breached_file;
  bool remember = true;  ///< the cookie outlives the browser (Expires); false: a browser-session cookie
  std::vector<std::string> allowed_return_hosts;
  bool throttle = true;
  std::size_t max_hashes = 0;  ///< at once; 0 = auto: one less than there are cores, at least 1
  std::size_t hash_queue = 4;  ///< waiting hashes per running one
};

struct Log {
  LogLevel level = LogLevel::info;
  LogFormat format = LogFormat::text;
};

struct Config {
  std::string file;  ///< where it was read from, absolute
  std::vector<std::string> listen{"unix:/run/gatehouse/gatehouse.sock"};
  std::vector<std::string> listen_http;
  Socket socket;
  std::size_t threads = 0;  ///< 0 = auto: one reactor a core
  Store store;
  Session session;
  std::vector<std::string> csrf_allowed_origins;
  std::vector<std::string> trusted_proxies;
  Identity identity;
  std::map<std::string, Downstream> downstreams;
  std::vector<policy::Route> routes;
  Endpoints endpoints;
  Login login;
  std::string logout_redirect = "/";
  std::string admin_listen;
  Log log;
};

}  // namespace gatehouse::config
