// Drift: conf/gatehouse.yaml shows every key that the reader knows, with the default of config.hpp, and no other key.
#include <fstream>
#include <optional>
#include <regex>
#include <set>
#include <sstream>

#include "config/keys.hpp"
#include "config/yaml.hpp"
#include "support.hpp"

namespace gatehouse::config::testing {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;

const char* const kExample = GATEHOUSE_SOURCE_DIR "/conf/gatehouse.yaml";

std::string example() {
  const std::ifstream file(kExample);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// The text with its commented-out keys switched on: "  # key: value" counts as "  key: value". Prose has no word with
// a colon at the beginning of a line.
std::string switched_on(const std::string& text) {
  static const std::regex kKey("^( *)# ( *(- )?[a-z_]+:( .*)?)$");
  std::istringstream lines(text);
  std::string out;
  for (std::string line; std::getline(lines, line);) out += std::regex_replace(line, kKey, "$1$2") + "\n";
  return out;
}

// The default that the file must show. An entry of downstreams and routes is made of keys that have none worth showing.
std::optional<std::string> default_to_show(const KnownKey& key) {
  const bool is_of_entry = key.path.contains("NAME") || key.path.contains("[]");
  const std::string text = key.default_text.value_or("");
  return is_of_entry && (text.empty() || text == "[]") ? std::nullopt : key.default_text;
}

std::vector<std::string> drift(const std::string& text) {
  std::vector<std::string> found;
  for (const KnownKey& key : known_keys(switched_on(text))) {
    const auto wanted = default_to_show(key);
    if (key.shown.empty()) {
      found.push_back(key.path + " is missing");
    } else if (wanted && std::ranges::find(key.shown, *wanted) == key.shown.end()) {
      found.push_back(key.path + " is " + key.shown.front() + ", its default " + *wanted);
    }
  }
  return found;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

TEST(Example, LoadsWithoutProblemsAndWarnings) {
  const auto result = load_text(example(), kExample);
  ASSERT_TRUE(result) << ::testing::PrintToString(problems(example()));
  EXPECT_THAT(result->warnings, IsEmpty());
  EXPECT_EQ(result->config.routes.size(), 2U);
}

TEST(Example, LoadsFromItsFile) {
  EXPECT_TRUE(load(kExample));
}

TEST(Example, ShowsEveryKeyWithItsDefault) {
  EXPECT_THAT(drift(example()), IsEmpty());
}

TEST(Example, SwitchedOnHasNoUnknownKeys) {
  const std::string text = switched_on(example());
  ASSERT_TRUE(parse_yaml(text)) << text;
  for (const std::string& message : problems(text)) {
    EXPECT_THAT(message, ::testing::Not(::testing::HasSubstr("unknown key"))) << message;
  }
  EXPECT_THAT(text, ::testing::HasSubstr("\n  php:\n    fastcgi:\n"));
}

TEST(Example, AMissingKeyIsDrift) {
  EXPECT_THAT(drift(replaced(example(), "  idle_period: 14d\n", "")), Contains("session.idle_period is missing"));
  EXPECT_THAT(drift(replaced(example(), "    # password: a-secret\n", "")),
              Contains("store.mysql.password is missing"));
  EXPECT_THAT(drift(replaced(example(), "  #     allow_x_accel: false\n", "")),
              Contains("downstreams.NAME.fastcgi.allow_x_accel is missing"));
}

TEST(Example, AnotherDefaultIsDrift) {
  EXPECT_THAT(drift(replaced(example(), "idle_period: 14d", "idle_period: 15d")),
              Contains("session.idle_period is 15d, its default 14d"));
  EXPECT_THAT(drift(replaced(example(), "timeout: 30s", "timeout: 31s")),
              Contains("downstreams.NAME.cgi.timeout is 31s, its default 30s"));
}

TEST(Example, KnownKeysAreTheContract) {
  std::set<std::string> paths;
  for (const KnownKey& key : known_keys()) paths.insert(key.path);
  const std::set<std::string> contract{"listen",
                                       "listen_http",
                                       "socket.mode",
                                       "socket.group",
                                       "threads",
                                       "store.driver",
                                       "store.schema",
                                       "store.sqlite.path",
                                       "store.mysql.hosts",
                                       "store.mysql.database",
                                       "store.mysql.user",
                                       "store.mysql.password",
                                       "store.mysql.password_file",
                                       "store.mysql.tls.mode",
                                       "store.mysql.tls.ca_file",
                                       "store.mysql.pool.max",
                                       "store.mysql.pool.acquire_timeout",
                                       "store.mysql.timeout",
                                       "store.tables.user",
                                       "store.tables.key",
                                       "store.tables.session",
                                       "session.profile",
                                       "session.cookie.name",
                                       "session.cookie.path",
                                       "session.cookie.domain",
                                       "session.cookie.same_site",
                                       "session.cookie.secure",
                                       "session.active_period",
                                       "session.idle_period",
                                       "session.max_lifetime",
                                       "session.renewal",
                                       "session.rotation_grace",
                                       "session.token_storage",
                                       "session.max_per_user",
                                       "session.cache.max_entries",
                                       "session.cache.max_staleness",
                                       "csrf.allowed_origins",
                                       "trusted_proxies",
                                       "identity.headers",
                                       "identity.encoding",
                                       "identity.hide_session_cookie",
                                       "downstreams.NAME.cgi.root",
                                       "downstreams.NAME.cgi.program",
                                       "downstreams.NAME.cgi.timeout",
                                       "downstreams.NAME.cgi.max_processes",
                                       "downstreams.NAME.cgi.max_body",
                                       "downstreams.NAME.cgi.env",
                                       "downstreams.NAME.fastcgi.address",
                                       "downstreams.NAME.fastcgi.root",
                                       "downstreams.NAME.fastcgi.program",
                                       "downstreams.NAME.fastcgi.index",
                                       "downstreams.NAME.fastcgi.extensions",
                                       "downstreams.NAME.fastcgi.timeout",
                                       "downstreams.NAME.fastcgi.max_connections",
                                       "downstreams.NAME.fastcgi.keep_connections",
                                       "downstreams.NAME.fastcgi.max_body",
                                       "downstreams.NAME.fastcgi.answer_buffer",
                                       "downstreams.NAME.fastcgi.env",
                                       "downstreams.NAME.fastcgi.allow_x_accel",
                                       "routes[].path",
                                       "routes[].hosts",
                                       "routes[].methods",
                                       "routes[].access",
                                       "routes[].require",
                                       "routes[].downstream",
                                       "endpoints.prefix",
                                       "endpoints.url",
                                       "login.enabled",
                                       "login.url",
                                       "login.templates",
                                       "login.min_password",
                                       "login.breached_file",
                                       "login.remember",
                                       "login.allowed_return_hosts",
                                       "login.throttle.enabled",
                                       "login.hashes.max",
                                       "login.hashes.queue",
                                       "logout.redirect",
                                       "admin.listen",
                                       "log.level",
                                       "log.format"};
  EXPECT_EQ(paths, contract);
}

// The example of PRODUCT.md section 2, shortened to what this version serves.
TEST(Example, TheContractsOwnSpellingLoads) {
  const Config c = config(
      "listen:\n  - unix:/run/gatehouse/gatehouse.sock\nlisten_http: []\nsocket: { mode: \"0660\", group: www-data }\n"
      "threads: auto\nstore:\n  driver: sqlite\n  schema: native\n  sqlite: { path: /var/lib/gatehouse/gatehouse.db }\n"
      "  mysql:\n    hosts: [ \"unix:/run/mysqld/mysqld.sock\" ]\n    database: gatehouse\n    user: gatehouse\n"
      "    password_file: /etc/gatehouse/mysql.password\n    tls: { mode: off, ca_file: \"\" }\n"
      "    pool: { max: 16, acquire_timeout: 1s }\n    timeout: 2s\n"
      "  tables: { user: user, key: user_key, session: user_session }\n"
      "session:\n  profile: hardened\n"
      "  cookie: { name: __Host-session, path: /, domain: \"\", same_site: lax, secure: true }\n"
      "  cache: { max_entries: 100000, max_staleness: 1s }\ncsrf: { allowed_origins: [] }\ntrusted_proxies: []\n"
      "downstreams:\n"
      "  scripts: { cgi: { root: /usr/lib/cgi-bin, timeout: 30s, max_processes: 32, max_body: 0, env: {} } }\n"
      "  git:     { cgi: { program: /usr/lib/git-core/git-http-backend, env: { GIT_PROJECT_ROOT: /srv/git } } }\n"
      "  php:     { fastcgi: { address: \"unix:/run/php/php8.2-fpm.sock\", root: /var/www/html, index: index.php, "
      "timeout: 60s, allow_x_accel: false } }\n"
      "routes:\n  - { path: /public/**, access: public, downstream: scripts }\n"
      "  - path: /admin/**\n    hosts: [ admin.example.org ]\n    methods: [ GET, POST ]\n    access: authenticated\n"
      "    require: { roles: [ admin, ops ], email: [ \"*@example.org\" ] }\n    downstream: php\n"
      "  - { path: /**, access: authenticated, downstream: scripts }\n"
      "endpoints: { prefix: /auth, url: \"\" }\nlogin:\n  throttle: { enabled: true }\n  hashes: { max: auto, queue: 4 "
      "}\n"
      "logout: { redirect: / }\nadmin: { listen: \"\" }\nlog: { level: info, format: text }\n");
  EXPECT_EQ(c.routes.size(), 3U);
  EXPECT_EQ(c.downstreams.size(), 3U);
}

}  // namespace
}  // namespace gatehouse::config::testing
