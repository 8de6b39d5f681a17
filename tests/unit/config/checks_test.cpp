#include "config/checks.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace gatehouse::config {
namespace {

struct Case {
  const char* name;
  Check check;
  std::vector<std::string> good;
  std::vector<std::string> bad;
};

std::vector<Case> cases() {
  return {
      {"table",
       check_table,
       {"user", "_u", "User_2", std::string(63, 'a')},
       {"", "2user", "us-er", "user`", "us er", "ü", std::string(64, 'a'), "rotated_session", "Rotated_Session",
        "gatehouse_schema", "Gatehouse_new_user", "sqlite_x"}},
      {"attribute", check_attribute, {"roles", "email", "staff_id", "A1"}, {"", "user.roles", "1a", "a-b", "a b"}},
      {"downstream name", check_downstream_name, {"scripts", "php-8_2"}, {"", "a.b", "a b", "ä"}},
      {"listen",
       check_listen,
       {"unix:/run/x.sock", "unix:x.sock", "tcp:127.0.0.1:9000", "tcp:[::1]:9000", "tcp:0.0.0.0:1",
        "tcp:127.0.0.1:65535"},
       {"", "unix:", "unix:@x", "/run/x.sock", "127.0.0.1:9000", "tcp:9000", "tcp::9000", "tcp:localhost:9000",
        "tcp:127.0.0.1", "tcp:127.0.0.1:0", "tcp:127.0.0.1:65536", "tcp:127.0.0.1:09", "tcp:::1:9000",
        "udp:127.0.0.1:1"}},
      {"connect",
       check_connect,
       {"unix:/run/php.sock", "tcp:php:9000", "tcp:127.0.0.1:9000"},
       {"", "php:9000", "tcp:php"}},
      {"mysql host",
       check_mysql_host,
       {"unix:/run/mysqld/mysqld.sock", "db1.example.org:3306", "[::1]:3306"},
       {"", "db1", "db1:", "db1:0", "a b:3306", "unix:"}},
      {"proxy",
       check_proxy,
       {"127.0.0.1", "::1", "10.0.0.0/8", "2001:db8::/32", "0.0.0.0/0", "::/128"},
       {"", "localhost", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0/8", "10.0.0.0/8/8", "10.0.0.0/-1", "[::1]",
        "10.0.0.0/08"}},
      {"host",
       check_host,
       {"example.org", "EXAMPLE.org:8080", "localhost", "[::1]:80", "[::1]", "192.0.2.1"},
       {"", "https://example.org", "example.org/", "a b", "example.org:", "example.org:x", "a..b", ".a", "::1",
        "*.example.org"}},
      {"method", check_method, {"GET", "M-SEARCH", "PROPFIND"}, {"", "get", "GET,POST", "GET ", "Get", "--", "*"}},
      {"origin",
       check_origin,
       {"https://example.org", "http://localhost:8080", "https://[::1]:444"},
       {"", "example.org", "null", "*", "https://example.org/path", "ftp://example.org", "https://u@example.org"}},
      {"location",
       check_location,
       {"/", "/a?b=c#d", "https://example.org/login?x=1", "http://localhost:8080", "https://example.org?x"},
       {"", "a", "//evil.example", "/\\evil", "/a b", "/a\n", "javascript:alert(1)", "https:/x", "https://", "/ä"}},
      {"prefix",
       check_prefix,
       {"/auth", "/a/b.c", "/~a_b-c"},
       {"", "/", "auth", "/auth/", "//auth", "/a//b", "/a/../b", "/.", "/a%20b", "/a b", "/a?b", "/a*"}},
      {"cookie name",
       check_cookie_name,
       {"__Host-session", "s", "a!#$%&'*+-.^_`|~"},
       {"", "a b", "a=b", "a;b", "ä", "a\"b"}},
      {"cookie path", check_cookie_path, {"/", "/app"}, {"", "app", "/a;b", "/a b", "/" + std::string(1024, 'a')}},
      {"cookie domain",
       check_cookie_domain,
       {"", "example.org", ".example.org"},
       {"https://example.org", "example.org:80", "192.0.2.1", "a b", "..a", "[::1]"}},
      {"header",
       check_header,
       {"Remote-User", "X-Forwarded-User", "X_Mail", "Groups"},
       {"", "Cookie", "set-cookie", "HOST", "Content-Type", "content_length", "Connection", "Proxy", "proxy-user",
        "X User", "X-User:", "X.User", "Authorization", "X-Gatehouse-User", "X-Accel-Redirect", "Sec-Fetch-Site",
        "Origin", "Ünal"}},
      {"variable",
       check_variable,
       {"GIT_PROJECT_ROOT", "PERL5LIB", "PATH", "_X", "REDIRECT_STATUS"},
       {"", "git", "1A", "A-B", "A=B", "REMOTE_USER", "AUTH_TYPE", "HTTP_X", "GATEWAY_INTERFACE", "LD_PRELOAD",
        "PHP_VALUE", "PHP_ADMIN_VALUE", "SCRIPT_NAME", "GATEHOUSE_USER_ID", "HTTPS"}},
      {"file name", check_file_name, {"", "index.php"}, {"a/b", ".", "..", "/"}},
  };
}

TEST(Checks, TakeWhatIsRight) {
  for (const Case& test : cases()) {
    for (const std::string& text : test.good) {
      EXPECT_EQ(test.check(text), std::nullopt) << test.name << ": " << text;
    }
  }
}

TEST(Checks, RefuseWhatIsWrongAndSayWhatIsAllowed) {
  for (const Case& test : cases()) {
    for (const std::string& text : test.bad) {
      const std::string wrong = test.check(text).value_or("");
      EXPECT_TRUE(wrong.contains("; allowed: ")) << test.name << ": " << text << ": " << wrong;
      EXPECT_FALSE(wrong.contains('\n')) << wrong;
    }
  }
}

TEST(Checks, HostAndPortAreCutAtTheRightColon) {
  EXPECT_EQ(split_host_port("[::1]").value_or(HostPort{}).host, "[::1]");
  EXPECT_EQ(split_host_port("[::1]:80").value_or(HostPort{}).port, 80);
  EXPECT_EQ(split_host_port("a:80").value_or(HostPort{}).host, "a");
  EXPECT_FALSE(split_host_port("::1"));
  EXPECT_FALSE(split_host_port("a:b:80"));
}

TEST(Checks, AliasesOfAHeaderHaveOneVariableName) {
  EXPECT_EQ(variable_name("X-User"), "X_USER");
  EXPECT_EQ(variable_name("x_user"), "X_USER");
  EXPECT_EQ(variable_name("x.User"), "X_USER");
}

TEST(Checks, CookiePrefixesAreComparedWithoutCase) {
  EXPECT_TRUE(has_prefix("__host-a", "__Host-"));
  EXPECT_FALSE(has_prefix("__Host", "__Host-"));
  EXPECT_FALSE(has_prefix("a__Host-", "__Host-"));
}

}  // namespace
}  // namespace gatehouse::config
