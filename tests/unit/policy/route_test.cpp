#include "policy/route.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace gatehouse::policy {
namespace {

using std::string_literals::operator""s;

PathPattern pattern(const char* text) {
  return PathPattern::parse(text).value();
}

http::Path path(const std::string& text) {
  return http::Path::from_decoded(text).value();
}

struct Coverage {
  const char* pattern;
  std::vector<std::string> covered;
  std::vector<std::string> not_covered;
};

TEST(PathPattern, CoversWhatItSays) {
  const std::vector<Coverage> table{
      {"/", {"/"}, {"/a"}},
      {"/a", {"/a", "/a/"}, {"/", "/ab", "/a/b", "/A", "/b"}},
      {"/a/", {"/a", "/a/"}, {"/", "/ab", "/a/b"}},
      {"/a/b.cgi", {"/a/b.cgi", "/a/b.cgi/"}, {"/a", "/a/bxcgi", "/a/b.cgi/c"}},
      {"/**", {"/", "/a", "/a/", "/a/b/c"}, {}},
      {"/admin/**", {"/admin", "/admin/", "/admin/x", "/admin/x/y/"}, {"/", "/administrator", "/x/admin"}},
      {"/a*/**", {"/a", "/ab/", "/ab/c/d"}, {"/", "/ba/c"}},
      {"/*", {"/a", "/a/", "/"}, {"/a/b"}},
      {"/a/*", {"/a/b", "/a/b/", "/a/"}, {"/a", "/a/b/c"}},
      {"/a/*/c", {"/a/b/c", "/a/b/c/"}, {"/a/c", "/a/b/b/c", "/a/b/d"}},
      {"/x/a*b", {"/x/ab", "/x/a*b", "/x/aabb"}, {"/x/a", "/x/a/b", "/x/abc"}},
      {"/*.php", {"/index.php", "/.php", "/index.php/"}, {"/index.php/a", "/x/index.php", "/index.phps"}},
      {"/a%2fb", {"/a%2fb"}, {"/a/b"}},
      {"/a?b", {"/a?b"}, {"/axb", "/a"}},
      {"/a b\xC3\xA4", {"/a b\xC3\xA4"}, {"/a b"}},
  };
  for (const auto& row : table) {
    for (const auto& text : row.covered) EXPECT_TRUE(pattern(row.pattern).matches(path(text))) << row.pattern << text;
    for (const auto& text : row.not_covered) {
      EXPECT_FALSE(pattern(row.pattern).matches(path(text))) << row.pattern << " " << text;
    }
  }
}

TEST(PathPattern, IsDecidedOnTheNormalisedPath) {
  for (const char* raw : {"/public/../private", "/public/%2e%2e/private", "//private", "/./private", "/private/",
                          "/public;/../private", "/%70rivate", "/x//../private"}) {
    const auto decided = http::Path::parse(raw).value();
    EXPECT_TRUE(pattern("/private").matches(decided)) << raw;
    EXPECT_FALSE(pattern("/public/**").matches(decided)) << raw;
  }
}

TEST(PathPattern, ADefaultOneCoversNothing) {
  EXPECT_FALSE(PathPattern().matches(path("/")));
  EXPECT_FALSE(PathPattern().matches(path("/a")));
}

TEST(PathPattern, SaysWhatIsWrongWithAText) {
  for (const auto& text : {""s,     "a"s,       "*"s,     "**"s,    "http://a/"s, "//"s,   "//a"s,  "/a//b"s,
                           "/."s,   "/./a"s,    "/a/.."s, "/../a"s, "/**/a"s,     "/**/"s, "/a**"s, "/**a"s,
                           "/***"s, "/a**b/c"s, "/a\nb"s, "/a\0b"s, "/\x7f"s,     "/a\\b"s}) {
    const auto parsed = PathPattern::parse(text);
    ASSERT_FALSE(parsed) << testing::PrintToString(text);
    EXPECT_TRUE(parsed.error().starts_with("it ")) << parsed.error();
  }
}

TEST(PathPattern, KeepsItsText) {
  EXPECT_EQ(pattern("/admin/**").text(), "/admin/**");
}

TEST(PathPattern, KnowsItsLiteralBeginning) {
  EXPECT_EQ(pattern("/git/**").literal_prefix(), "/git");
  EXPECT_EQ(pattern("/x/a*b").literal_prefix(), "/x");
  EXPECT_EQ(pattern("/x/*/y/z").literal_prefix(), "/x");
  EXPECT_EQ(pattern("/**").literal_prefix(), "");
  EXPECT_EQ(pattern("/").literal_prefix(), "");
  EXPECT_EQ(pattern("/a/b").literal_prefix(), "/a/b");
  EXPECT_EQ(pattern("/a/b/").literal_prefix(), "/a/b");
}

TEST(GlobMatches, AStarIsAnyRun) {
  struct Case {
    const char* pattern;
    const char* text;
    bool is_match;
  };
  for (const auto& [glob, text, is_match] : std::vector<Case>{
           {"", "", true},
           {"", "a", false},
           {"*", "", true},
           {"*", "a/b", true},
           {"**", "x", true},
           {"a", "a", true},
           {"a", "A", false},
           {"a", "", false},
           {"a*", "a", true},
           {"a*", "ba", false},
           {"*a", "ba", true},
           {"*a", "ab", false},
           {"a*b*c", "aXbYc", true},
           {"a*b*c", "abbbc", true},
           {"a*b*c", "acb", false},
           {"*ab", "aab", true},
           {"*abab", "abaabab", true},
           {"*@example.org", "x@example.org", true},
           {"*@example.org", "x@example.org.evil", false},
           {"*@example.org", "x@examplezorg", false},
           {"a?", "ab", false},
           {"[ab]", "a", false},
           {"*", "**", true},
           {"a**b", "ab", true},
       }) {
    EXPECT_EQ(glob_matches(glob, text), is_match) << glob << " " << text;
  }
}

// With backtracking over every star this would not end in a lifetime.
TEST(GlobMatches, ManyStarsDoNotBlowUp) {
  const std::string text(20'000, 'a');
  EXPECT_FALSE(glob_matches("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", text));
  EXPECT_TRUE(glob_matches("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*", text));
}

Route route(const char* text, std::vector<std::string> hosts = {}, std::vector<std::string> methods = {}) {
  Route made;
  made.path = pattern(text);
  made.hosts = std::move(hosts);
  made.methods = std::move(methods);
  return made;
}

TEST(Match, TheFirstRouteDecides) {
  const std::vector<Route> routes{route("/a/b"), route("/a/**"), route("/a/b")};
  EXPECT_EQ(match(routes, path("/a/b"), "", "GET"), routes.data());
  EXPECT_EQ(match(routes, path("/a/c"), "", "GET"), &routes[1]);
}

TEST(Match, NothingMatchesNothing) {
  const std::vector<Route> routes{route("/a")};
  EXPECT_EQ(match(routes, path("/b"), "", "GET"), nullptr);
  EXPECT_EQ(match({}, path("/"), "", "GET"), nullptr);
}

TEST(Match, MethodsAreExact) {
  const std::vector<Route> routes{route("/a", {}, {"GET", "POST"})};
  EXPECT_NE(match(routes, path("/a"), "", "GET"), nullptr);
  EXPECT_NE(match(routes, path("/a"), "", "POST"), nullptr);
  for (const char* method : {"get", "HEAD", "", "GET ", "POSTS", "PUT"}) {
    EXPECT_EQ(match(routes, path("/a"), "", method), nullptr) << method;
  }
}

TEST(Match, HostsIgnoreCasePortAndTheDotOfTheRoot) {
  const std::vector<Route> routes{route("/**", {"admin.example.org", "[::1]"})};
  for (const char* host : {"admin.example.org", "ADMIN.Example.ORG", "admin.example.org:8443", "admin.example.org:",
                           "admin.example.org.", "Admin.example.org.:443", "[::1]", "[::1]:8080", "[0:0::1]"}) {
    EXPECT_NE(match(routes, path("/a"), host, "GET"), nullptr) << host;
  }
  for (const char* host : {"", "example.org", "xadmin.example.org", "admin.example.org.evil", "[::2]", "::1"}) {
    EXPECT_EQ(match(routes, path("/a"), host, "GET"), nullptr) << host;
  }
}

TEST(Match, ARouteOfAnotherHostIsPassedOver) {
  const std::vector<Route> routes{route("/**", {"admin.example.org"}), route("/**")};
  EXPECT_EQ(match(routes, path("/"), "admin.example.org", "GET"), routes.data());
  EXPECT_EQ(match(routes, path("/"), "www.example.org", "GET"), &routes[1]);
  EXPECT_EQ(match(routes, path("/"), "", "GET"), &routes[1]);
}

// nginx takes "admin.example.org:x" for admin.example.org; passing over its route would open the one below.
TEST(Match, AnUnreadableHostNeverPassesOverARouteWithHosts) {
  const std::vector<Route> routes{route("/free"), route("/**", {"admin.example.org"}, {"GET"}), route("/**")};
  for (const char* host :
       {"admin.example.org:x", "admin.example.org:80:80", "admin.example.org/", "a b", ".", "[::1"}) {
    EXPECT_EQ(match(routes, path("/"), host, "GET"), nullptr) << host;
    EXPECT_EQ(match(routes, path("/free"), host, "GET"), routes.data()) << host;
    EXPECT_EQ(match(routes, path("/"), host, "POST"), &routes[2]) << host;
  }
}

// A front server that does not tell the method: passing over the route for it would open the one below.
TEST(Match, AnUnknownMethodNeverPassesOverARouteWithMethods) {
  const std::vector<Route> routes{route("/free"), route("/a/**", {"admin.example.org"}, {"GET"}),
                                  route("/a/**", {}, {"POST"}), route("/**")};
  EXPECT_EQ(match(routes, path("/free"), "", ""), routes.data());
  EXPECT_EQ(match(routes, path("/b"), "admin.example.org", ""), &routes[3]);
  EXPECT_EQ(match(routes, path("/a/b"), "admin.example.org", ""), nullptr);
  EXPECT_EQ(match(routes, path("/a/b"), "admin.example.org:x", ""), nullptr);
  EXPECT_EQ(match(routes, path("/a/b"), "www.example.org", ""), nullptr);
  EXPECT_EQ(match(routes, path("/a/b"), "www.example.org", "PUT"), &routes[3]);
}

TEST(Match, AnUnknownMethodPassesOverARouteOfAnotherHost) {
  const std::vector<Route> routes{route("/**", {"admin.example.org"}, {"GET"}), route("/**")};
  EXPECT_EQ(match(routes, path("/"), "www.example.org", ""), &routes[1]);
  EXPECT_EQ(match(routes, path("/"), "", ""), &routes[1]);
}

TEST(MatchScript, TheFirstBeforeTheDecidedRouteBinds) {
  const std::vector<Route> routes{route("/b.cgi"), route("/a.cgi"), route("/a.cgi/**"), route("/a.cgi")};
  EXPECT_EQ(match_script(routes, routes[2], path("/a.cgi"), "", "GET"), &routes[1]);
  EXPECT_EQ(match_script(routes, routes[1], path("/a.cgi"), "", "GET"), nullptr);
}

void expect_nobodys(const Route* route) {
  ASSERT_NE(route, nullptr);
  EXPECT_EQ(route->access, Access::deny);
}

// Returned as "none binds it", an unreadable Host or an unknown method let /a.cgi/x through and with it the script.
TEST(MatchScript, WhatCannotBeToldLetsNobodyIn) {
  std::vector<Route> routes{route("/a.cgi", {"admin.example.org"}, {}), route("/c.cgi", {}, {"POST"}), route("/**")};
  for (Route& each : routes) each.access = Access::public_;
  expect_nobodys(match_script(routes, routes[2], path("/a.cgi"), "admin.example.org:x", "GET"));
  expect_nobodys(match_script(routes, routes[2], path("/c.cgi"), "", ""));
  EXPECT_EQ(match_script(routes, routes[2], path("/c.cgi"), "", "GET"), nullptr);
  EXPECT_EQ(match_script(routes, routes[2], path("/b.cgi"), "admin.example.org:x", ""), nullptr);
}

}  // namespace
}  // namespace gatehouse::policy
