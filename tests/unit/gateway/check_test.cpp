// The check endpoint: the same decision as for a page of our own, in a status and headers, and never anything else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <stdexcept>

#include "fakes.hpp"

namespace gatehouse::gateway {
namespace {

using namespace std::chrono_literals;
using testing::FakeExchange;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::route;
using testing::Site;
using ::testing::SizeIs;

/// A check about a page, as a front server's subrequest makes it.
http::Request check(Site& site, std::string_view path, std::string method = "GET", bool delivers_cookies = false) {
  http::Request request = site.request(std::move(method), path);
  request.endpoint_path = "/auth/check";
  request.delivers_cookies = delivers_cookies;
  return request;
}

void make_idle(Site& site) {
  site.clock.advance(site.auth->options().periods.active + 1ms);
}

TEST(Check, AValidSessionPassesWithItsIdentityAndNoBody) {
  Site site;
  site.sign_in();
  const FakeExchange answer = site.serve(check(site, "/app/x"));
  EXPECT_EQ(answer.head.status, 200);
  EXPECT_EQ(answer.first("X-Gatehouse-User"), "alice");
  EXPECT_EQ(answer.first("X-Gatehouse-User-Id"), "u1");
  EXPECT_EQ(answer.first("X-Gatehouse-Session-State"), "active");
  EXPECT_EQ(answer.first("Remote-User"), "alice");
  EXPECT_EQ(answer.first("Remote-Groups"), "staff");
  EXPECT_EQ(answer.first("Cache-Control"), "no-store");
  EXPECT_EQ(answer.written, "");
  EXPECT_THAT(answer.all("Set-Cookie"), IsEmpty());
  EXPECT_THAT(site.app->requests, IsEmpty()) << "the web server runs the script";
}

TEST(Check, APublicPagePassesForEverybodyWithEmptyHeadersInThePlaceOfSpoofedOnes) {
  Site site;
  http::Request request = check(site, "/public/x");
  request.headers.add("Remote-User", "admin");
  const FakeExchange answer = site.serve(request);
  EXPECT_EQ(answer.head.status, 200);
  for (const char* name :
       {"X-Gatehouse-User", "X-Gatehouse-User-Id", "X-Gatehouse-Session-State", "Remote-User", "Remote-Groups"}) {
    EXPECT_THAT(answer.all(name), ::testing::ElementsAre("")) << name;
  }
}

TEST(Check, IsAnsweredWith200401403And503AndNothingElse) {
  Site site;
  EXPECT_EQ(site.serve(check(site, "/app/x")).head.status, 401);
  EXPECT_EQ(site.serve(check(site, "/closed/x")).head.status, 403);
  EXPECT_EQ(site.serve(check(site, "/nowhere")).head.status, 403);
  site.sign_in();
  EXPECT_EQ(site.serve(check(site, "/admin/x")).head.status, 403);
  EXPECT_EQ(site.serve(check(site, "/app/x", "TRACE")).head.status, 403);
  EXPECT_EQ(site.serve(check(site, "/app/x", "CONNECT")).head.status, 403);
  EXPECT_EQ(site.serve(check(site, "/app/x", "PROPFIND")).head.status, 200) << "methods belong to the program";
  site.store.failures["find_session"] = auth::ErrorCode::store_unavailable;
  const FakeExchange failed = site.serve(check(site, "/app/x"));
  EXPECT_EQ(failed.head.status, 503);
  EXPECT_EQ(failed.first("Retry-After"), "5");
  EXPECT_EQ(failed.written, "");
}

TEST(Check, ANavigationIsNotRedirected) {  // nginx makes a 500 of it, and lighttpd's cousins a pass
  Site site;
  http::Request request = site.navigation("/app/x");
  request.endpoint_path = "/auth/check";
  const FakeExchange answer = site.serve(request);
  EXPECT_EQ(answer.head.status, 401);
  EXPECT_EQ(answer.first("Location"), "");
}

TEST(Check, AskedAboutItselfOrBelowThePrefixItRefuses) {
  Site site;
  site.settings->routes = {route("/**", policy::Access::public_)};
  for (const char* path : {"/auth/check", "/auth/check/", "/auth", "/auth/nothing", "/auth/check/x"}) {
    EXPECT_EQ(site.serve(check(site, path)).head.status, 403) << path;
  }
  const http::Request direct = site.request("GET", "/auth/check");
  EXPECT_EQ(site.serve(direct).head.status, 403);
}

TEST(Check, AboutAPageOfOurOwnEverybodyPasses) {
  Site site;
  site.settings->routes = {route("/**", policy::Access::authenticated)};
  for (const char* path : {"/auth/login", "/auth/logout", "/auth/session"}) {
    EXPECT_EQ(site.serve(check(site, path)).head.status, 200) << path;
  }
  EXPECT_EQ(site.serve(check(site, "/auth/login/x")).head.status, 403) << "only the exact path";
}

TEST(Check, AForeignOriginHasNoSession) {
  Site site;
  site.sign_in();
  http::Request post = check(site, "/app/x", "POST", true);
  post.headers.add("origin", "https://evil.example");
  const FakeExchange answer = site.serve(post);
  EXPECT_EQ(answer.head.status, 401);
  EXPECT_THAT(answer.all("Set-Cookie"), IsEmpty());
}

TEST(Check, TheOriginOfTheEndpointsIsNotTheOriginOfThePage) {
  Site site;
  site.sign_in();
  site.settings->endpoint_origin = http::Origin::parse("https://auth.example.org");
  http::Request post = check(site, "/app/x", "POST");
  post.headers.add("origin", "https://auth.example.org");
  EXPECT_EQ(site.serve(post).head.status, 401);
}

TEST(Check, WhereCookiesAreDeliveredAnIdleSessionIsRotatedWithOneCookie) {
  Site site;
  const auth::Session old = site.sign_in();
  make_idle(site);
  const FakeExchange answer = site.serve(check(site, "/app/x", "GET", true));
  EXPECT_EQ(answer.head.status, 200);
  ASSERT_THAT(answer.all("Set-Cookie"), SizeIs(1));
  EXPECT_THAT(answer.first("Set-Cookie"), ::testing::Not(HasSubstr(old.token.reveal())));
  EXPECT_EQ(answer.first("X-Gatehouse-Cache-Control"), "no-store") << "for the page that carries the cookie";
  EXPECT_FALSE(site.store.inner.find_session(old.row.id)->has_value());
}

TEST(Check, WhereTheyAreNotTheSameIdIsExtendedAndNoCookieSent) {
  Site site;
  const auth::Session old = site.sign_in();
  make_idle(site);
  const FakeExchange answer = site.serve(check(site, "/app/x"));
  EXPECT_EQ(answer.head.status, 200);
  EXPECT_THAT(answer.all("Set-Cookie"), IsEmpty());
  const auto row = *site.store.inner.find_session(old.row.id);
  ASSERT_TRUE(row) << "the visitor would never learn a new id";
  EXPECT_GT(row->session.active_expires, old.row.active_expires);
}

TEST(Check, ARefusedRequestRenewsNothing) {
  Site site;
  const auth::Session old = site.sign_in();
  make_idle(site);
  EXPECT_EQ(site.serve(check(site, "/admin/x", "GET", true)).head.status, 403);
  const auto row = *site.store.inner.find_session(old.row.id);
  ASSERT_TRUE(row);
  EXPECT_EQ(row->session.active_expires, old.row.active_expires);
}

TEST(Check, ADeadSessionsCookieIsRemovedOnlyWhereCookiesAreDelivered) {
  Site site;
  site.sign_in();
  site.clock.advance(200 * 24h);
  EXPECT_THAT(site.serve(check(site, "/app/x")).all("Set-Cookie"), IsEmpty());
  const FakeExchange answer = site.serve(check(site, "/app/x", "GET", true));
  EXPECT_EQ(answer.head.status, 401);
  ASSERT_THAT(answer.all("Set-Cookie"), SizeIs(1));
  EXPECT_THAT(answer.first("Set-Cookie"), HasSubstr("1970"));
}

TEST(Check, AFailingStoreTouchesNoCookie) {
  Site site;
  site.sign_in();
  site.store.failures["find_session"] = auth::ErrorCode::store_unavailable;
  EXPECT_THAT(site.serve(check(site, "/app/x", "GET", true)).all("Set-Cookie"), IsEmpty());
}

TEST(Check, TheRuleOfAScriptHoldsForWhatComesBehindIt) {
  Site site;
  site.sign_in();
  site.settings->routes = {route("/tools/admin.php", policy::Access::authenticated, {{"roles", {"admin"}}}),
                           route("/tools/admin", policy::Access::deny), route("/tools/**", policy::Access::public_)};
  for (const char* path : {"/tools/admin.php", "/tools/admin.php/", "/tools/admin.php/x", "/tools/admin.php/x.css",
                           "/tools/admin/x", "/tools/admin/x/y.css"}) {
    EXPECT_EQ(site.serve(check(site, path)).head.status, 403) << path;
  }
  EXPECT_EQ(site.serve(check(site, "/tools/other.php/x")).head.status, 200);
}

TEST(Check, AUserWhoseNameHoldsALineBreakIsRefused) {
  Site site;
  auth::User bad;
  bad.id = "u2";
  bad.username = "bob";
  bad.roles = {"a\r\nX-Admin: 1"};
  std::ignore = site.store.inner.create_user({bad, auth::Key{"username:bob", "u2", testing::hash_of_alice()}});
  const auth::Session session = *site.auth->create_session("u2", {});
  site.cookie = "__Host-session=" + session.token.reveal();
  EXPECT_EQ(site.serve(check(site, "/app/x")).head.status, 403);
}

TEST(Check, AUserWhoseAttributesDoNotFitIntoAWebServersPageIsRefused) {
  Site site;
  auth::User many;
  many.id = "u2";
  many.username = "bob";
  many.roles = std::vector<std::string>(300, "role-eleven");
  std::ignore = site.store.inner.create_user({many, auth::Key{"username:bob", "u2", testing::hash_of_alice()}});
  const auth::Session session = *site.auth->create_session("u2", {});
  site.cookie = "__Host-session=" + session.token.reveal();
  make_idle(site);
  EXPECT_EQ(site.serve(check(site, "/app/x", "GET", true)).head.status, 403);
  EXPECT_EQ(site.store.calls["rotate"], 0) << "a refused request renews nothing";
}

class BrokenClock final : public auth::Clock {
 public:
  [[nodiscard]] auth::Timestamp now() const override { throw std::runtime_error("a bug"); }
};

TEST(Check, ABugIsOneOfTheFourStatusesAndTouchesNoCookie) {
  Site site;
  site.sign_in();
  const BrokenClock clock;
  site.settings->auth =
      std::make_shared<auth::Auth>(site.auth->options(), site.failing, clock, site.random, site.events);
  const FakeExchange answer = site.serve(check(site, "/app/x", "GET", true));
  EXPECT_EQ(answer.head.status, 503);
  EXPECT_THAT(answer.all("Set-Cookie"), IsEmpty());
}

TEST(Check, WhatTheSubrequestSaysOfABodyIsNotWaitedFor) {
  Site site;
  site.sign_in();
  http::Request post = check(site, "/app/x", "POST");
  post.headers.add("origin", "https://app.example.org");
  post.content_length = 900'000;
  EXPECT_EQ(site.serve(post).head.status, 200);
}

TEST(Forward, ARefusalIsReadByTheVisitorAndSaysNothingThatIsForServers) {
  Site site;
  site.sign_in();
  site.clock.advance(std::chrono::days(16));
  http::Request request = site.request("GET", "/app/x");
  request.endpoint_path = "/auth/forward";
  request.delivers_cookies = true;
  const FakeExchange answer = site.ask_over_http(request);
  EXPECT_EQ(answer.head.status, 401);
  EXPECT_THAT(answer.all("Set-Cookie"), SizeIs(1));
  EXPECT_FALSE(answer.head.headers.has("X-Gatehouse-Cache-Control"));
  EXPECT_EQ(answer.first("Cache-Control"), "no-store");
}

TEST(Check, DecidesAsThePageItselfIsDecided) {
  const std::set<std::string> methods{"GET", "POST"};
  for (const char* path : {"/public/x", "/app/x", "/admin/x", "/closed/x", "/nowhere", "/app", "/admin/"}) {
    for (const std::string& method : methods) {
      for (const bool signed_in : {false, true}) {
        Site site;
        if (signed_in) site.sign_in();
        const int page = site.serve(site.request(method, path)).head.status;
        const int checked = site.serve(check(site, path, method)).head.status;
        EXPECT_EQ(page, checked) << method << ' ' << path << (signed_in ? " signed in" : "");
      }
    }
  }
}

}  // namespace
}  // namespace gatehouse::gateway
