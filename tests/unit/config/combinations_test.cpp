// Keys that are right alone and wrong together, and what this version does not serve.
#include "support.hpp"

namespace gatehouse::config::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

TEST(Combination, APrefixedCookieIsSecure) {
  expect_problem("session: {cookie: {secure: false}}", "1:28: session.cookie.secure: ");
  expect_problem("session: {cookie: {name: __Secure-a, secure: false}}", "1:46: session.cookie.secure: ");
  expect_problem("session: {cookie: {name: __host-a, secure: false}}", "1:44: session.cookie.secure: ");
  EXPECT_FALSE(config("session: {cookie: {name: session, secure: false}}").session.cookie.secure);
  EXPECT_FALSE(config("session: {profile: lucia, cookie: {secure: false}}").session.cookie.secure);
}

TEST(Combination, AHostCookieHasNoDomainAndPathSlash) {
  expect_problem("session: {cookie: {domain: example.org}}", "1:28: session.cookie.domain: ");
  expect_problem("session: {cookie: {path: /auth}}", "1:26: session.cookie.path: ");
  EXPECT_EQ(config("session: {cookie: {name: __Secure-a, domain: example.org, path: /auth}}").session.cookie.path,
            "/auth");
}

TEST(Combination, SameSiteNoneIsSecure) {
  expect_problem("session: {cookie: {name: a, secure: false, same_site: none}}", "1:55: session.cookie.same_site: ");
  EXPECT_EQ(config("session: {cookie: {same_site: none}}").session.cookie.same_site, auth::SameSite::none);
}

TEST(Combination, ACookieFitsInto4096Bytes) {
  expect_problem("session: {cookie: {name: " + std::string(4000, 'a') + "}}", "1:26: session.cookie.name: ");
  EXPECT_TRUE(load_text("session: {cookie: {name: " + std::string(3900, 'a') + "}}", "f"));
}

TEST(Combination, ACookieThatDoesNotReachTheEndpointsIsAWarning) {
  expect_warning("session: {cookie: {name: a, path: /app}}", "1:35: session.cookie.path: ");
  for (const char* path : {"/", "/auth", "/auth/"}) {
    const auto result = loaded("session: {cookie: {name: a, path: " + std::string(path) +
                               "}}\nendpoints: {prefix: /auth/x}\nroutes: [{path: /, access: deny}]");
    EXPECT_THAT(result.warnings, IsEmpty()) << path;
  }
  expect_warning("session: {cookie: {name: a, path: /au}}", "1:35: session.cookie.path: ");
}

TEST(Combination, LuciasTablesWantLuciasProfile) {
  EXPECT_THAT(problems("store: {schema: lucia-v2}"),
              ElementsAre(AllOf(StartsWith("1:17: store.schema: Lucia's tables cannot hold"),
                                HasSubstr("allowed: set session.profile: lucia"))));
  EXPECT_THAT(problems("store: {schema: lucia-v1}\n"
                       "session: {profile: lucia, renewal: rotate, token_storage: sha256, max_lifetime: 1d}"),
              ElementsAre(StartsWith("2:36: session.renewal: rotate has no place in Lucia's tables; allowed: extend"),
                          StartsWith("2:59: session.token_storage: sha256 has no place"),
                          StartsWith("2:81: session.max_lifetime: a lifetime has no place")));
  EXPECT_THAT(problems("store: {schema: lucia-v1}\nsession: {profile: lucia}"), IsEmpty());
  EXPECT_THAT(problems("store: {schema: lucia-v1}\n"
                       "session: {renewal: extend, token_storage: plain, max_lifetime: 0}"),
              IsEmpty());
}

TEST(Combination, TablesOfLucia1HaveTheirOwnNames) {
  expect_warning("store: {schema: lucia-v1, tables: {user: people}}\nsession: {profile: lucia}",
                 "1:42: store.tables.user: is not looked at");
  EXPECT_THAT(loaded("store: {schema: lucia-v2, tables: {user: people}}\nsession: {profile: lucia}\n"
                     "routes: [{path: /, access: deny}]")
                  .warnings,
              IsEmpty());
}

TEST(Combination, ADatabaseElsewhereWantsTls) {
  const std::string store = "store: {driver: mysql, mysql: {hosts: ['unix:/s', 'db1:3306'], tls: {mode: ";
  expect_warning(store + "off}}}", "1:39: store.mysql.hosts: \"db1:3306\" is reached in clear");
  expect_warning(store + "verify, ca_file: /nowhere/ca.pem}}}",
                 "1:93: store.mysql.tls.ca_file: \"/nowhere/ca.pem\" cannot be read");
  EXPECT_THAT(loaded(store + "verify}}}\nroutes: [{path: /, access: deny}]").warnings, IsEmpty());
  EXPECT_THAT(loaded("store: {driver: mysql, mysql: {hosts: ['127.0.0.1:3306', '[::1]:3306', 'localhost:3306']}}\n"
                     "routes: [{path: /, access: deny}]")
                  .warnings,
              IsEmpty());
}

TEST(Combination, AuthoritiesWantTls) {
  expect_problem("store: {driver: mysql, mysql: {tls: {ca_file: /ca.pem}}}",
                 "1:47: store.mysql.tls.ca_file: stands beside mode: off");
}

TEST(Combination, ANameOfADatabaseIsAnIdentifier) {
  for (const char* name : {"''", "'a b'", "'a`b'", "'a;b'", "'a/b'", "'größe'"}) {
    EXPECT_THAT(problems("store: {mysql: {database: " + std::string(name) + "}}"),
                Contains(StartsWith("1:27: store.mysql.database: ")))
        << name;
  }
  EXPECT_THAT(problems("store: {mysql: {database: my-app_1$}}"), IsEmpty());
}

TEST(Combination, TablesHaveThreeNames) {
  expect_problem("store: {tables: {key: user}}", "1:23: store.tables.key: ");
  expect_problem("store: {tables: {session: USER_KEY}}", "1:27: store.tables.session: ");
  expect_problem("store: {tables: {user: user_session}}", "1:17: store.tables.session: ");
}

TEST(Combination, ARouteNamesADownstreamThatIsThere) {
  EXPECT_THAT(problems("downstreams: {a: {cgi: {root: /x}}, b: {cgi: {root: /x}}}\n"
                       "routes: [{path: /, access: deny, downstream: c}]"),
              ElementsAre(StartsWith("2:46: routes[0].downstream: \"c\" is no downstream; allowed: a, b")));
  // A faulty downstream is one problem, not one for each of its routes.
  expect_problem("downstreams: {a: {cgi: {}}}\nroutes: [{path: /, access: public, downstream: a}]",
                 "1:24: downstreams.a.cgi: ");
}

TEST(Combination, APublicRouteRequiresNothing) {
  expect_problem("routes: [{path: /, access: public, require: {roles: a}}]", "1:45: routes[0].require: ");
}

TEST(Combination, OneProgramWantsItsWildcardLast) {
  const std::string program = "downstreams: {git: {cgi: {program: /git}}, s: {cgi: {root: /s}}}\nroutes: [{path: ";
  expect_problem(program + "'/*/git/**', access: public, downstream: git}]", "2:17: routes[0].path: ");
  expect_problem(program + "'/a*/git', access: public, downstream: git}]", "2:17: routes[0].path: ");
  for (const char* good :
       {"'/git/**', access: public, downstream: git}]", "'/git/*', access: public, downstream: git}]",
        "'/git', access: public, downstream: git}]", "'/*/git/**', access: public, downstream: s}]"}) {
    EXPECT_EQ(config(program + good).routes.size(), 1U);
  }
}

TEST(Combination, AnAddressIsListenedOnOnce) {
  expect_problem("listen: [unix:/a, unix:/a]", "1:19: listen[1]: ");
  expect_problem("listen: [unix:/a, unix:/b/../a]", "1:19: listen[1]: ");
}

TEST(Combination, AUnixPathFitsIntoItsAddress) {
  expect_problem("listen: unix:/" + std::string(107, 'a'), "1:9: listen: ");
  EXPECT_EQ(config("listen: unix:/" + std::string(106, 'a')).listen.size(), 1U);
  const auto result = load_text("listen: unix:" + std::string(100, 'a'), "/etc/gatehouse/g.yaml");
  EXPECT_FALSE(result.has_value());
}

TEST(Combination, OpenDoorsAreWarnings) {
  expect_warning("listen: 'tcp:0.0.0.0:9000'", "1:9: listen: ");
  expect_warning("listen: ['tcp:127.0.0.1:9000', 'tcp:[::]:9000']", "1:32: listen[1]: ");
  expect_warning("listen_http: 'tcp:127.0.0.1:9000'", "1:14: listen_http: over tcp nobody's forwarded headers count");
  EXPECT_THAT(
      loaded("listen_http: 'tcp:127.0.0.1:9000'\ntrusted_proxies: [127.0.0.1]\nroutes: [{path: /, access: deny}]")
          .warnings,
      IsEmpty());
  expect_warning("socket: {mode: '0666'}", "1:16: socket.mode: ");
  expect_warning("login: {min_password: 7}", "1:23: login.min_password: ");
  expect_warning("routes: []", "1:9: routes: ");
  EXPECT_THAT(loaded("listen: ['tcp:127.0.0.1:9000', 'tcp:[::1]:9000']\nroutes: [{path: /, access: deny}]").warnings,
              IsEmpty());
}

TEST(Unserved, WhatComesLaterIsAProblem) {
  expect_problem("admin: {listen: 'tcp:127.0.0.1:9150'}", "1:17: admin.listen: is not in this version yet");
  expect_problem("login: {breached_file: /x}", "1:24: login.breached_file: is not in this version yet");
}

TEST(Unserved, ItsValuesAreCheckedAllTheSame) {
  EXPECT_THAT(problems("store: {driver: mysql, mysql: {timeout: soon}}"),
              Contains(StartsWith("1:41: store.mysql.timeout: ")));
  EXPECT_THAT(problems("listen_http: nonsense"),
              ElementsAre(StartsWith("1:14: listen_http: \"nonsense\" is no address")));
}

}  // namespace
}  // namespace gatehouse::config::testing
