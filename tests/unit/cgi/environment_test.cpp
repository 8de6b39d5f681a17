// A request in, a script's environment out.
#include "cgi/environment.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "requests.hpp"

namespace gatehouse::cgi {
namespace {

using namespace std::string_literals;
using testing::Contains;
using testing::Each;
using testing::Not;
using testing::StartsWith;

// ---- The environment of a script ----

http::Request page(Variables more = {}) {
  return read(with(std::move(more)));
}

const Script kScript{.filename = "/srv/cgi/app", .script_name = "/app", .path_info = "", .root = "/srv/cgi"};

std::optional<std::string> value(const std::vector<std::string>& environment, const std::string& name) {
  std::optional<std::string> found;
  for (const auto& line : environment) {
    if (!line.starts_with(name + "=")) continue;
    EXPECT_FALSE(found) << name << " is there twice";
    found = line.substr(name.size() + 1);
  }
  return found;
}

TEST(ScriptEnvironment, HoldsWhatRfc3875Names) {
  const auto request = page({{"REQUEST_URI", "/app/x%20y?a=b"},
                             {"SERVER_NAME", "example.org"},
                             {"SERVER_PORT", "8443"},
                             {"HTTPS", "on"},
                             {"REMOTE_ADDR", "192.0.2.7"},
                             {"REMOTE_PORT", "99"},
                             {"SERVER_ADDR", "192.0.2.1"},
                             {"HTTP_HOST", "example.org"},
                             {"HTTP_ACCEPT_LANGUAGE", "de"},
                             {"REQUEST_METHOD", "POST"},
                             {"CONTENT_TYPE", "text/plain"},
                             {"CONTENT_LENGTH", "3"}});
  const Script script{.filename = "/srv/cgi/app", .script_name = "/app", .path_info = "/x y", .root = "/srv/cgi"};
  const auto environment = script_environment(request, script, {}, {});
  EXPECT_EQ(value(environment, "GATEWAY_INTERFACE"), "CGI/1.1");
  EXPECT_EQ(value(environment, "SERVER_SOFTWARE"), "Gatehouse");
  EXPECT_EQ(value(environment, "SERVER_PROTOCOL"), "HTTP/1.1");
  EXPECT_EQ(value(environment, "SERVER_NAME"), "example.org");
  EXPECT_EQ(value(environment, "SERVER_PORT"), "8443");
  EXPECT_EQ(value(environment, "SERVER_ADDR"), "192.0.2.1");
  EXPECT_EQ(value(environment, "REMOTE_ADDR"), "192.0.2.7");
  EXPECT_EQ(value(environment, "REMOTE_PORT"), "99");
  EXPECT_EQ(value(environment, "REQUEST_SCHEME"), "https");
  EXPECT_EQ(value(environment, "HTTPS"), "on");
  EXPECT_EQ(value(environment, "REQUEST_METHOD"), "POST");
  EXPECT_EQ(value(environment, "REQUEST_URI"), "/app/x%20y?a=b");
  EXPECT_EQ(value(environment, "QUERY_STRING"), "a=b");
  EXPECT_EQ(value(environment, "SCRIPT_NAME"), "/app");
  EXPECT_EQ(value(environment, "SCRIPT_FILENAME"), "/srv/cgi/app");
  EXPECT_EQ(value(environment, "PATH_INFO"), "/x y");
  EXPECT_EQ(value(environment, "PATH_TRANSLATED"), "/srv/cgi/x y");
  EXPECT_EQ(value(environment, "DOCUMENT_ROOT"), "/srv/cgi");
  EXPECT_EQ(value(environment, "CONTENT_TYPE"), "text/plain");
  EXPECT_EQ(value(environment, "CONTENT_LENGTH"), "3");
  EXPECT_EQ(value(environment, "HTTP_HOST"), "example.org");
  EXPECT_EQ(value(environment, "HTTP_ACCEPT_LANGUAGE"), "de");
  EXPECT_EQ(value(environment, "REDIRECT_STATUS"), "200");
}

TEST(ScriptEnvironment, ShowsTheDecidedPath) {
  const auto request = page({{"GATEHOUSE_PATH", "/b c"}, {"REQUEST_URI", "/other?x"}});
  EXPECT_EQ(value(script_environment(request, kScript, {}, {}), "REQUEST_URI"), "/b%20c?x");
}

TEST(ScriptEnvironment, LeavesOutWhatThereIsNot) {
  const auto environment = script_environment(page(), kScript, {}, {});
  EXPECT_EQ(value(environment, "QUERY_STRING"), "");
  EXPECT_EQ(value(environment, "SERVER_PORT"), "80");
  for (const auto* name : {"PATH_INFO", "PATH_TRANSLATED", "CONTENT_TYPE", "CONTENT_LENGTH", "HTTPS", "HTTP_HOST",
                           "REMOTE_USER", "AUTH_TYPE", "GATEHOUSE_USER_ID", "GATEHOUSE_SESSION_STATE"}) {
    EXPECT_EQ(value(environment, name), std::nullopt) << name;
  }
}

TEST(ScriptEnvironment, ProgramWithoutRootHasNoDocumentRoot) {
  const Script script{.filename = "/usr/lib/git", .script_name = "/git", .path_info = "/x", .root = ""};
  const auto environment = script_environment(page(), script, {}, {});
  EXPECT_EQ(value(environment, "PATH_INFO"), "/x");
  EXPECT_EQ(value(environment, "DOCUMENT_ROOT"), std::nullopt);
  EXPECT_EQ(value(environment, "PATH_TRANSLATED"), std::nullopt);
}

TEST(ScriptEnvironment, MountStandsInFront) {
  const auto request = read({{"REQUEST_METHOD", "GET"}, {"SCRIPT_NAME", "/cgi bin/gate"}, {"PATH_INFO", "/app"}}, true);
  const auto environment = script_environment(request, kScript, {}, {});
  EXPECT_EQ(value(environment, "SCRIPT_NAME"), "/cgi bin/gate/app");
  EXPECT_EQ(value(environment, "REQUEST_URI"), "/cgi%20bin/gate/app");
}

TEST(ScriptEnvironment, IdentityIsSet) {
  const Identity identity{
      .remote_user = "alice", .user_id = "u1", .session_state = "active", .headers = {{"Remote-User", "alice"}}};
  const auto environment = script_environment(page(), kScript, identity, {});
  EXPECT_EQ(value(environment, "REMOTE_USER"), "alice");
  EXPECT_EQ(value(environment, "AUTH_TYPE"), "Gatehouse");
  EXPECT_EQ(value(environment, "GATEHOUSE_USER_ID"), "u1");
  EXPECT_EQ(value(environment, "GATEHOUSE_SESSION_STATE"), "active");
  EXPECT_EQ(value(environment, "HTTP_REMOTE_USER"), "alice");
}

TEST(ScriptEnvironment, WithoutUserOnlyEmptyHeadersAreSet) {
  const Identity identity{.remote_user = {}, .user_id = {}, .session_state = {}, .headers = {{"Remote-User", ""}}};
  const auto environment = script_environment(page({{"HTTP_REMOTE_USER", "evil"}}), kScript, identity, {});
  EXPECT_EQ(value(environment, "HTTP_REMOTE_USER"), "");
  EXPECT_EQ(value(environment, "REMOTE_USER"), std::nullopt);
  EXPECT_EQ(value(environment, "AUTH_TYPE"), std::nullopt);
}

TEST(ScriptEnvironment, EmptyUserNameIsNone) {
  const Identity identity{.remote_user = "", .user_id = "", .session_state = "", .headers = {}};
  EXPECT_EQ(value(script_environment(page(), kScript, identity, {}), "REMOTE_USER"), std::nullopt);
}

TEST(ScriptEnvironment, IdentityReplacesEveryAlias) {
  http::Request request = page();
  for (const auto& name : {"x-user"s, "X_User"s, "x.user"s, "x user"s, "x[user"s, "x-user\0x"s}) {
    request.headers.add(name, "evil");
  }
  const Identity identity{.remote_user = {}, .user_id = {}, .session_state = {}, .headers = {{"X-User", "alice"}}};
  const auto environment = script_environment(request, kScript, identity, {});
  EXPECT_EQ(value(environment, "HTTP_X_USER"), "alice");
  EXPECT_THAT(environment, Each(Not(testing::HasSubstr("evil"))));
}

TEST(ScriptEnvironment, ClientNamesStayBehindHttp) {
  http::Request request = page();
  request.headers.add("remote-user", "evil");
  request.headers.add("php-value", "evil");
  request.headers.add("ld-preload", "evil");
  request.headers.add("gatehouse-user-id", "evil");
  request.headers.add("script-filename", "evil");
  const auto environment = script_environment(request, kScript, {}, {});
  for (const auto* name : {"REMOTE_USER", "PHP_VALUE", "LD_PRELOAD", "GATEHOUSE_USER_ID"}) {
    EXPECT_EQ(value(environment, name), std::nullopt) << name;
  }
  EXPECT_EQ(value(environment, "SCRIPT_FILENAME"), "/srv/cgi/app");
}

TEST(ScriptEnvironment, NeverSetsWhatProgramsTakeForOrders) {
  http::Request request = page();
  for (const auto* name : {"proxy", "authorization", "content-length", "content-type", "redirect-status"}) {
    request.headers.add(name, "evil");
  }
  const std::map<std::string, std::string> extra{
      {"HTTP_PROXY", "evil"}, {"PHP_VALUE", "evil"}, {"PHP_ADMIN_VALUE", "evil"}, {"LD_PRELOAD", "evil"}};
  const auto environment = script_environment(request, kScript, {}, extra);
  EXPECT_THAT(environment, Each(Not(testing::HasSubstr("evil"))));
}

TEST(ScriptEnvironment, ConfiguredValuesComeLast) {
  const auto environment =
      script_environment(page(), kScript, {}, {{"GIT_PROJECT_ROOT", "/srv/git"}, {"SERVER_SOFTWARE", "mine"}});
  EXPECT_EQ(value(environment, "GIT_PROJECT_ROOT"), "/srv/git");
  EXPECT_EQ(value(environment, "SERVER_SOFTWARE"), "mine");
}

TEST(ScriptEnvironment, NoLineCanBecomeTwo) {
  http::Request request = page();
  request.headers.add("x-name", "a\0REMOTE_USER=evil"s);
  const auto environment = script_environment(request, kScript, {}, {{"A=B", "c"}, {"", "d"}});
  EXPECT_THAT(environment, Each(Not(testing::HasSubstr("evil"))));
  EXPECT_THAT(environment, Not(Contains(StartsWith("A="))));
  EXPECT_THAT(environment, Not(Contains(StartsWith("="))));
}

TEST(ScriptEnvironment, InheritsOnlyFourVariables) {
  // NOLINTBEGIN(concurrency-mt-unsafe): this program has one thread.
  ASSERT_EQ(::setenv("GATEHOUSE_SECRET", "hidden", 1), 0);
  ASSERT_EQ(::setenv("LANG", "de_DE.UTF-8", 1), 0);
  ASSERT_EQ(::setenv("TZ", "UTC", 1), 0);
  // NOLINTEND(concurrency-mt-unsafe)
  const auto environment = script_environment(page(), kScript, {}, {});
  EXPECT_THAT(environment, Each(Not(testing::HasSubstr("hidden"))));
  EXPECT_EQ(value(environment, "LANG"), "de_DE.UTF-8");
  EXPECT_EQ(value(environment, "TZ"), "UTC");
  EXPECT_NE(value(environment, "PATH"), std::nullopt);
  EXPECT_EQ(value(environment, "HOME"), std::nullopt);
}

TEST(ScriptEnvironment, DoubledHeadersBecomeOneVariable) {
  http::Request request = page();
  request.headers.add("x-tag", "a");
  request.headers.add("X-Tag", "b");
  request.headers.add("cookie", "c=1");
  request.headers.add("cookie", "d=2");
  const auto environment = script_environment(request, kScript, {}, {});
  EXPECT_EQ(value(environment, "HTTP_X_TAG"), "a, b");
  EXPECT_EQ(value(environment, "HTTP_COOKIE"), "c=1; d=2");
}

// ---- The parameters of an application ----

TEST(ScriptVariables, AreTheEnvironmentWithoutWhatAProgramInherits) {
  const auto request = page({{"HTTP_ACCEPT", "*/*"}});
  Variables variables = script_variables(request, kScript, {}, {{"APP_ENV", "test"}});
  std::vector<std::string> lines;
  for (const auto& [name, value] : variables) lines.push_back(name + "=" + value);
  std::vector<std::string> environment = script_environment(request, kScript, {}, {{"APP_ENV", "test"}});
  std::erase_if(environment, [](const std::string& line) {
    return line.starts_with("PATH=") || line.starts_with("LANG=") || line.starts_with("LC_ALL=") ||
           line.starts_with("TZ=");
  });
  EXPECT_EQ(lines, environment);
  EXPECT_THAT(lines, Contains("APP_ENV=test"));
}

TEST(ScriptVariables, AnApplicationThatIsNoFileHasNoFileName) {
  const Script script{.filename = "", .script_name = "/tool", .path_info = "/x", .root = ""};
  for (const auto& [name, value] : script_variables(page(), script, {}, {})) {
    EXPECT_THAT((std::vector<std::string>{"SCRIPT_FILENAME", "DOCUMENT_ROOT", "PATH_TRANSLATED"}), Not(Contains(name)));
    EXPECT_FALSE(name == "SCRIPT_NAME" && value != "/tool");
  }
}

}  // namespace
}  // namespace gatehouse::cgi
