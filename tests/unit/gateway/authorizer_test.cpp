// The authorizer role: a 200 with variables and nothing else, or a refusal that the visitor can read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "fakes.hpp"

namespace gatehouse::gateway {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using testing::FakeExchange;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::route;
using testing::Site;
using ::testing::SizeIs;
using ::testing::StartsWith;

http::Request delivering(http::Request request) {
  request.delivers_cookies = true;
  return request;
}

void make_idle(Site& site) {
  site.clock.advance(site.auth->options().periods.active + 1ms);
}

std::vector<std::string> names(const FakeExchange& answer) {
  std::vector<std::string> names;
  for (const http::Header& header : answer.head.headers.fields()) names.push_back(header.name);
  return names;
}

TEST(Authorizer, AValidSessionPassesWithVariablesAndNothingElse) {
  Site site;
  site.sign_in();
  const FakeExchange answer = site.authorize(site.navigation("/app/x"));
  EXPECT_EQ(answer.head.status, 200);
  EXPECT_EQ(answer.first("Variable-REMOTE_USER"), "alice");
  EXPECT_EQ(answer.first("Variable-AUTH_TYPE"), "Gatehouse");
  EXPECT_EQ(answer.first("Variable-GATEHOUSE_USER_ID"), "u1");
  EXPECT_EQ(answer.first("Variable-GATEHOUSE_SESSION_STATE"), "active");
  EXPECT_EQ(answer.first("Variable-HTTP_REMOTE_USER"), "alice");
  EXPECT_EQ(answer.first("Variable-HTTP_REMOTE_GROUPS"), "staff");
  EXPECT_THAT(names(answer), ::testing::Each(StartsWith("Variable-")));
  EXPECT_EQ(answer.written, "");
  EXPECT_THAT(site.app->requests, IsEmpty()) << "the web server runs the script";
}

TEST(Authorizer, APublicPagePassesForEverybodyWithoutAUser) {
  Site site;
  const FakeExchange answer = site.authorize(site.request("GET", "/public/x"));
  EXPECT_EQ(answer.head.status, 200);
  EXPECT_THAT(names(answer), ElementsAre("Variable-HTTP_REMOTE_USER", "Variable-HTTP_REMOTE_GROUPS"));
  EXPECT_THAT(answer.all("Variable-HTTP_REMOTE_USER"), ElementsAre(""));
}

TEST(Authorizer, ANavigationIsSentToTheLoginAndAProgramGets401) {
  Site site;
  const FakeExchange navigation = site.authorize(site.navigation("/app/x"));
  EXPECT_EQ(navigation.head.status, 302);
  EXPECT_EQ(navigation.first("Location"), "/auth/login?rd=%2Fapp%2Fx");
  const FakeExchange program = site.authorize(site.request("GET", "/app/x"));
  EXPECT_EQ(program.head.status, 401);
  EXPECT_THAT(program.written, HasSubstr("unauthorized"));
}

TEST(Authorizer, WhereEveryRefusalBecomes401NobodyIsRedirected) {
  Site site;
  const FakeExchange answer = site.authorize(site.navigation("/app/x"), Asker::access_checker);
  EXPECT_EQ(answer.head.status, 401);
  EXPECT_THAT(names(answer), IsEmpty()) << "they would be those of the page in its place, beside that page's own";
  EXPECT_EQ(answer.written, "");
  EXPECT_EQ(site.authorize(site.request("GET", "/closed/x"), Asker::access_checker).head.status, 401);
}

TEST(Authorizer, AHookForBasicAuthenticationLetsNobodyIn) {
  Site site;
  site.sign_in();
  EXPECT_EQ(site.authorize(site.request("GET", "/app/x"), Asker::basic_hook).head.status, 401);
  EXPECT_EQ(site.authorize(site.request("GET", "/public/x"), Asker::basic_hook).head.status, 401);
}

TEST(Authorizer, RefusesWhatThePolicyRefuses) {
  Site site;
  EXPECT_EQ(site.authorize(site.request("GET", "/closed/x")).head.status, 403);
  EXPECT_EQ(site.authorize(site.request("GET", "/nowhere")).head.status, 403);
  EXPECT_EQ(site.authorize(site.request("GET", "/auth/check")).head.status, 403);
  EXPECT_EQ(site.authorize(site.request("GET", "/auth/login")).head.status, 200);
  site.sign_in();
  EXPECT_EQ(site.authorize(site.request("GET", "/admin/x")).head.status, 403);
  EXPECT_EQ(site.authorize(site.request("TRACE", "/app/x")).head.status, 403);
  EXPECT_EQ(site.authorize(site.request("CONNECT", "/app/x")).head.status, 403);
}

TEST(Authorizer, AFailingStoreIs503AndTouchesNoCookie) {
  Site site;
  site.sign_in();
  site.store.failures["find_session"] = auth::ErrorCode::store_unavailable;
  const FakeExchange answer = site.authorize(delivering(site.navigation("/app/x")));
  EXPECT_EQ(answer.head.status, 503);
  EXPECT_EQ(answer.first("Retry-After"), "5");
  EXPECT_THAT(answer.all("Set-Cookie"), IsEmpty());
  EXPECT_FALSE(answer.head.headers.has("Location"));
}

TEST(Authorizer, WhereCookiesAreDeliveredAnIdleSessionIsRotated) {
  for (const Asker asker : {Asker::server, Asker::access_checker}) {
    Site site;
    site.sign_in();
    make_idle(site);
    const FakeExchange answer = site.authorize(delivering(site.request("GET", "/app/x")), asker);
    EXPECT_EQ(answer.head.status, 200);
    EXPECT_THAT(answer.all("Set-Cookie"), ElementsAre(StartsWith("__Host-session=")));
    EXPECT_EQ(answer.first("Cache-Control"), "no-store");
    EXPECT_EQ(site.store.calls["rotate"], 1);
  }
}

TEST(Authorizer, WhereTheyAreNotTheSameIdIsExtended) {
  Site site;
  site.sign_in();
  make_idle(site);
  const FakeExchange answer = site.authorize(site.request("GET", "/app/x"));
  EXPECT_EQ(answer.head.status, 200);
  EXPECT_THAT(names(answer), ::testing::Each(StartsWith("Variable-")));
  EXPECT_EQ(site.store.calls["rotate"], 0);
  EXPECT_EQ(site.store.calls["extend"], 1);
}

TEST(Authorizer, ADeadSessionsCookieGoesWithTheRefusalWhichReachesTheVisitorEverywhere) {
  Site site;
  site.sign_in();
  site.clock.advance(std::chrono::days(16));
  const FakeExchange answer = site.authorize(site.navigation("/app/x"));
  EXPECT_EQ(answer.head.status, 302);
  EXPECT_THAT(answer.all("Set-Cookie"), ElementsAre(StartsWith("__Host-session=;")));
}

TEST(Authorizer, AHeaderOfTheVisitorsThatIsOursIsRefusedAndRenewsNothing) {
  for (const char* name : {"remote-user", "remote-groups", "x-gatehouse-user", "variable-remote-user"}) {
    Site site;
    site.sign_in();
    make_idle(site);
    http::Request request = delivering(site.request("GET", "/app/x"));
    request.headers.add(name, "admin");
    EXPECT_EQ(site.authorize(request).head.status, 403) << name;
    EXPECT_EQ(site.store.calls["rotate"], 0) << name;
    http::Request of_nobody = site.request("GET", "/public/x");
    of_nobody.headers.add(name, "admin");
    EXPECT_EQ(site.authorize(of_nobody).head.status, 403) << name;
  }
}

TEST(Authorizer, AHeaderThatSaysWhatWeSayIsOurOwnFromBefore) {
  Site site;
  site.sign_in();
  http::Request request = site.request("GET", "/app/x");
  request.headers.add("remote-user", "alice");
  request.headers.add("remote-groups", "staff");
  EXPECT_EQ(site.authorize(request).head.status, 200);
  request.headers.set("remote-groups", " staff\t");
  EXPECT_EQ(site.authorize(request).head.status, 200) << "a server may have trimmed it, or not";
  request.headers.set("remote-groups", "staff,admin");
  EXPECT_EQ(site.authorize(request).head.status, 403);
}

TEST(Authorizer, WhatIsServedInThePlaceOfWhatWasAskedForIsDecidedToo) {
  Site site;
  http::Request request = site.request("GET", "/public/x");
  for (const auto& [served, status] : {std::pair("/public/y", 200), std::pair("/app/x", 401),
                                       std::pair("/closed/x", 403), std::pair("/nowhere", 403)}) {
    request.served_path = *http::Path::parse(served);
    EXPECT_EQ(site.authorize(request).head.status, status) << served;
  }
  http::Request other = site.request("GET", "/app/x");
  other.served_path = *http::Path::parse("/public/x");
  EXPECT_EQ(site.authorize(other).head.status, 401);
}

TEST(Authorizer, ALookupIsDecidedAndChangesNothing) {
  Site site;
  http::Request lookup = delivering(site.navigation("/app/x"));
  lookup.is_lookup = true;
  EXPECT_EQ(site.authorize(lookup).head.status, 401) << "a redirect would be taken for a yes";
  site.sign_in();
  make_idle(site);
  lookup.headers.set("cookie", site.cookie);
  const FakeExchange idle = site.authorize(lookup);
  EXPECT_EQ(idle.head.status, 200);
  EXPECT_EQ(idle.first("Variable-GATEHOUSE_SESSION_STATE"), "idle");
  EXPECT_THAT(idle.all("Set-Cookie"), IsEmpty());
  EXPECT_EQ(site.store.calls["rotate"] + site.store.calls["extend"], 0);
  site.clock.advance(std::chrono::days(16));
  const FakeExchange dead = site.authorize(lookup);
  EXPECT_EQ(dead.head.status, 401);
  EXPECT_THAT(dead.all("Set-Cookie"), IsEmpty());
}

TEST(Authorizer, AUserWhoCannotBeToldIsRefusedAndNotRenewed) {
  Site site;
  auth::User many;
  many.id = "u2";
  many.username = "bob";
  many.roles = std::vector<std::string>(300, "role-eleven");
  std::ignore = site.store.inner.create_user({many, std::nullopt});
  site.cookie = "__Host-session=" + site.auth->create_session("u2", {})->token.reveal();
  make_idle(site);
  EXPECT_EQ(site.authorize(delivering(site.request("GET", "/app/x"))).head.status, 403);
  EXPECT_EQ(site.store.calls["rotate"], 0);
}

TEST(Authorizer, ABugIsA503) {
  Site site;
  site.sign_in();
  site.failing.throw_always([] { throw std::runtime_error("a bug"); });
  EXPECT_EQ(site.authorize(site.navigation("/app/x")).head.status, 503);
}

// ---- What mod_fcgid makes 401 of ----

http::Request error_page(Site& site, std::string_view path) {
  http::Request request = site.navigation(path);
  request.endpoint_path = "/auth/login";
  request.refused_method = "GET";
  return request;
}

TEST(ErrorDocument, ShowsTheLoginToWhomItHelps) {
  Site site;
  const FakeExchange form = site.serve(error_page(site, "/app/x"));
  EXPECT_EQ(form.head.status, 200);
  EXPECT_THAT(form.written, HasSubstr("name=\"password\""));
}

TEST(ErrorDocument, SaysNotAllowedToAUserWhomThePageIsNotFor) {
  Site site;
  site.sign_in();
  make_idle(site);
  const FakeExchange answer = site.serve(error_page(site, "/admin/x"));
  EXPECT_EQ(answer.head.status, 403);
  EXPECT_EQ(site.store.calls["rotate"] + site.store.calls["extend"], 0);
  EXPECT_EQ(site.serve(error_page(site, "/closed/x")).head.status, 403);
}

TEST(ErrorDocument, ShowsTheLoginToAFormOfAnotherSiteWhoseSessionDoesNotCount) {
  Site site;
  site.sign_in();
  http::Request request = error_page(site, "/admin/x");
  request.refused_method = "POST";
  request.headers.add("origin", "https://evil.example");
  EXPECT_EQ(site.serve(request).head.status, 200);
}

TEST(ErrorDocument, RemovesADeadSessionsCookieAndTheAccessCheckerDoesNot) {
  Site site;
  site.sign_in();
  site.clock.advance(std::chrono::days(16));
  const http::Request asked = delivering(site.navigation("/app/x"));
  EXPECT_THAT(site.authorize(asked, Asker::access_checker).all("Set-Cookie"), IsEmpty());
  EXPECT_THAT(site.serve(error_page(site, "/app/x")).all("Set-Cookie"),
              ::testing::Contains(StartsWith("__Host-session=;")));
  EXPECT_THAT(site.serve(error_page(site, "/closed/x")).all("Set-Cookie"), SizeIs(1));
  site.settings->login.enabled = false;
  EXPECT_THAT(site.authorize(asked, Asker::access_checker).all("Set-Cookie"), SizeIs(1));
}

TEST(ErrorDocument, SaysNotNowWhereNobodyIsKnown) {
  Site site;
  site.sign_in();
  site.store.failures["find_session"] = auth::ErrorCode::store_unavailable;
  const FakeExchange answer = site.serve(error_page(site, "/app/x"));
  EXPECT_EQ(answer.head.status, 503);
  EXPECT_THAT(answer.all("Set-Cookie"), IsEmpty());
}

}  // namespace
}  // namespace gatehouse::gateway
