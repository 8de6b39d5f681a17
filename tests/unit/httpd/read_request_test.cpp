// An HTTP head in, a request out: which page it is about, and whose word counts for it.
#include "httpd/read_request.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace gatehouse::httpd {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Fields = http::Headers;

const std::vector<std::string> kTrustedTexts{"10.0.0.0/8", "2001:db8::/32"};
const http::Networks kTrusted(kTrustedTexts);

const Peer kUnix{.is_unix = true, .address = "", .port = ""};
const Peer kProxy{.is_unix = false, .address = "10.0.0.1", .port = "4711"};
const Peer kStranger{.is_unix = false, .address = "203.0.113.9", .port = "4712"};

const std::vector<Peer> kBelieved{kUnix, kProxy};
const std::vector<Peer> kEverybody{kUnix, kProxy, kStranger};

using Result = std::expected<http::Request, http::Malformed>;

Result read_raw(const RequestHead& head, const Peer& peer = kUnix) {
  return read_request(head, peer, {.request_id = "0123456789abcdef", .prefix = "/auth", .trusted = &kTrusted});
}

RequestHead head_of(const std::string& target, const Fields& fields, const std::string& method = "GET") {
  RequestHead head;
  head.method = method;
  head.target = target;
  head.fields = fields;
  return head;
}

Result try_read(const std::string& target, const Fields& fields, const Peer& peer = kUnix) {
  return read_raw(head_of(target, fields), peer);
}

http::Request read(const std::string& target, const Fields& fields, const Peer& peer = kUnix) {
  auto request = try_read(target, fields, peer);
  EXPECT_TRUE(request) << target << " from " << peer.address << ": " << (request ? "" : request.error().reason);
  return request.value_or(http::Request{});
}

// 0: it is a request.
int refusal(const Result& request) {
  return request ? 0 : request.error().status;
}
int refusal(const std::string& target, const Fields& fields, const Peer& peer = kUnix) {
  return refusal(try_read(target, fields, peer));
}

Fields with(Fields fields, const Fields& more) {
  for (const auto& [name, value] : more.fields()) fields.add(name, value);
  return fields;
}

// A check or forward that is complete, and a little more.
Fields check_of(const Fields& more = {}) {
  return with({{"Host", "www.example.org"}, {"X-Original-URI", "/page?q=1"}, {"X-Original-Method", "GET"}}, more);
}
Fields forward_of(const Fields& more = {}) {
  return with({{"Host", "gate:9091"}, {"X-Forwarded-Uri", "/page?q=1"}, {"X-Forwarded-Method", "GET"}}, more);
}
Fields fields_for(const std::string& target, const Fields& more) {
  if (target == "/auth/check") return check_of(more);
  return target == "/auth/forward" ? forward_of(more) : more;
}

const std::vector<std::string> kDoors{"/auth/check", "/auth/forward"};
const std::vector<std::string> kPages{"/auth/login", "/auth/logout", "/auth/session", "/auth", "/elsewhere"};

std::vector<std::string> every_target() {
  auto all = kDoors;
  all.insert(all.end(), kPages.begin(), kPages.end());
  return all;
}
int status_of_malformed(const std::string& target) {
  return target == "/auth/check" || target == "/auth/forward" ? 403 : 400;
}

// ---- Which page it is about ----

TEST(ReadHttpRequest, ACheckTakesThePageFromXOriginal) {
  for (const auto& peer : kBelieved) {
    const auto request = read("/auth/check",
                              {{"Host", "WWW.example.org:8443"},
                               {"X-Original-URI", "/a%20b/../c?x=%2f&y"},
                               {"X-Original-Method", "POST"},
                               {"X-Original-Proto", "https"}},
                              peer);
    EXPECT_EQ(request.id, "0123456789abcdef");
    EXPECT_EQ(request.endpoint_path, "/auth/check");
    EXPECT_EQ(request.path.text(), "/c");
    EXPECT_EQ(request.query, "x=%2f&y");
    EXPECT_EQ(request.method, "POST");
    EXPECT_EQ(request.scheme, "https");
    EXPECT_EQ(request.host, "WWW.example.org:8443");
    EXPECT_EQ(request.mount, "");
    EXPECT_EQ(request.server_port, 0);
  }
}

TEST(ReadHttpRequest, AForwardTakesThePageFromXForwarded) {
  for (const auto& peer : kBelieved) {
    const auto request = read("/auth/forward",
                              {{"Host", "gate:9091"},
                               {"X-Forwarded-Uri", "/a%20b?x"},
                               {"X-Forwarded-Method", "DELETE"},
                               {"X-Forwarded-Proto", "https"},
                               {"X-Forwarded-Host", "www.example.org"}},
                              peer);
    EXPECT_EQ(request.endpoint_path, "/auth/forward");
    EXPECT_EQ(request.path.text(), "/a b");
    EXPECT_EQ(request.query, "x");
    EXPECT_EQ(request.method, "DELETE");
    EXPECT_EQ(request.scheme, "https");
    EXPECT_EQ(request.host, "www.example.org");
  }
}

TEST(ReadHttpRequest, EveryOtherEndpointIsAboutItself) {
  for (const auto& peer : kBelieved) {
    for (const auto& page : kPages) {
      const auto head = head_of(page + "?rd=/x",
                                {{"Host", "gate:9091"},
                                 {"X-Forwarded-Uri", "/evil"},
                                 {"X-Forwarded-Method", "PUT"},
                                 {"X-Original-Method", "PUT"},
                                 {"X-Original-Proto", "http"},
                                 {"X-Forwarded-Proto", "https"},
                                 {"X-Forwarded-Host", "www.example.org"}},
                                "POST");
      const auto request = read_raw(head, peer).value();
      EXPECT_EQ(request.endpoint_path, page);
      EXPECT_EQ(request.path.text(), page);
      EXPECT_EQ(request.query, "rd=/x");
      EXPECT_EQ(request.method, "POST");
      EXPECT_EQ(request.scheme, "https");
      EXPECT_EQ(request.host, "www.example.org");
    }
  }
}

TEST(ReadHttpRequest, TheEndpointIsTheNormalisedTarget) {
  for (const auto* target : {"/auth/check", "/auth/%63heck", "//auth/./check", "/x/../auth/check", "/auth/check?a=b"}) {
    const auto request = read(target, check_of());
    EXPECT_EQ(request.endpoint_path, "/auth/check") << target;
    EXPECT_EQ(request.path.text(), "/page") << target;
    EXPECT_EQ(request.query, "q=1") << target;
  }
}

TEST(ReadHttpRequest, OnlyTheExactPathIsADoor) {
  for (const auto* target : {"/auth/checks", "/auth/CHECK", "/check", "/auth/x/check", "/authcheck", "/auth/check;x",
                             "/xauth/forward", "/auth/forward/x"}) {
    const auto request = read(target, {{"X-Original-URI", "/page"}, {"X-Forwarded-Uri", "/page"}});
    EXPECT_EQ(request.path.text(), target);
    EXPECT_EQ(request.endpoint_path, target);
  }
}

TEST(ReadHttpRequest, ThePrefixIsTheConfiguredOne) {
  const auto head = head_of("/a/b/check", check_of());
  const auto request = read_request(head, kUnix, {.request_id = "", .prefix = "/a/b"}).value();
  EXPECT_EQ(request.path.text(), "/page");
  EXPECT_EQ(read("/a/b/check", {}).path.text(), "/a/b/check");
}

// nginx escapes a path only where it rewrites the target.
TEST(ReadHttpRequest, ACheckMayNameThePageInItsTarget) {
  const std::vector<std::vector<std::string>> table{{"/", "/", ""},
                                                    {"/a%20b/../c%25?x=%2f&y", "/c%", "x=%2f&y"},
                                                    {"//a//b/", "/a/b/", ""},
                                                    {"/auth/check", "/auth/check", ""},
                                                    {"/auth/check/x", "/auth/check/x", ""},
                                                    {"/a?/b", "/a", "/b"}};
  for (const auto& row : table) {
    for (const auto& peer : kBelieved) {
      const auto request = read("/auth/check" + row[0], {{"Host", "a"}, {"X-Original-Method", "PUT"}}, peer);
      EXPECT_EQ(request.endpoint_path, "/auth/check");
      EXPECT_EQ(request.path.text(), row[1]);
      EXPECT_EQ(request.query, row[2]);
      EXPECT_EQ(request.method, "PUT");
    }
  }
}

TEST(ReadHttpRequest, APageInTheTargetIsReadAsStrictly) {
  for (const auto& peer : kEverybody) {
    for (const auto* page : {"/%", "/a%zz", "/a%2fb", "/%00", "/a\\b", "/\xc3\xa4", "/a#b", "/..", "/../login",
                             "/../auth/session", "/%2e%2e/session", "/a/../../session", "/..;x"}) {
      EXPECT_EQ(refusal("/auth/check" + std::string(page), {}, peer), 403) << page;
    }
    EXPECT_EQ(refusal("/auth/check/page", check_of(), peer), 403);
    EXPECT_EQ(refusal("/auth/check/page", {{"X-Forwarded-Uri", "/page"}}, peer), 403);
  }
  EXPECT_EQ(refusal("/auth/check/page", {}, kStranger), 403);
}

TEST(ReadHttpRequest, OnlyACheckNamesThePageInItsTarget) {
  for (const auto* target : {"/auth/forward/page", "/auth/login/page", "/auth/%63heck/page", "/x/../auth/check/page"}) {
    const auto request = read(target, {});
    EXPECT_EQ(request.endpoint_path, http::Path::parse(target)->text());
    EXPECT_EQ(request.path.text(), request.endpoint_path);
  }
}

// The gateway's business: it says 403.
TEST(ReadHttpRequest, ACheckMayAskAboutItself) {
  EXPECT_EQ(read("/auth/check", {{"X-Original-URI", "/auth/check"}}).path.text(), "/auth/check");
}

TEST(ReadHttpRequest, WithoutAPathADoorIsRefused) {
  for (const auto& peer : kEverybody) {
    for (const auto& door : kDoors) {
      EXPECT_EQ(refusal(door, {}, peer), 403);
      EXPECT_EQ(refusal(door, {{"Host", "www.example.org"}}, peer), 403);
    }
    EXPECT_EQ(refusal("/auth/check", {{"X-Original-URI", ""}, {"X-Original-Method", "GET"}}, peer), 403);
    EXPECT_EQ(refusal("/auth/forward", {{"X-Forwarded-Uri", ""}, {"X-Forwarded-Method", "GET"}}, peer), 403);
  }
  EXPECT_THAT(try_read("/auth/check", {}).error().reason, HasSubstr("no path"));
}

TEST(ReadHttpRequest, TheOtherFamilyIsNotReadInADoor) {
  EXPECT_EQ(refusal("/auth/check", {{"X-Forwarded-Uri", "/page"}}), 403);
  EXPECT_EQ(refusal("/auth/forward", {{"X-Original-URI", "/page"}}), 403);
  const Fields others{{"X-Forwarded-Host", "evil.example"}, {"X-Forwarded-Proto", "https"}};
  const auto checked = read("/auth/check", check_of(others));
  EXPECT_EQ(checked.host, "www.example.org");
  EXPECT_EQ(checked.scheme, "http");
  EXPECT_EQ(read("/auth/forward", forward_of({{"X-Original-Proto", "https"}})).scheme, "http");
}

TEST(ReadHttpRequest, BothFamiliesAtOnceAreRefusedInADoor) {
  for (const auto& peer : kEverybody) {
    for (const auto* name : {"X-Forwarded-Uri", "X-Forwarded-Method"}) {
      EXPECT_EQ(refusal("/auth/check", check_of({{name, "/page"}}), peer), 403) << name;
    }
    for (const auto* name : {"X-Original-URI", "X-Original-Method"}) {
      EXPECT_EQ(refusal("/auth/forward", forward_of({{name, "/page"}}), peer), 403) << name;
    }
  }
  EXPECT_THAT(try_read("/auth/check", check_of({{"X-Forwarded-Uri", "/page"}})).error().reason, HasSubstr("both"));
}

TEST(ReadHttpRequest, AClearedFamilyIsAbsent) {
  EXPECT_EQ(read("/auth/check", check_of({{"X-Forwarded-Uri", ""}, {"X-Forwarded-Method", ""}})).path.text(), "/page");
  EXPECT_EQ(read("/auth/forward", forward_of({{"X-Original-URI", ""}, {"X-Original-Method", ""}})).path.text(),
            "/page");
}

TEST(ReadHttpRequest, AMethodThatNobodyNamesIsEmptyInADoor) {
  EXPECT_EQ(read("/auth/check", {{"X-Original-URI", "/page"}}).method, "");
  EXPECT_EQ(read("/auth/check", {{"X-Original-URI", "/page"}, {"X-Original-Method", ""}}).method, "");
  EXPECT_EQ(read("/auth/forward", {{"X-Forwarded-Uri", "/page"}}).method, "");
}

TEST(ReadHttpRequest, AMethodIsATokenAndKeepsItsCase) {
  for (const auto* method : {"get", "M-SEARCH", "PROPFIND"}) {
    const Fields fields{{"X-Original-URI", "/page"}, {"X-Original-Method", method}};
    EXPECT_EQ(read("/auth/check", fields).method, method);
  }
  for (const auto* method : {"GET ", "GET, POST", "G\tT", "GET/", "\xc3\xa4"}) {
    EXPECT_EQ(refusal("/auth/check", {{"X-Original-URI", "/page"}, {"X-Original-Method", method}}), 403) << method;
    EXPECT_EQ(refusal("/auth/forward", {{"X-Forwarded-Uri", "/page"}, {"X-Forwarded-Method", method}}), 403) << method;
  }
}

// ---- The login in a page's place ----

TEST(ReadHttpRequest, ALoginIsShownInThePlaceOfAPage) {
  for (const auto& peer : kBelieved) {
    const auto head = head_of("/auth/login?rd=/other", {{"X-Original-URI", "/private%20/x?a=1"}}, "HEAD");
    const auto request = read_raw(head, peer).value();
    EXPECT_EQ(request.endpoint_path, "/auth/login");
    EXPECT_EQ(request.path.text(), "/private /x");
    EXPECT_EQ(request.query, "a=1");
    EXPECT_EQ(request.method, "HEAD");
  }
}

TEST(ReadHttpRequest, ALoginInItsOwnPlaceIsTheTarget) {
  for (const auto* uri : {"", "/auth/login?rd=/evil", "/auth//login", "/auth/log%69n"}) {
    const auto request = read("/auth/login?rd=/x", {{"X-Original-URI", uri}});
    EXPECT_EQ(request.path.text(), "/auth/login") << uri;
    EXPECT_EQ(request.query, "rd=/x") << uri;
  }
}

TEST(ReadHttpRequest, AStrangerNamesNoPageForTheLogin) {
  for (const auto* uri : {"/private", "%", "http://evil.example/"}) {
    const auto request = read("/auth/login?rd=/x", {{"X-Original-URI", uri}}, kStranger);
    EXPECT_EQ(request.path.text(), "/auth/login");
    EXPECT_EQ(request.query, "rd=/x");
  }
}

// ---- Paths ----

struct BadPath {
  std::string text;
  std::string problem;
};
const std::vector<BadPath> kBadPaths{{"%", "does not begin with '/'"},
                                     {"/%", "two hex digits"},
                                     {"/a%zz", "two hex digits"},
                                     {"/a%2", "two hex digits"},
                                     {"/a%2fb", "escaped slash"},
                                     {"/a%2Fb", "escaped slash"},
                                     {"/a%00", "control byte"},
                                     {"/a%0a", "control byte"},
                                     {"/a%7f", "control byte"},
                                     {"/a\\b", "backslash"},
                                     {"/a%5cb", "backslash"},
                                     {"/a\xc3\xa4", "should have been escaped"},
                                     {"/\x80", "should have been escaped"},
                                     {"/a#top", "should have been escaped"},
                                     {"/a b", "should have been escaped"},
                                     {"/..", "leaves the root"},
                                     {"/a/../../b", "leaves the root"},
                                     {"/a/%2e%2e/%2e%2e/b", "leaves the root"},
                                     {"/a/..;x/b", "with a parameter"},
                                     {"http://www.example.org/a", "does not begin with '/'"},
                                     {"www.example.org:443", "does not begin with '/'"},
                                     {"*", "does not begin with '/'"},
                                     {"a", "does not begin with '/'"},
                                     {"?/a", "empty"},
                                     {"/" + std::string(http::kMaxPathBytes, 'a'), "too long"}};

TEST(ReadHttpRequest, APathThatCouldBeReadTwoWaysIsRefused) {
  for (const auto& [text, problem] : kBadPaths) {
    for (const auto& peer : kBelieved) {
      const auto check = try_read("/auth/check", {{"X-Original-URI", text}}, peer);
      const auto forward = try_read("/auth/forward", {{"X-Forwarded-Uri", text}}, peer);
      const auto login = try_read("/auth/login", {{"X-Original-URI", text}}, peer);
      for (const auto* result : {&check, &forward, &login}) {
        ASSERT_FALSE(*result) << text;
        EXPECT_EQ(result->error().status, result == &login ? 400 : 403) << text;
        EXPECT_THAT(result->error().reason, HasSubstr(problem)) << text;
      }
    }
  }
}

TEST(ReadHttpRequest, ATargetThatIsNoPathIs400FromEverybody) {
  auto targets = kBadPaths;
  targets.push_back({"", "empty"});
  targets.push_back({"/auth/check%", "two hex digits"});
  targets.push_back({"http://www.example.org/auth/check", "does not begin with '/'"});
  for (const auto& [text, problem] : targets) {
    for (const auto& peer : kEverybody) {
      const auto request = try_read(text, check_of(), peer);
      ASSERT_FALSE(request) << text;
      EXPECT_EQ(request.error().status, 400) << text;
      EXPECT_THAT(request.error().reason, HasSubstr(problem)) << text;
    }
  }
}

TEST(ReadHttpRequest, AQueryIsKeptAsItCame) {
  for (const std::string query : {"a=1&b", "%", "%2f%00", "a?b?c", "/../x", "#", "\\", "\xc3\xa4", "rd=//evil"}) {
    EXPECT_EQ(read("/auth/check", {{"X-Original-URI", "/page?" + query}}).query, query);
    EXPECT_EQ(read("/auth/forward", {{"X-Forwarded-Uri", "/page?" + query}}).query, query);
    EXPECT_EQ(read("/auth/session?" + query, {}).query, query);
  }
  EXPECT_EQ(read("/auth/check", {{"X-Original-URI", "/private?/public"}}).path.text(), "/private");
}

// ---- Scheme and host ----

TEST(ReadHttpRequest, ASchemeIsHttpOrHttps) {
  const std::vector<std::vector<std::string>> table{
      {"", "http"}, {"http", "http"}, {"https", "https"}, {"ws", "http"}, {"wss", "https"}};
  for (const auto& row : table) {
    EXPECT_EQ(read("/auth/check", check_of({{"X-Original-Proto", row[0]}})).scheme, row[1]);
    EXPECT_EQ(read("/auth/forward", forward_of({{"X-Forwarded-Proto", row[0]}})).scheme, row[1]);
    EXPECT_EQ(read("/auth/session", {{"X-Forwarded-Proto", row[0]}}).scheme, row[1]);
  }
  for (const auto& target : every_target()) EXPECT_EQ(read(target, fields_for(target, {})).scheme, "http");
}

TEST(ReadHttpRequest, AnotherSchemeIsRefused) {
  for (const auto* scheme : {"HTTPS", "https, http", "https:", "ftp", "file", " https", "https\xff"}) {
    EXPECT_EQ(refusal("/auth/check", check_of({{"X-Original-Proto", scheme}})), 403) << scheme;
    EXPECT_EQ(refusal("/auth/forward", forward_of({{"X-Forwarded-Proto", scheme}})), 403) << scheme;
    for (const auto& page : kPages) EXPECT_EQ(refusal(page, {{"X-Forwarded-Proto", scheme}}), 400) << scheme;
  }
}

TEST(ReadHttpRequest, AForwardedHostGoesBeforeHost) {
  const Fields both{{"Host", "gate:9091"}, {"X-Forwarded-Host", "www.example.org:8443"}};
  for (const auto& page : kPages) EXPECT_EQ(read(page, both).host, "www.example.org:8443");
  for (const auto& page : kPages) EXPECT_EQ(read(page, both, kStranger).host, "gate:9091");
  EXPECT_EQ(read("/auth/forward", forward_of()).host, "gate:9091");
}

// "gate" is what the front server calls us: a rule for it is not about the visitor's page.
TEST(ReadHttpRequest, AnEmptyForwardedHostIsNoLeaveToTakeHost) {
  EXPECT_EQ(read("/auth/forward", forward_of({{"X-Forwarded-Host", ""}})).host, "");
  EXPECT_EQ(read("/auth/session", {{"Host", "gate:9091"}, {"X-Forwarded-Host", ""}}).host, "");
}

TEST(ReadHttpRequest, AHostMayBeAbsent) {
  EXPECT_EQ(read("/auth/check", {{"X-Original-URI", "/page"}}).host, "");
  EXPECT_EQ(read("/auth/session", {{"Host", ""}}, kStranger).host, "");
}

TEST(ReadHttpRequest, AHostKeepsItsSpelling) {
  for (const auto* host : {"a", "A.Example.ORG", "a.example.", "a:80", "a:", "192.0.2.1:8080", "[::1]", "[::1]:8080"}) {
    EXPECT_EQ(read("/auth/session", {{"Host", host}}, kStranger).host, host);
    EXPECT_EQ(read("/auth/forward", forward_of({{"X-Forwarded-Host", host}})).host, host);
  }
}

TEST(ReadHttpRequest, AHostThatIsNoneIsRefused) {
  for (const auto* host : {"a.example, b.example", "a b", "a/b", "u@a.example", "a:x", "a:80:80", ".", "a..b", "[::1",
                           "::1", "a%2eb", "\xc3\xa4.example", "a\\b", "http://a"}) {
    const Fields as_host{{"Host", host}};
    EXPECT_EQ(refusal("/auth/check", with(as_host, {{"X-Original-URI", "/page"}})), 403) << host;
    EXPECT_EQ(refusal("/auth/forward", forward_of({{"X-Forwarded-Host", host}})), 403) << host;
    for (const auto& peer : kEverybody) EXPECT_EQ(refusal("/auth/session", as_host, peer), 400) << host;
    EXPECT_EQ(refusal("/auth/session", {{"X-Forwarded-Host", host}}), 400) << host;
    EXPECT_EQ(refusal("/auth/session", {{"X-Forwarded-Host", host}}, kStranger), 0) << host;
  }
}

// ---- The client ----

struct ClientCase {
  std::string list;
  std::string client;
};

TEST(ReadHttpRequest, TheClientIsTheRightmostStranger) {
  const std::vector<ClientCase> table{
      {"198.51.100.1", "198.51.100.1"},
      {"198.51.100.1, 10.0.0.2", "198.51.100.1"},
      {"198.51.100.1,198.51.100.2", "198.51.100.2"},
      {"192.0.2.66, 198.51.100.1, 10.0.0.2, 10.0.0.3", "198.51.100.1"},
      {"192.0.2.66\t, \t198.51.100.1 ,2001:db8::7", "198.51.100.1"},
      {"10.0.0.2", "10.0.0.2"},
      {"10.0.0.2, 10.0.0.3, 2001:db8::7", "10.0.0.2"},
      {"::ffff:10.0.0.2", "10.0.0.2"},
      {"198.51.100.1, ::ffff:10.0.0.2", "198.51.100.1"},
      {"::ffff:198.51.100.1", "198.51.100.1"},
      {"2001:DB9:0::1", "2001:db9::1"},
      {"[2001:db9::1]", "2001:db9::1"},
      {"[2001:db9::1]:443", "2001:db9::1"},
      {"198.51.100.1:4711", "198.51.100.1"},
      {"198.51.100.1:0, 10.0.0.2:65535", "198.51.100.1"},
      {"[::ffff:198.51.100.1]:1", "198.51.100.1"},
  };
  for (const auto& [list, client] : table) {
    for (const auto& peer : kBelieved) {
      for (const auto& target : every_target()) {
        const auto request = read(target, fields_for(target, {{"X-Forwarded-For", list}}), peer);
        EXPECT_EQ(request.remote_addr, client) << list;
        EXPECT_EQ(request.remote_port, "") << list;
      }
    }
  }
}

TEST(ReadHttpRequest, WithoutTrustedPeersTheRightmostEntryCounts) {
  const auto head = head_of("/auth/session", {{"X-Forwarded-For", "198.51.100.1, 10.0.0.2"}});
  EXPECT_EQ(read_request(head, kUnix, {.request_id = "", .prefix = "/auth"}).value().remote_addr, "10.0.0.2");
}

TEST(ReadHttpRequest, WithoutTheHeaderTheClientIsThePeer) {
  for (const Fields& fields : {Fields{}, Fields{{"X-Forwarded-For", ""}}}) {
    EXPECT_EQ(read("/auth/session", fields, kUnix).remote_addr, "");
    EXPECT_EQ(read("/auth/session", fields, kUnix).remote_port, "");
    EXPECT_EQ(read("/auth/session", fields, kProxy).remote_addr, "10.0.0.1");
    EXPECT_EQ(read("/auth/session", fields, kProxy).remote_port, "4711");
    EXPECT_EQ(read("/auth/session", fields, kStranger).remote_addr, "203.0.113.9");
  }
  const Peer dual_stack{.is_unix = false, .address = "::ffff:203.0.113.9", .port = "1"};
  EXPECT_EQ(read("/auth/session", {}, dual_stack).remote_addr, "203.0.113.9");
  const Peer link_local{.is_unix = false, .address = "fe80::1%eth0", .port = "1"};
  EXPECT_EQ(read("/auth/session", {}, link_local).remote_addr, "fe80::1%eth0");
}

TEST(ReadHttpRequest, AnEntryThatIsNoAddressIsRefused) {
  for (const auto* list : {",",
                           " ",
                           "a",
                           "unknown",
                           "_hidden",
                           "unix:",
                           "198.51.100.1,",
                           ",198.51.100.1",
                           "198.51.100.1,,10.0.0.2",
                           "198.51.100.1 10.0.0.2",
                           "198.51.100.1;10.0.0.2",
                           "bad, 198.51.100.1",
                           "198.51.100.1:",
                           "198.51.100.1:65536",
                           "198.51.100.1:-1",
                           "198.51.100.1:http",
                           "198.51.100.1:80:80",
                           "[198.51.100.1]",
                           "[198.51.100.1]:80",
                           "[::1",
                           "::1]",
                           "[]",
                           "[",
                           "]",
                           ":",
                           ":80",
                           "]:80",
                           "[]:80",
                           "[::1]x",
                           "[::1]:",
                           "[::1]:x",
                           "[::1]:80:80",
                           "[::1]]:80",
                           "[::1%lo]",
                           "\"[::1]\"",
                           "for=198.51.100.1",
                           "198.51.100.1/32",
                           "\xff"}) {
    for (const auto& target : every_target()) {
      const auto fields = fields_for(target, {{"X-Forwarded-For", list}});
      for (const auto& peer : kBelieved) EXPECT_EQ(refusal(target, fields, peer), status_of_malformed(target)) << list;
    }
    EXPECT_EQ(read("/auth/session", {{"X-Forwarded-For", list}}, kStranger).remote_addr, "203.0.113.9") << list;
  }
}

// ---- Whose word counts ----

TEST(ReadHttpRequest, APeerOfATrustedNetworkIsBelieved) {
  for (const auto* address : {"10.0.0.1", "10.255.255.255", "::ffff:10.1.1.1", "2001:db8::1", "2001:DB8:ffff::"}) {
    const Peer peer{.is_unix = false, .address = address, .port = "1"};
    EXPECT_EQ(read("/auth/check", check_of(), peer).path.text(), "/page") << address;
  }
  for (const auto* address : {"11.0.0.1", "2001:db9::1", "::1", "127.0.0.1", "", "10.0.0.1%x", "[2001:db8::1]"}) {
    const Peer peer{.is_unix = false, .address = address, .port = "1"};
    EXPECT_EQ(refusal("/auth/check", check_of(), peer), 403) << address;
  }
}

TEST(ReadHttpRequest, WithoutTrustedPeersOnlyAUnixSocketIsBelieved) {
  for (const auto& peer : kEverybody) {
    const auto request = read_request(head_of("/auth/check", check_of()), peer, {.request_id = "", .prefix = "/auth"});
    EXPECT_EQ(refusal(request), peer.is_unix ? 0 : 403);
  }
}

TEST(ReadHttpRequest, AStrangersHeadersAreAsGoodAsAbsent) {
  const Fields lies{{"X-Original-URI", "%"},        {"X-Original-Method", "\xff"}, {"X-Original-Proto", "gopher"},
                    {"X-Forwarded-Uri", "%"},       {"X-Forwarded-Method", ","},   {"X-Forwarded-Host", "a, b"},
                    {"X-Forwarded-Proto", "https"}, {"X-Forwarded-For", "bad"},    {"X-Gatehouse-Cookies", "2"}};
  for (const auto& page : kPages) {
    const auto honest = read(page, {{"Host", "gate"}}, kStranger);
    const auto lied = read(page, with({{"Host", "gate"}}, lies), kStranger);
    EXPECT_EQ(lied.path, honest.path);
    EXPECT_EQ(lied.query, honest.query);
    EXPECT_EQ(lied.method, "GET");
    EXPECT_EQ(lied.scheme, "http");
    EXPECT_EQ(lied.host, "gate");
    EXPECT_EQ(lied.remote_addr, "203.0.113.9");
    EXPECT_EQ(lied.remote_port, "4712");
    EXPECT_FALSE(lied.delivers_cookies);
    EXPECT_EQ(lied.headers, honest.headers);
  }
  for (const auto& door : kDoors) {
    EXPECT_THAT(try_read(door, fields_for(door, {}), kStranger).error().reason, HasSubstr("no path"));
  }
}

TEST(ReadHttpRequest, OnlyOneDeliversCookies) {
  for (const auto& target : every_target()) {
    const auto delivers = [&](const char* value, const Peer& peer = kUnix) {
      return read(target, fields_for(target, {{"X-Gatehouse-Cookies", value}}), peer).delivers_cookies;
    };
    EXPECT_TRUE(delivers("1"));
    EXPECT_TRUE(delivers("1", kProxy));
    EXPECT_FALSE(delivers("0"));
    EXPECT_FALSE(delivers(""));
    EXPECT_FALSE(read(target, fields_for(target, {})).delivers_cookies);
    for (const auto* value : {"2", "01", "1, 1", "yes", "true", "1 ", "on"}) {
      const auto fields = fields_for(target, {{"X-Gatehouse-Cookies", value}});
      EXPECT_EQ(refusal(target, fields), status_of_malformed(target)) << value;
    }
  }
  EXPECT_FALSE(read("/auth/session", {{"X-Gatehouse-Cookies", "1"}}, kStranger).delivers_cookies);
}

// ---- Doubled fields ----

TEST(ReadHttpRequest, WhatIsReadMustNotBeThereTwice) {
  const std::vector<std::vector<std::string>> table{{"Host", "www.example.org", "b"},
                                                    {"X-Original-URI", "/page", "/b"},
                                                    {"X-Original-Method", "GET", "POST"},
                                                    {"X-Original-Proto", "http", "https"},
                                                    {"X-Forwarded-Uri", "/page", "/b"},
                                                    {"X-Forwarded-Method", "GET", "POST"},
                                                    {"X-Forwarded-Host", "a", "b"},
                                                    {"X-Forwarded-Proto", "http", "https"},
                                                    {"X-Forwarded-For", "10.0.0.1", "10.0.0.2"},
                                                    {"X-Gatehouse-Cookies", "1", "0"},
                                                    {"Content-Type", "text/plain", "text/html"}};
  for (const auto& row : table) {
    for (const auto& target : every_target()) {
      for (const auto& peer : kEverybody) {
        for (const auto& second : {row[1], row[2], std::string()}) {
          for (const auto& spelling : {row[0], http::to_lower(row[0])}) {
            const auto request = try_read(target, {{row[0], row[1]}, {spelling, second}}, peer);
            ASSERT_EQ(refusal(request), status_of_malformed(target)) << target << " " << row[0] << " " << second;
            EXPECT_THAT(request.error().reason, HasSubstr("twice")) << target << " " << row[0];
          }
        }
      }
    }
  }
}

TEST(ReadHttpRequest, WhatDecisionsHangOnMustAgree) {
  for (const std::string name : {"Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest", "Sec-Fetch-Other"}) {
    for (const auto& target : every_target()) {
      const auto twice = [&](const char* second) {
        return try_read(target, fields_for(target, {{name, "none"}, {http::to_lower(name), second}}));
      };
      ASSERT_TRUE(twice("none")) << name;
      EXPECT_EQ(twice("none")->header(http::to_lower(name)), "none");
      EXPECT_EQ(refusal(twice("same-origin")), status_of_malformed(target)) << name;
      EXPECT_EQ(refusal(twice("")), status_of_malformed(target)) << name;
    }
  }
}

TEST(ReadHttpRequest, OtherDoubledFieldsBecomeOneList) {
  const auto request = read("/auth/session", {{"Cookie", "a=1"},
                                              {"Accept", "text/html"},
                                              {"X-Tag", ""},
                                              {"cookie", "b=2"},
                                              {"X-TAG", "x"},
                                              {"COOKIE", ""},
                                              {"accept", "*/*"},
                                              {"x-tag", "y"}});
  EXPECT_EQ(request.header("cookie"), "a=1; b=2");
  EXPECT_EQ(request.header("accept"), "text/html, */*");
  EXPECT_EQ(request.header("x-tag"), "x, y");
  EXPECT_EQ(request.headers.fields().size(), 3U);
}

// ---- Names of fields ----

TEST(ReadHttpRequest, ANameThatIsAnothersSomewhereIsRefusedInADoorAndDroppedElsewhere) {
  for (const auto* name : {"Remote.User", "X Gatehouse", "Remote[User", "Remote!User", "Remote~User", "x'y",
                           "X-\xc3\xa4", "", "X:Y", "Remote+User", "X.Original.URI"}) {
    const Fields more{{name, "evil"}};
    for (const auto& peer : kEverybody) {
      for (const auto& door : kDoors) {
        const auto request = try_read(door, fields_for(door, more), peer);
        ASSERT_EQ(refusal(request), 403) << name;
        EXPECT_THAT(request.error().reason, HasSubstr("name of a header")) << name;
      }
      for (const auto& page : kPages) EXPECT_THAT(read(page, more, peer).headers.fields(), IsEmpty()) << name;
    }
  }
}

TEST(ReadHttpRequest, NamesAreKeptInLowerCaseWithTheirUnderscores) {
  for (const auto& target : every_target()) {
    const auto request = read(target, fields_for(target, {{"User-Agent", "x"}, {"Remote_USER", "y"}, {"_0-", "z"}}));
    EXPECT_THAT(request.headers.fields(), ElementsAre(http::Header{"user-agent", "x"}, http::Header{"remote_user", "y"},
                                                      http::Header{"_0-", "z"}));
  }
}

// The forward door refuses an alias of an identity header; it must see it.
TEST(ReadHttpRequest, AliasesOfOurOwnFieldsAreKept) {
  for (const std::string name : {"x-forwarded_user", "x-forwarded-preferred_username", "x-gatehouse-user_id",
                                 "x_original_uri", "x-original_uri", "x-forwarded-user", "x-gatehouse-user"}) {
    const auto request = read("/auth/forward", forward_of({{name, "evil"}}));
    EXPECT_EQ(request.header(name), "evil");
    EXPECT_EQ(request.path.text(), "/page");
  }
}

TEST(ReadHttpRequest, NeverBelievedFieldsAreNotKept) {
  const Fields fields{{"Authorization", "Basic x"},
                      {"Proxy", "http://evil.example"},
                      {"Connection", "close, x"},
                      {"Keep-Alive", "1"},
                      {"Proxy-Connection", "x"},
                      {"Proxy-Authorization", "x"},
                      {"Proxy-Authenticate", "x"},
                      {"TE", "trailers"},
                      {"Trailer", "x"},
                      {"Transfer-Encoding", "chunked"},
                      {"Upgrade", "h2c"},
                      {"HTTP2-Settings", "x"},
                      {"Content-Length", "5"},
                      {"Content-Type", "text/plain"},
                      {"X-Forwarded-For", "192.0.2.1"},
                      {"X-Forwarded-Host", "a"},
                      {"X-Forwarded-Proto", "http"},
                      {"X-Gatehouse-Cookies", "1"},
                      {"X-Original-Proto", "https"}};
  for (const auto& peer : kEverybody) {
    for (const auto& page : kPages) EXPECT_THAT(read(page, fields, peer).headers.fields(), IsEmpty());
  }
  EXPECT_THAT(read("/auth/check", check_of(fields)).headers.fields(), IsEmpty());
  EXPECT_THAT(read("/auth/forward", forward_of(fields)).headers.fields(), IsEmpty());
}

TEST(ReadHttpRequest, WhatIsNeverKeptMayBeDoubled) {
  const Fields twice{{"Authorization", "a"}, {"Authorization", "b"}, {"Connection", "close"}, {"Connection", "x"}};
  for (const auto& target : every_target()) EXPECT_EQ(refusal(target, fields_for(target, twice)), 0);
}

// ---- The rest ----

TEST(ReadHttpRequest, AnEndpointKnowsItsBody) {
  auto head = head_of("/auth/login", {{"Content-Type", "application/x-www-form-urlencoded"}}, "POST");
  head.content_length = 42;
  const auto request = read_raw(head, kStranger).value();
  EXPECT_EQ(request.content_type, "application/x-www-form-urlencoded");
  EXPECT_EQ(request.content_length, 42U);
  head.content_length = std::nullopt;
  head.is_chunked = true;
  EXPECT_EQ(read_raw(head, kStranger)->content_length, std::nullopt);
}

TEST(ReadHttpRequest, ADoorHasNoBody) {
  for (const auto& door : kDoors) {
    auto head = head_of(door, fields_for(door, {{"Content-Type", "text/plain"}}), "POST");
    head.content_length = 42;
    const auto request = read_raw(head).value();
    EXPECT_EQ(request.content_type, "");
    EXPECT_EQ(request.content_length, std::nullopt);
  }
}

TEST(ReadHttpRequest, TheProtocolIsTheFrontServers) {
  auto head = head_of("/auth/session", {});
  EXPECT_EQ(read_raw(head)->server_protocol, "HTTP/1.1");
  head.is_http_1_0 = true;
  EXPECT_EQ(read_raw(head)->server_protocol, "HTTP/1.0");
}

TEST(ReadHttpRequest, ARefusalIsShownAsTheVisitorReads) {
  for (const auto* target : {"/auth/check", "/auth/login%"}) {
    EXPECT_FALSE(try_read(target, {}).error().wants_html);
    EXPECT_TRUE(try_read(target, {{"Accept", "text/html"}}).error().wants_html);
    EXPECT_TRUE(try_read(target, {{"accept", "text/plain"}, {"Accept", "text/html"}}).error().wants_html);
    EXPECT_FALSE(try_read(target, {{"Accept", "application/json"}}).error().wants_html);
    EXPECT_EQ(try_read(target, {}).error().request_id, "0123456789abcdef");
  }
}

}  // namespace
}  // namespace gatehouse::httpd
