// The whole of it: every problem at once, in order, each with its place.
#include "config/load.hpp"

#include "support.hpp"

namespace gatehouse::config::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST(Load, AnEmptyTextIsTheDefaultsAndAWarning) {
  const Loaded result = loaded("");
  const Config defaults;
  EXPECT_EQ(result.config.listen, defaults.listen);
  EXPECT_EQ(result.config.store, defaults.store);
  EXPECT_EQ(result.config.session.cookie.name, "__Host-session");
  EXPECT_EQ(result.config.file, "/etc/gatehouse/gatehouse.yaml");
  EXPECT_THAT(result.warnings, ElementsAre(HasSubstr("routes: there are no routes")));
}

TEST(Load, ReportsEveryProblemInTheOrderOfTheFile) {
  EXPECT_THAT(problems("threads: many\n"
                       "log: { level: loud, formt: json }\n"
                       "session:\n"
                       "  cookie: { secure: false }\n"
                       "  idle_period: 5\n"
                       "routes:\n"
                       "  - { path: /**, downstream: nobody }\n"),
              ElementsAre(StartsWith("1:10: threads: \"many\" does not fit; allowed: auto"),
                          StartsWith("2:15: log.level: \"loud\" is none of them; allowed: debug, info, warn, error"),
                          StartsWith("2:21: log.formt: is an unknown key; allowed: format, level"),
                          StartsWith("4:21: session.cookie.secure: "),
                          StartsWith("5:16: session.idle_period: \"5\" is no duration here; allowed: "),
                          StartsWith("7:5: routes[0].access: is missing; allowed: "),
                          StartsWith("7:30: routes[0].downstream: \"nobody\" is no downstream; allowed: none")));
}

TEST(Load, AMessageIsFileLineColumnKeyAndText) {
  const Problem problem{
      .file = "/etc/g.yaml", .line = 3, .column = 7, .key = "a.b", .text = "is wrong; allowed: right"};
  EXPECT_EQ(problem.message(), "/etc/g.yaml:3:7: a.b: is wrong; allowed: right");
  EXPECT_EQ((Problem{.file = "f", .line = 0, .column = 0, .key = "", .text = "t"}.message()), "f: t");
  EXPECT_EQ((Problem{.file = "f", .line = 1, .column = 2, .key = "", .text = "t"}.message()), "f:1:2: t");
}

TEST(Load, ASyntaxErrorHasItsPlace) {
  const auto messages = problems("threads: auto\nlisten: [ a, b\nlog: {}\n");
  ASSERT_EQ(messages.size(), 1U);
  EXPECT_THAT(messages.front(), StartsWith("3:"));
  EXPECT_THAT(messages.front(), HasSubstr("not YAML"));
}

TEST(Load, UnknownKeysAreProblemsInEverySection) {
  for (const char* path : {"",
                           "socket",
                           "csrf",
                           "admin",
                           "log",
                           "store",
                           "store.sqlite",
                           "store.mysql",
                           "store.mysql.tls",
                           "store.mysql.pool",
                           "store.tables",
                           "session",
                           "session.cookie",
                           "session.cache",
                           "identity",
                           "endpoints",
                           "login",
                           "login.throttle",
                           "login.hashes",
                           "logout"}) {
    std::string text = "{zzz: 1}";
    const std::string full = path;
    for (std::size_t end = full.size(); !full.empty() && end != std::string::npos;) {
      const std::size_t dot = full.rfind('.', end - 1);
      const std::size_t begin = dot == std::string::npos ? 0 : dot + 1;
      text.insert(0, "{" + full.substr(begin, end - begin) + ": ").append("}");
      end = dot;
    }
    const auto messages = problems(text);
    ASSERT_EQ(messages.size(), 1U) << text << ::testing::PrintToString(messages);
    EXPECT_THAT(messages.front(), HasSubstr((full.empty() ? "" : full + ".") + "zzz: is an unknown key; allowed: "))
        << text;
  }
  expect_problem("downstreams: {a: {cgi: {root: /x, zzz: 1}}}", "1:35: downstreams.a.cgi.zzz: ");
  expect_problem("downstreams: {a: {cgi: {root: /x}, zzz: 1}}", "1:36: downstreams.a.zzz: ");
  expect_problem("downstreams: {a: {fastcgi: {address: unix:/x, zzz: 1}}}", "1:47: downstreams.a.fastcgi.zzz: ");
  expect_problem("routes: [{path: /, access: deny, zzz: 1}]", "1:34: routes[0].zzz: ");
}

TEST(Load, DoubledKeysAreProblemsAtAnyDepth) {
  expect_problem("threads: 1\nlog: {}\nthreads: 2\n", "3:1: threads: is there twice, first in line 1");
  expect_problem("log: {level: info, level: debug}", "1:20: log.level: is there twice");
  expect_problem("routes: [{path: /a, access: deny, path: /b}]", "1:35: routes[0].path: is there twice");
  expect_problem("downstreams: {a: {cgi: {root: /x, env: {A: 1, A: 2}}}}",
                 "1:47: downstreams.a.cgi.env.A: is there twice");
}

TEST(Load, WrongShapesAreProblems) {
  expect_problem("[a]", "1:1: a list stands here; allowed: a map");
  expect_problem("just text", "1:1: a text stands here");
  expect_problem("log: debug", "1:6: log: a text stands here; allowed: a map");
  expect_problem("log: [debug]", "1:6: log: a list stands here");
  expect_problem("log: {level: [debug]}", "1:14: log.level: a list stands here; allowed: debug, info");
  expect_problem("log: {level: }", "1:14: log.level: there is no value");
  expect_problem("threads: {a: b}", "1:10: threads: a map stands here");
  expect_problem("session: {active_period: [1h]}", "1:26: session.active_period: a list stands here");
  expect_problem("store: {sqlite: {path: [x]}}", "1:24: store.sqlite.path: a list stands here");
  expect_problem("listen: {a: b}", "1:9: listen: a map stands here");
  expect_problem("listen: [[unix:/x]]", "1:10: listen[0]: a list stands here");
  expect_problem("routes: {path: /}", "1:9: routes: a map stands here; allowed: a list");
  expect_problem("routes: [text]", "1:10: routes[0]: a text stands here");
  expect_problem("downstreams: [a]", "1:14: downstreams: a list stands here");
  expect_problem("identity: {headers: [a]}", "1:21: identity.headers: a list stands here");
  expect_problem("identity: {headers: {X-A: [a]}}", "1:27: identity.headers.X-A: a list stands here");
  expect_problem("login: {enabled: yes}", "1:18: login.enabled: \"yes\" is none of them; allowed: true, false");
  expect_problem("store: {mysql: {password: [a]}}", "1:27: store.mysql.password: a list stands here");
}

TEST(Load, ASectionOfCommentsIsAnEmptySection) {
  EXPECT_EQ(config("log:\n  # level: debug\nlogin:\nroutes:\ndownstreams:\n").log.level, LogLevel::info);
}

TEST(Load, OneTextIsAListOfOne) {
  const Config c = config(
      "listen: unix:/a\ntrusted_proxies: ::1\ncsrf: {allowed_origins: 'https://a.example'}\n"
      "login: {allowed_return_hosts: a.example}\n"
      "routes: [{path: /, access: authenticated, hosts: A.example, methods: GET, require: {roles: x}}]");
  EXPECT_THAT(c.listen, ElementsAre("unix:/a"));
  EXPECT_THAT(c.trusted_proxies, ElementsAre("::1"));
  EXPECT_THAT(c.csrf_allowed_origins, ElementsAre("https://a.example"));
  EXPECT_THAT(c.login.allowed_return_hosts, ElementsAre("a.example"));
  EXPECT_THAT(c.routes.at(0).hosts, ElementsAre("a.example"));
  EXPECT_THAT(c.routes.at(0).methods, ElementsAre("GET"));
  EXPECT_THAT(c.routes.at(0).require.at("roles"), ElementsAre("x"));
}

TEST(Load, AnEntryOfAListHasItsOwnPlace) {
  expect_problem("listen:\n  - unix:/a\n  - nonsense\n", "3:5: listen[1]: \"nonsense\" is no address");
}

TEST(Load, AliasesAreRead) {
  const Config c = config(
      "listen: &l [unix:/a]\ncsrf: {allowed_origins: &o ['https://a.example']}\n"
      "downstreams: {a: &d {cgi: {root: /x}}, b: *d}\n");
  EXPECT_EQ(c.downstreams.size(), 2U);
  expect_problem("log: {level: &x loud}\nthreads: 1\nidentity: {encoding: utf8}", "1:14: log.level: ");
}

TEST(Load, RelativePathsBeginAtTheFile) {
  const Config c = config(
      "listen: [unix:run/g.sock, 'tcp:127.0.0.1:9000']\nstore: {sqlite: {path: ../g.db}}\n"
      "downstreams: {a: {cgi: {root: cgi}}}\nlogin: {templates: t}\n");
  EXPECT_THAT(c.listen, ElementsAre("unix:/etc/gatehouse/run/g.sock", "tcp:127.0.0.1:9000"));
  EXPECT_EQ(c.store.sqlite_path, "/etc/g.db");
  EXPECT_EQ(std::get<CgiDownstream>(c.downstreams.at("a")).root, "/etc/gatehouse/cgi");
  EXPECT_EQ(c.login.templates, "/etc/gatehouse/t");
}

TEST(Load, AMessageNeverHoldsAControlByteOfTheFile) {
  for (const char* text : {"log: {level: \"a\\nb\"}", "{\"a\\nb\": 1}", "downstreams: {\"a\\nb\": {cgi: {root: /x}}}",
                           "threads: \"\\e[31m\""}) {
    for (const std::string& message : problems(text)) EXPECT_THAT(message, Not(::testing::ContainsRegex("[\n\x1b]")));
    EXPECT_FALSE(problems(text).empty()) << text;
  }
  expect_problem("endpoints: {url: \"a\\0b\"}", "1:18: endpoints.url: ");
}

TEST(Load, EveryBeginningOfAFileIsHandled) {
  const std::string text =
      "session: {cookie: {name: a}}\nroutes:\n  - {path: /a/**, access: public, require: {a: [b]}}\n"
      "identity: {headers: {X-A: user.a}}\ndownstreams: {a: {cgi: {env: {A: b}}}}\n";
  for (std::size_t length = 0; length < text.size(); ++length) {
    const auto result = load_text(text.substr(0, length), "f");
    EXPECT_TRUE(result || !result.error().empty()) << length;
  }
}

}  // namespace
}  // namespace gatehouse::config::testing
