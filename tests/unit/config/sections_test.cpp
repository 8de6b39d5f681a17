// Key by key: what is read, what is refused.
#include "config/checks.hpp"
#include "support.hpp"

namespace gatehouse::config::testing {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

TEST(Server, ReadsItsKeys) {
  const Config c = config(
      "listen: []\nsocket: {mode: 0600, group: ''}\nthreads: 256\n"
      "csrf: {allowed_origins: ['https://a.example', 'http://b.example:81']}\n"
      "trusted_proxies: [127.0.0.1, 10.0.0.0/8]\nlog: {level: error, format: json}\n");
  EXPECT_THAT(c.listen, IsEmpty());
  EXPECT_EQ(c.socket, (Socket{.mode = 0600, .group = ""}));
  EXPECT_EQ(c.threads, 256U);
  EXPECT_THAT(c.csrf_allowed_origins, ElementsAre("https://a.example", "http://b.example:81"));
  EXPECT_THAT(c.trusted_proxies, ElementsAre("127.0.0.1", "10.0.0.0/8"));
  EXPECT_EQ(c.log.level, LogLevel::error);
  EXPECT_EQ(c.log.format, LogFormat::json);
  EXPECT_EQ(config("socket: {mode: 660}").socket.mode, static_cast<mode_t>(0660));
  EXPECT_EQ(config("threads: auto").threads, 0U);
}

TEST(Server, RefusesWhatItCannotUse) {
  expect_problem("socket: {mode: 0689}", "1:16: socket.mode: ");
  expect_problem("socket: {mode: rw}", "1:16: socket.mode: ");
  expect_problem("socket: {mode: 1660}", "1:16: socket.mode: ");
  expect_problem("socket: {group: 'a b'}", "1:17: socket.group: ");
  expect_problem("threads: 0", "1:10: threads: ");
  expect_problem("threads: 257", "1:10: threads: ");
  expect_problem("threads: -1", "1:10: threads: ");
  expect_problem("listen: localhost:9000", "1:9: listen: ");
  expect_problem("csrf: {allowed_origins: [a.example]}", "1:26: csrf.allowed_origins[0]: ");
  expect_problem("trusted_proxies: [proxy.example]", "1:19: trusted_proxies[0]: ");
  expect_problem("log: {format: xml}", "1:15: log.format: ");
  expect_problem("admin: {listen: '9150'}", "1:17: admin.listen: ");
}

TEST(Store, ReadsItsKeys) {
  const Store s = config(
                      "store:\n"
                      "  sqlite: { path: /tmp/x.db }\n"
                      "  mysql:\n"
                      "    hosts: [ 'db1:3306', unix:/run/m.sock ]\n"
                      "    database: d\n    user: u\n    password: p\n"
                      "    tls: { mode: verify, ca_file: /ca.pem }\n"
                      "    pool: { max: 3, acquire_timeout: 5s }\n    timeout: 7s\n"
                      "  tables: { user: u, key: k, session: s }\n")
                      .store;
  EXPECT_EQ(s.sqlite_path, "/tmp/x.db");
  EXPECT_THAT(s.mysql.hosts, ElementsAre("db1:3306", "unix:/run/m.sock"));
  EXPECT_EQ(s.mysql.database, "d");
  EXPECT_EQ(s.mysql.user, "u");
  EXPECT_EQ(s.mysql.password, "p");
  EXPECT_EQ(s.mysql.tls, TlsMode::verify);
  EXPECT_EQ(s.mysql.tls_ca_file, "/ca.pem");
  EXPECT_EQ(s.mysql.pool_max, 3U);
  EXPECT_EQ(s.mysql.acquire_timeout, milliseconds(5'000));
  EXPECT_EQ(s.mysql.timeout, milliseconds(7'000));
  EXPECT_EQ(s.user_table, "u");
  EXPECT_EQ(s.key_table, "k");
  EXPECT_EQ(s.session_table, "s");
}

TEST(Store, RefusesWhatItCannotUse) {
  expect_problem("store: {driver: postgres}",
                 "1:17: store.driver: \"postgres\" is none of them; allowed: sqlite, mysql");
  expect_problem("store: {schema: lucia}", "1:17: store.schema: ");
  expect_problem("store: {sqlite: {path: ''}}", "1:24: store.sqlite.path: is empty");
  expect_problem("store: {mysql: {hosts: [db1]}}", "1:25: store.mysql.hosts[0]: ");
  expect_problem("store: {mysql: {hosts: []}}", "1:24: store.mysql.hosts: is empty");
  expect_problem("store: {mysql: {database: ''}}", "1:27: store.mysql.database: \"\" is no name of a database");
  expect_problem("store: {mysql: {tls: {mode: prefer}}}", "1:29: store.mysql.tls.mode: ");
  expect_problem("store: {mysql: {pool: {max: 0}}}", "1:29: store.mysql.pool.max: ");
  expect_problem("store: {mysql: {timeout: 0}}", "1:26: store.mysql.timeout: ");
  expect_problem("store: {tables: {user: 'a`b'}}", "1:24: store.tables.user: ");
}

TEST(Session, ReadsItsKeys) {
  const Session s = config(
                        "session:\n"
                        "  cookie: { name: s, path: /a, domain: example.org, same_site: strict, secure: true }\n"
                        "  active_period: 1h\n  idle_period: 2h\n  max_lifetime: 0\n  renewal: extend\n"
                        "  rotation_grace: 0\n  token_storage: plain\n  max_per_user: 5\n"
                        "  cache: { max_entries: 0, max_staleness: 0 }\n")
                        .session;
  EXPECT_EQ(s.cookie.name, "s");
  EXPECT_EQ(s.cookie.path, "/a");
  EXPECT_EQ(s.cookie.domain, "example.org");
  EXPECT_EQ(s.cookie.same_site, auth::SameSite::strict);
  EXPECT_EQ(s.periods.active, std::chrono::hours(1));
  EXPECT_EQ(s.periods.idle, std::chrono::hours(2));
  EXPECT_EQ(s.periods.max_lifetime.count(), 0);
  EXPECT_EQ(s.periods.rotation_grace.count(), 0);
  EXPECT_EQ(s.renewal, auth::Renewal::extend);
  EXPECT_EQ(s.token_storage, auth::TokenStorage::plain);
  EXPECT_EQ(s.max_per_user, 5U);
  EXPECT_EQ(s.cache_max_entries, 0U);
  EXPECT_EQ(s.cache_max_staleness.count(), 0);
}

TEST(Session, ProfileHardenedIsTheDefault) {
  const Session s = config("session: {profile: hardened}").session;
  EXPECT_EQ(s.cookie.name, "__Host-session");
  EXPECT_EQ(s.renewal, auth::Renewal::rotate);
  EXPECT_EQ(s.periods.max_lifetime, std::chrono::days(90));
  EXPECT_EQ(s.token_storage, auth::TokenStorage::sha256);
  EXPECT_EQ(s.token_alphabet, auth::TokenAlphabet::base36);
  EXPECT_EQ(s.hash_scheme, auth::HashScheme::argon2id);
  EXPECT_TRUE(s.rehash_on_login);
}

TEST(Session, ProfileLuciaChangesTheDefaults) {
  const Session s = config("session: {profile: lucia}").session;
  EXPECT_EQ(s.profile, Profile::lucia);
  EXPECT_EQ(s.cookie.name, "auth_session");
  EXPECT_EQ(s.renewal, auth::Renewal::extend);
  EXPECT_EQ(s.periods.max_lifetime.count(), 0);
  EXPECT_EQ(s.token_storage, auth::TokenStorage::plain);
  EXPECT_EQ(s.token_alphabet, auth::TokenAlphabet::base62);
  EXPECT_EQ(s.hash_scheme, auth::HashScheme::lucia_scrypt);
  EXPECT_FALSE(s.rehash_on_login);
  EXPECT_EQ(s.periods.idle, std::chrono::days(14));
}

TEST(Session, ExplicitKeysOverrideTheProfileWhereverTheyStand) {
  const Session s =
      config("session: {max_lifetime: 7d, cookie: {name: x}, token_storage: sha256, profile: lucia}").session;
  EXPECT_EQ(s.cookie.name, "x");
  EXPECT_EQ(s.periods.max_lifetime, std::chrono::days(7));
  EXPECT_EQ(s.token_storage, auth::TokenStorage::sha256);
  EXPECT_EQ(s.renewal, auth::Renewal::extend);
}

TEST(Session, RefusesWhatItCannotUse) {
  expect_problem("session: {profile: soft}", "1:20: session.profile: ");
  expect_problem("session: {active_period: 0}", "1:26: session.active_period: ");
  expect_problem("session: {idle_period: 0s}", "1:24: session.idle_period: ");
  expect_problem("session: {max_lifetime: -1d}", "1:25: session.max_lifetime: ");
  expect_problem("session: {rotation_grace: never}", "1:27: session.rotation_grace: ");
  expect_problem("session: {renewal: sometimes}", "1:20: session.renewal: ");
  expect_problem("session: {token_storage: md5}", "1:26: session.token_storage: ");
  expect_problem("session: {max_per_user: -1}", "1:25: session.max_per_user: ");
  expect_problem("session: {cookie: {name: 'a b'}}", "1:26: session.cookie.name: ");
  expect_problem("session: {cookie: {same_site: Lax}}", "1:31: session.cookie.same_site: ");
  expect_problem("session: {cookie: {name: s, path: a}}", "1:35: session.cookie.path: ");
  expect_problem("session: {cookie: {name: s, domain: 'a:1'}}", "1:37: session.cookie.domain: ");
  expect_problem("session: {cache: {max_staleness: 1}}", "1:34: session.cache.max_staleness: ");
}

TEST(Identity, HasThreePresets) {
  EXPECT_THAT(config("").identity.headers, ElementsAre(Pair("Remote-User", "username"), Pair("Remote-Name", "name"),
                                                       Pair("Remote-Email", "email"), Pair("Remote-Groups", "roles")));
  EXPECT_EQ(config("identity: {headers: remote}").identity.headers, Identity{}.headers);
  EXPECT_THAT(
      config("identity: {headers: x-auth-request}").identity.headers,
      ElementsAre(Pair("X-Auth-Request-User", "username"), Pair("X-Auth-Request-Email", "email"),
                  Pair("X-Auth-Request-Groups", "roles"), Pair("X-Auth-Request-Preferred-Username", "username")));
  EXPECT_THAT(config("identity: {headers: x-forwarded}").identity.headers,
              ElementsAre(Pair("X-Forwarded-User", "username"), Pair("X-Forwarded-Email", "email"),
                          Pair("X-Forwarded-Groups", "roles"), Pair("X-Forwarded-Preferred-Username", "username")));
}

TEST(Identity, PresetsFollowTheRulesOfAMap) {
  for (const char* preset : {"remote", "x-auth-request", "x-forwarded"}) {
    const auto headers = header_preset(preset);
    ASSERT_TRUE(headers);
    for (const auto& [header, attribute] : *headers) {
      EXPECT_EQ(check_header(header), std::nullopt);
      EXPECT_EQ(check_attribute(attribute), std::nullopt);
    }
  }
}

TEST(Identity, TakesAMapInItsOrder) {
  EXPECT_THAT(config("identity: {headers: {X-User: user.username, X-Mail: user.email, A: user.id}}").identity.headers,
              ElementsAre(Pair("X-User", "username"), Pair("X-Mail", "email"), Pair("A", "id")));
  EXPECT_THAT(config("identity: {headers: {}}").identity.headers, IsEmpty());
  const Identity identity = config("identity: {encoding: percent, hide_session_cookie: false}").identity;
  EXPECT_EQ(identity.encoding, Encoding::percent);
  EXPECT_FALSE(identity.hide_session_cookie);
}

TEST(Identity, RefusesWhatItCannotUse) {
  expect_problem("identity: {headers: apache}", "1:21: identity.headers: \"apache\" is no preset; allowed: remote, ");
  expect_problem("identity: {headers: {Cookie: user.id}}", "1:22: identity.headers.Cookie: ");
  expect_problem("identity: {headers: {X-A: username}}", "1:27: identity.headers.X-A: ");
  expect_problem("identity: {headers: {X-A: user.}}", "1:27: identity.headers.X-A: ");
  expect_problem("identity: {headers: {X-A: user.a.b}}", "1:27: identity.headers.X-A: ");
  expect_problem("identity: {headers: {X-A: session.id}}", "1:27: identity.headers.X-A: ");
  expect_problem("identity: {encoding: latin1}", "1:22: identity.encoding: ");
}

TEST(Identity, RefusesAliasesOfOneHeader) {
  expect_problem("identity: {headers: {X-User: user.id, x_user: user.name}}",
                 "1:39: identity.headers.x_user: is the same header as X-User");
  expect_problem("identity: {headers: {X-User: user.id, x-USER: user.name}}", "1:39: identity.headers.x-USER: ");
}

TEST(Downstreams, ReadsACgiProgram) {
  const Config c = config(
      "downstreams:\n"
      "  scripts: { cgi: { root: /cgi, timeout: 1m, max_processes: 2, max_body: 64KiB, env: { A: b, C: '' } } }\n"
      "  git: { cgi: { program: /git } }\n");
  const auto& scripts = std::get<CgiDownstream>(c.downstreams.at("scripts"));
  EXPECT_EQ(scripts.root, "/cgi");
  EXPECT_EQ(scripts.timeout, milliseconds(60'000));
  EXPECT_EQ(scripts.max_processes, 2U);
  EXPECT_EQ(scripts.max_body, 65'536U);
  EXPECT_THAT(scripts.env, ElementsAre(Pair("A", "b"), Pair("C", "")));
  EXPECT_EQ(std::get<CgiDownstream>(c.downstreams.at("git")).program, "/git");
}

TEST(Downstreams, ReadsAFastCgiApplication) {
  const auto php = std::get<FastCgiDownstream>(
      config("downstreams:\n  php:\n    fastcgi: { address: unix:php.sock, root: www, index: index.php, timeout: 5s,\n"
             "               extensions: [ .php, .phtml ], max_connections: 5, keep_connections: 2, max_body: 1,\n"
             "               answer_buffer: 1MiB, allow_x_accel: true, env: { A: b } }\n")
          .downstreams.at("php"));
  EXPECT_EQ(php.address, "unix:/etc/gatehouse/php.sock");
  EXPECT_EQ(php.root, "/etc/gatehouse/www");
  EXPECT_EQ(php.index, "index.php");
  EXPECT_THAT(php.extensions, ElementsAre(".php", ".phtml"));
  EXPECT_EQ(php.timeout, milliseconds(5'000));
  EXPECT_EQ(php.max_connections, 5U);
  EXPECT_EQ(php.keep_connections, 2U);
  EXPECT_EQ(php.max_body, 1U);
  EXPECT_EQ(php.answer_buffer, 1'048'576U);
  EXPECT_TRUE(php.allow_x_accel);
  EXPECT_THAT(php.env, ElementsAre(Pair("A", "b")));
}

TEST(Downstreams, AFastCgiApplicationMayBeOneScriptOrNoFile) {
  const Config c = config(
      "downstreams:\n  front: { fastcgi: { address: \"tcp:127.0.0.1:9000\", program: app/index.php, } "
      "}\n");
  const auto front = std::get<FastCgiDownstream>(c.downstreams.at("front"));
  EXPECT_EQ(front.program, "/etc/gatehouse/app/index.php");
  EXPECT_EQ(front.root, "");
  for (const std::string keys : {"", ", program: /x.php"}) {
    expect_problem("downstreams: {a: {fastcgi: {address: unix:/x" + keys +
                       "}}}\nroutes: [{path: \"/*/a/**\", access: public, downstream: a}]",
                   "2:17: routes[0].path: ");
  }
}

TEST(Downstreams, AreOfExactlyOneKind) {
  expect_problem("downstreams: {a: {}}", "1:15: downstreams.a: needs exactly one kind");
  expect_problem("downstreams: {a: {cgi: {root: /x}, fastcgi: {address: unix:/x}}}", "1:15: downstreams.a: ");
  expect_problem("downstreams: {a: text}", "1:18: downstreams.a: a text stands here");
  expect_problem("downstreams: {a: {cgi: {}}}", "1:24: downstreams.a.cgi: needs exactly one of root and program");
  expect_problem("downstreams: {a: {cgi: {root: /x, program: /y}}}", "1:24: downstreams.a.cgi: ");
}

TEST(Downstreams, RefuseWhatTheyCannotUse) {
  expect_problem("downstreams: {a.b: {cgi: {root: /x}}}", "1:15: downstreams.a.b: ");
  expect_problem("downstreams: {a: {cgi: {root: /x, timeout: 0}}}", "1:44: downstreams.a.cgi.timeout: ");
  expect_problem("downstreams: {a: {cgi: {root: /x, max_processes: 0}}}", "1:50: downstreams.a.cgi.max_processes: ");
  expect_problem("downstreams: {a: {cgi: {root: /x, max_body: 1MB}}}", "1:45: downstreams.a.cgi.max_body: ");
  expect_problem("downstreams: {a: {cgi: {root: /x, env: [A]}}}", "1:40: downstreams.a.cgi.env: ");
  expect_problem("downstreams: {a: {cgi: {root: /x, env: {REMOTE_USER: x}}}}",
                 "1:41: downstreams.a.cgi.env.REMOTE_USER: ");
  expect_problem("downstreams: {a: {cgi: {root: /x, env: {A: [x]}}}}", "1:44: downstreams.a.cgi.env.A: ");
  expect_problem("downstreams: {a: {cgi: {root: /x, env: {A: \"x\\ny\"}}}}", "1:44: downstreams.a.cgi.env.A: ");
  expect_problem("downstreams: {a: {fastcgi: {}}}", "1:28: downstreams.a.fastcgi.address: is missing");
  expect_problem("downstreams: {a: {fastcgi: {address: x}}}", "1:38: downstreams.a.fastcgi.address: ");
  expect_problem("downstreams: {a: {fastcgi: {address: unix:/x, index: a/b}}}", "1:54: downstreams.a.fastcgi.index: ");
  expect_problem("downstreams: {a: {fastcgi: {address: \"unix:/" + std::string(107, 'x') + "\"}}}",
                 "1:38: downstreams.a.fastcgi.address: is longer");
  expect_problem("downstreams: {a: {fastcgi: {address: unix:/x, env: {REDIRECT_URL: /y}}}}",
                 "1:53: downstreams.a.fastcgi.env.REDIRECT_URL: ");
  expect_problem("downstreams: {a: {fastcgi: {address: unix:/x, index: index.php}}}",
                 "1:54: downstreams.a.fastcgi.index: stands for a folder");
  expect_problem("downstreams: {a: {fastcgi: {address: unix:/x, root: /x, program: /y, index: index.php}}}",
                 "1:77: downstreams.a.fastcgi.index: stands for a folder");
  expect_problem("downstreams: {a: {fastcgi: {address: unix:/x, root: /x, index: index.html}}}",
                 "1:64: downstreams.a.fastcgi.index: has none of the extensions");
  expect_problem("downstreams: {a: {fastcgi: {address: unix:/x, root: /x, extensions: [php]}}}",
                 "1:70: downstreams.a.fastcgi.extensions[0]: ");
  expect_problem("downstreams: {a: {fastcgi: {address: unix:/x, extensions: [.php]}}}",
                 "1:59: downstreams.a.fastcgi.extensions: are those of scripts in a folder");
  expect_problem("downstreams: {a: {fastcgi: {address: unix:/x, max_connections: 0}}}",
                 "1:64: downstreams.a.fastcgi.max_connections: ");
  expect_problem("downstreams: {a: {fastcgi: {address: unix:/x, max_connections: 2, keep_connections: 3}}}",
                 "1:85: downstreams.a.fastcgi.keep_connections: ");
}

TEST(Routes, AreReadInTheirOrder) {
  const Config c = config(
      "downstreams: { s: { cgi: { root: /x } } }\n"
      "routes:\n"
      "  - { path: /public/**, access: public, downstream: s }\n"
      "  - path: /admin/**\n"
      "    hosts: [ Admin.Example.org:8443, '[::1]' ]\n"
      "    methods: [ GET, POST ]\n"
      "    access: authenticated\n"
      "    require: { roles: [ admin, ops ], email: '*@example.org' }\n"
      "    downstream: s\n"
      "  - { path: /x, access: deny }\n"
      "  - { path: /check/only, access: authenticated }\n");
  ASSERT_EQ(c.routes.size(), 4U);
  EXPECT_EQ(c.routes[0].path.text(), "/public/**");
  EXPECT_EQ(c.routes[0].access, policy::Access::public_);
  EXPECT_THAT(c.routes[1].hosts, ElementsAre("admin.example.org", "[::1]"));
  EXPECT_THAT(c.routes[1].methods, ElementsAre("GET", "POST"));
  EXPECT_THAT(c.routes[1].require,
              ElementsAre(Pair("email", ElementsAre("*@example.org")), Pair("roles", ElementsAre("admin", "ops"))));
  EXPECT_EQ(c.routes[1].downstream, "s");
  EXPECT_EQ(c.routes[2].access, policy::Access::deny);
  EXPECT_EQ(c.routes[3].downstream, "");
}

TEST(Routes, RefuseWhatTheyCannotUse) {
  expect_problem("routes: [{access: deny}]", "1:10: routes[0].path: is missing");
  expect_problem("routes: [{path: /}]", "1:10: routes[0].access: is missing");
  expect_problem("routes: [{path: a, access: deny}]", "1:17: routes[0].path: ");
  expect_problem("routes: [{path: '/**/a', access: deny}]", "1:17: routes[0].path: ");
  expect_problem("routes: [{path: /, access: everybody}]", "1:28: routes[0].access: ");
  expect_problem("routes: [{path: /, access: deny, methods: [get]}]", "1:44: routes[0].methods[0]: ");
  expect_problem("routes: [{path: /, access: deny, hosts: ['https://a/']}]", "1:42: routes[0].hosts[0]: ");
  expect_problem("routes: [{path: /, access: deny, downstream: ''}]", "1:46: routes[0].downstream: ");
}

// "hosts: []" would be every host to us and no host to whoever wrote it.
TEST(Routes, AnEmptyConditionIsAProblemAndNeverMeansAny) {
  for (const char* empty : {"[]", "~"}) {
    expect_problem("routes: [{path: /, access: deny, hosts: " + std::string(empty) + "}]",
                   "1:41: routes[0].hosts: is empty");
    expect_problem("routes: [{path: /, access: deny, methods: " + std::string(empty) + "}]",
                   "1:43: routes[0].methods: ");
    expect_problem("routes: [{path: /, access: deny, require: " + std::string(empty) + "}]",
                   "1:43: routes[0].require: ");
  }
  expect_problem("routes: [{path: /, access: deny, require: {}}]", "1:43: routes[0].require: is empty");
  expect_problem("routes: [{path: /, access: deny, require: {roles: []}}]", "1:51: routes[0].require.roles: is empty");
  expect_problem("routes: [{path: /, access: deny, require: {roles: ~}}]", "1:51: routes[0].require.roles: is empty");
  expect_problem("routes: [{path: /, access: deny, require: {user.roles: a}}]", "1:44: routes[0].require.user.roles: ");
  expect_problem("routes: [{path: /, access: deny, require: [roles]}]", "1:43: routes[0].require: a list stands here");
}

TEST(Login, ReadsItsKeys) {
  const Config c = config(
      "endpoints: { prefix: /sso, url: 'https://Auth.example.org:443' }\n"
      "login:\n  enabled: false\n  url: https://login.example.org/\n  templates: /t\n  min_password: 8\n  remember: "
      "false\n"
      "  allowed_return_hosts: [ a.example, 'b.example:8443' ]\n  throttle: { enabled: false }\n"
      "  hashes: { max: 2, queue: 0 }\n"
      "logout: { redirect: /bye }\n");
  EXPECT_EQ(c.endpoints.prefix, "/sso");
  EXPECT_EQ(c.endpoints.url, "https://auth.example.org");
  EXPECT_FALSE(c.login.enabled);
  EXPECT_EQ(c.login.url, "https://login.example.org/");
  EXPECT_EQ(c.login.templates, "/t");
  EXPECT_EQ(c.login.min_password, 8U);
  EXPECT_FALSE(c.login.remember);
  EXPECT_THAT(c.login.allowed_return_hosts, ElementsAre("a.example", "b.example:8443"));
  EXPECT_FALSE(c.login.throttle);
  EXPECT_EQ(c.login.max_hashes, 2U);
  EXPECT_EQ(c.login.hash_queue, 0U);
  EXPECT_EQ(c.logout_redirect, "/bye");
}

TEST(Login, RefusesWhatItCannotUse) {
  expect_problem("endpoints: {prefix: /}", "1:21: endpoints.prefix: ");
  expect_problem("endpoints: {url: 'https://a.example/auth'}", "1:18: endpoints.url: ");
  expect_problem("login: {url: 'javascript:x'}", "1:14: login.url: ");
  expect_problem("login: {min_password: 0}", "1:23: login.min_password: ");
  expect_problem("login: {allowed_return_hosts: ['https://a.example']}", "1:32: login.allowed_return_hosts[0]: ");
  expect_problem("login: {hashes: {max: 0}}", "1:23: login.hashes.max: ");
  expect_problem("login: {hashes: {queue: x}}", "1:25: login.hashes.queue: ");
  expect_problem("login: {throttle: {enabled: 1}}", "1:29: login.throttle.enabled: ");
  expect_problem("logout: {redirect: //evil.example}", "1:20: logout.redirect: ");
}

}  // namespace
}  // namespace gatehouse::config::testing
