// The pipeline: who is let in, who is sent where, whose cookie moves, and what a script never sees.
#include "gateway/gateway.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "fakes.hpp"

namespace gatehouse::gateway {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using testing::FakeExchange;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::Site;
using ::testing::SizeIs;

TEST(Gateway, ANavigationWithoutASessionGoesToTheLoginPage) {
  Site site;
  http::Request request = site.navigation("/app/report");
  request.query = "a=1&b=%2F";
  const FakeExchange answer = site.serve(request);
  EXPECT_EQ(answer.head.status, 302);
  EXPECT_EQ(answer.first("Location"), "/auth/login?rd=%2Fapp%2Freport%3Fa%3D1%26b%3D%252F");
  EXPECT_EQ(answer.first("Cache-Control"), "no-store");
  EXPECT_THAT(site.app->requests, IsEmpty());
}

TEST(Gateway, APathThatBeginsWithTwoSlashesMakesNoProtocolRelativeReturn) {
  Site site;
  const FakeExchange answer = site.serve(site.navigation("//app//evil.example"));
  EXPECT_EQ(answer.first("Location"), "/auth/login?rd=%2Fapp%2Fevil.example");
}

TEST(Gateway, AProgramWithoutASessionGets401AndTheRequestId) {
  Site site;
  const FakeExchange answer = site.serve(site.request("GET", "/app/x"));
  EXPECT_EQ(answer.head.status, 401);
  EXPECT_EQ(answer.first("Content-Type"), "application/json");
  EXPECT_EQ(nlohmann::json::parse(answer.written)["request_id"], "0123456789abcdef");
  EXPECT_EQ(site.store.total(), 0) << "nothing was presented, nothing is asked";
}

TEST(Gateway, APostWithoutASessionIsNeverRedirected) {
  Site site;
  http::Request request = site.navigation("/app/x");
  request.method = "POST";
  EXPECT_EQ(site.serve(request).head.status, 401);
}

TEST(Gateway, AValidSessionReachesTheScriptWithItsIdentity) {
  Site site;
  site.sign_in();
  site.store.calls.clear();
  const FakeExchange answer = site.serve(site.navigation("/app/x"));
  EXPECT_EQ(answer.written, "ran");
  ASSERT_THAT(site.app->identities, SizeIs(1));
  const cgi::Identity& identity = site.app->identities[0];
  EXPECT_EQ(identity.remote_user, "alice");
  EXPECT_EQ(identity.user_id, "u1");
  EXPECT_EQ(identity.session_state, "active");
  EXPECT_THAT(identity.headers,
              ElementsAre(http::Header{"Remote-User", "alice"}, http::Header{"Remote-Groups", "staff"}));
  EXPECT_EQ(site.store.total(), 1) << "one read for the whole request";
  EXPECT_THAT(answer.all("Set-Cookie"), IsEmpty());
}

TEST(Gateway, NoMatchAndDenyAre403ForEverybodyWithoutALogin) {
  for (const bool signed_in : {false, true}) {
    Site site;
    if (signed_in) site.sign_in();
    for (const char* path : {"/nowhere", "/closed/x", "/"}) {
      EXPECT_EQ(site.serve(site.navigation(path)).head.status, 403) << path;
    }
    EXPECT_THAT(site.app->requests, IsEmpty());
  }
}

TEST(Gateway, ARoleThatIsMissingIs403AndNotTheLoginPage) {
  Site site;
  site.sign_in();
  const FakeExchange answer = site.serve(site.navigation("/admin/x"));
  EXPECT_EQ(answer.head.status, 403);
  EXPECT_THAT(site.app->requests, IsEmpty());
}

TEST(Gateway, APublicRouteRunsWithoutASessionAndWithEmptyIdentity) {
  Site site;
  EXPECT_EQ(site.serve(site.request("GET", "/public/x")).written, "ran");
  EXPECT_FALSE(site.app->identities[0].remote_user);
  EXPECT_THAT(site.app->identities[0].headers,
              ElementsAre(http::Header{"Remote-User", ""}, http::Header{"Remote-Groups", ""}));
}

TEST(Gateway, APublicRouteKnowsWhoIsSignedIn) {
  Site site;
  site.sign_in();
  std::ignore = site.serve(site.request("GET", "/public/x"));
  EXPECT_EQ(site.app->identities[0].remote_user, "alice");
}

TEST(Gateway, HeadersWeOwnAreGoneInEverySpellingOnPublicRoutesToo) {
  for (const char* path : {"/public/x", "/app/x"}) {
    Site site;
    site.sign_in();
    http::Request request = site.request("GET", path);
    for (const char* name : {"remote-user", "remote-groups", "proxy", "authorization", "x-gatehouse-user",
                             "x-gatehouse-anything", "variable-remote-user", "redirect-status", "Remote_User"}) {
      request.headers.add(name, "evil");
    }
    request.headers.add("x-mine", "kept");
    std::ignore = site.serve(request);
    ASSERT_THAT(site.app->requests, SizeIs(1));
    for (const http::Header& header : site.app->requests[0].headers.fields()) EXPECT_NE(header.value, "evil");
    EXPECT_EQ(site.app->requests[0].header("x-mine"), "kept");
  }
}

TEST(Gateway, TheScriptSeesEveryCookieButOurs) {
  Site site;
  site.sign_in();
  site.cookie = "a=1; " + site.cookie + "; __Host-gatehouse-login=x; b=\"2\"";
  std::ignore = site.serve(site.request("GET", "/app/x"));
  EXPECT_EQ(site.app->requests[0].header("cookie"), "a=1; b=\"2\"");
  auto settings = std::make_shared<Settings>(*site.settings);
  settings->identity.hide_session_cookie = false;
  site.settings = settings;
  std::ignore = site.serve(site.request("GET", "/app/x"));
  EXPECT_THAT(std::string(site.app->requests[1].header("cookie")), HasSubstr("__Host-session="));
}

TEST(Gateway, ARenewedCookieIsAddedWhateverTheScriptAnswers) {
  for (const int status : {502, 503, 504, 404, 413, 0}) {
    Site site;
    const auth::Session old = site.sign_in();
    site.clock.advance(std::chrono::hours(25));
    if (status != 0) site.app->outcomes = {cgi::Failed{status, "told to"}};
    const FakeExchange answer = site.serve(site.request("GET", "/app/x"));
    EXPECT_EQ(answer.head.status, status == 0 ? 200 : status);
    ASSERT_THAT(answer.all("Set-Cookie"), SizeIs(1)) << status;
    EXPECT_THAT(answer.all("Set-Cookie")[0], Not(HasSubstr(old.token.reveal())));
    EXPECT_THAT(answer.all("Cache-Control"), Contains("no-store"));
  }
}

TEST(Gateway, ARefusedRequestNeverRotates) {
  Site site;
  site.sign_in();
  site.clock.advance(std::chrono::hours(25));
  EXPECT_EQ(site.serve(site.request("GET", "/admin/x")).head.status, 403);
  EXPECT_EQ(site.serve(site.request("GET", "/nowhere")).head.status, 403);
  EXPECT_EQ(site.store.calls["rotate"], 0);
}

TEST(Gateway, ALogoutBetweenDecisionAndRenewalIsNoSession) {
  Site site;
  const auth::Session session = site.sign_in();
  site.clock.advance(std::chrono::hours(25));
  site.store.before["rotate"] = [&] { std::ignore = site.store.inner.delete_family(session.row.family); };
  const FakeExchange answer = site.serve(site.request("GET", "/app/x"));
  EXPECT_EQ(answer.head.status, 401);
  EXPECT_THAT(site.app->requests, IsEmpty());
}

TEST(Gateway, AStoreFailureIs503WithoutCookieAndWithoutRedirect) {
  Site site;
  site.sign_in();
  site.store.failures["find_session"] = auth::ErrorCode::store_unavailable;
  for (const char* path : {"/app/x", "/public/x", "/auth/session", "/auth/login"}) {
    const FakeExchange answer = site.serve(site.navigation(path));
    EXPECT_EQ(answer.head.status, 503) << path;
    EXPECT_TRUE(answer.head.headers.has("Retry-After"));
    EXPECT_THAT(answer.all("Set-Cookie"), IsEmpty()) << path;
    EXPECT_THAT(answer.written, Not(HasSubstr("told to"))) << "no driver's words";
  }
  EXPECT_THAT(site.app->requests, IsEmpty());
}

TEST(Gateway, AReadOnlyStoreLetsIdleSessionsInUnrenewed) {
  Site site;
  site.sign_in();
  site.clock.advance(std::chrono::hours(25));
  site.store.failures["rotate"] = auth::ErrorCode::store_read_only;
  const FakeExchange answer = site.serve(site.request("GET", "/app/x"));
  EXPECT_EQ(answer.written, "ran");
  EXPECT_THAT(answer.all("Set-Cookie"), IsEmpty());
  EXPECT_EQ(site.app->identities[0].session_state, "idle");
}

TEST(Gateway, NoThreadForARenewalLetsIdleSessionsInUnrenewed) {
  Site site;
  site.sign_in();
  site.clock.advance(std::chrono::hours(25));
  site.max_pending_writes = 0;
  const FakeExchange answer = site.serve(site.request("GET", "/app/x"));
  EXPECT_EQ(answer.written, "ran");
  EXPECT_THAT(answer.all("Set-Cookie"), IsEmpty());
  EXPECT_EQ(site.app->identities[0].session_state, "idle");
}

TEST(Gateway, ADeadSessionsCookieGoesWithTheRedirect) {
  Site site;
  site.sign_in();
  site.clock.advance(std::chrono::days(16));
  const FakeExchange answer = site.serve(site.navigation("/app/x"));
  EXPECT_EQ(answer.head.status, 302);
  EXPECT_THAT(answer.all("Set-Cookie"), Contains(HasSubstr("__Host-session=;")));
}

TEST(Gateway, AScriptCannotSteerTheWebServerOrSetOurCookies) {
  Site site;
  site.sign_in();
  site.app->headers = {{"Content-Type", "text/plain"},
                       {"X-Accel-Redirect", "/secret"},
                       {"x-accel-buffering", "no"},
                       {"X-Sendfile", "/etc/passwd"},
                       {"X-LIGHTTPD-send-file", "/etc/passwd"},
                       {"Transfer-Encoding", "chunked"},
                       {"Connection", "close"},
                       {"Set-Cookie", "__Host-session=stolen; Path=/"},
                       {"Set-Cookie", "=__Host-session=stolen; Path=/"},
                       {"Set-Cookie", " =\t= __Host-session=stolen"},
                       {"set-cookie", "theirs=1"},
                       {"Set-Cookie", "theirs=2"}};
  const FakeExchange answer = site.serve(site.request("GET", "/app/x"));
  EXPECT_THAT(answer.all("Set-Cookie"), ElementsAre("theirs=1", "theirs=2"));
  EXPECT_THAT(answer.all("X-Accel-Redirect"), IsEmpty());
  EXPECT_THAT(answer.all("X-Accel-Buffering"), IsEmpty());
  EXPECT_THAT(answer.all("X-Sendfile"), IsEmpty());
  EXPECT_THAT(answer.all("X-LIGHTTPD-send-file"), IsEmpty());
  EXPECT_THAT(answer.all("Transfer-Encoding"), IsEmpty());
  EXPECT_THAT(answer.all("Connection"), IsEmpty());
}

TEST(Gateway, AScriptMaySteerTheWebServerWhereThatIsConfigured) {
  Site site;
  site.sign_in();
  site.app->may_steer = true;
  site.app->headers = {{"X-Accel-Redirect", "/files/x"},
                       {"X-Sendfile", "/srv/files/x"},
                       {"Connection", "close"},
                       {"Set-Cookie", "__Host-session=stolen; Path=/"}};
  const FakeExchange answer = site.serve(site.request("GET", "/app/x"));
  EXPECT_THAT(answer.all("X-Accel-Redirect"), ElementsAre("/files/x"));
  EXPECT_THAT(answer.all("X-Sendfile"), ElementsAre("/srv/files/x"));
  EXPECT_THAT(answer.all("Connection"), IsEmpty());
  EXPECT_THAT(answer.all("Set-Cookie"), IsEmpty());
}

TEST(Gateway, ALocalRedirectIsDecidedAnew) {
  Site site;
  site.sign_in();
  site.app->outcomes = {cgi::LocalRedirect{"/app/other?x=1"}};
  EXPECT_EQ(site.serve(site.post("/app/first", "a=1")).written, "ran");
  ASSERT_THAT(site.app->requests, SizeIs(2));
  EXPECT_EQ(site.app->requests[1].method, "GET");
  EXPECT_EQ(site.app->requests[1].path.text(), "/app/other");
  EXPECT_EQ(site.app->requests[1].query, "x=1");
  site.app->outcomes = {cgi::LocalRedirect{"/admin/x"}};
  EXPECT_EQ(site.serve(site.request("GET", "/app/first")).head.status, 403);
}

TEST(Gateway, LocalRedirectsInACircleEndIn502) {
  Site site;
  site.sign_in();
  site.app->outcomes.assign(50, cgi::LocalRedirect{"/app/again"});
  EXPECT_EQ(site.serve(site.request("GET", "/app/first")).head.status, 502);
  EXPECT_LE(site.app->requests.size(), 11U);
  site.app->outcomes = {cgi::LocalRedirect{"/auth/logout"}};
  EXPECT_EQ(site.serve(site.request("GET", "/app/first")).head.status, 502);
}

TEST(Gateway, AControlByteInAnAttributeIsRefused) {
  Site site;
  site.sign_in();
  auth::UserChange change;
  change.roles = std::vector<std::string>{"a\r\nX-Evil: 1"};
  ASSERT_TRUE(site.store.inner.update_user("u1", change));
  EXPECT_EQ(site.serve(site.request("GET", "/app/x")).head.status, 403);
  EXPECT_THAT(site.app->requests, IsEmpty());
}

TEST(Gateway, AUserWhoseAttributesCannotBeSentIsRefusedAndNotRenewed) {
  Site site;
  site.sign_in();
  auth::UserChange change;
  change.roles = std::vector<std::string>{"a\r\nX-Evil: 1"};
  ASSERT_TRUE(site.store.inner.update_user("u1", change));
  const auto before = *site.store.inner.all_sessions();
  site.clock.time = before.front().active_expires + auth::Milliseconds(1);
  const FakeExchange answer = site.serve(site.request("GET", "/app/x"));
  EXPECT_EQ(answer.head.status, 403);
  EXPECT_THAT(answer.all("Set-Cookie"), IsEmpty());
  EXPECT_EQ(*site.store.inner.all_sessions(), before);
}

TEST(Gateway, WhatLiesBelowThePrefixIsNeverARoutesBusiness) {
  Site site;
  auto settings = std::make_shared<Settings>(*site.settings);
  settings->routes = {testing::route("/**", policy::Access::public_)};
  site.settings = settings;
  for (const char* path : {"/auth", "/auth/", "/auth/forward", "/auth/login/x", "/auth/nothing"}) {
    EXPECT_EQ(site.serve(site.request("GET", path)).head.status, 404) << path;
  }
  EXPECT_EQ(site.serve(site.request("GET", "/auth/check")).head.status, 403) << "a check about nothing";
  EXPECT_EQ(site.serve(site.request("GET", "/authority")).written, "ran");
}

TEST(Gateway, AnEndpointIsMetByScriptNameFirst) {
  Site site;
  site.sign_in();
  http::Request request = site.request("GET", "/app/x");
  request.endpoint_path = "/auth/session";
  EXPECT_EQ(site.serve(request).head.status, 200);
  EXPECT_THAT(site.app->requests, IsEmpty());
}

// A rule for a script held only for its bare path: everybody who was signed in reached it with a PATH_INFO.
TEST(Gateway, ARuleForAScriptHoldsForItsPathInfoToo) {
  Site site;
  site.sign_in();
  site.app->script = "/admin.cgi";
  auto settings = std::make_shared<Settings>(*site.settings);
  settings->routes = {testing::route("/admin.cgi/open/**", policy::Access::public_),
                      testing::route("/admin.cgi", policy::Access::authenticated, {{"roles", {"admin"}}}),
                      testing::route("/**", policy::Access::authenticated)};
  site.settings = settings;
  EXPECT_EQ(site.serve(site.request("GET", "/admin.cgi")).head.status, 403);
  EXPECT_EQ(site.serve(site.request("GET", "/admin.cgi/x")).head.status, 403);
  EXPECT_EQ(site.serve(site.request("GET", "/admin.cgi/open/x")).written, "ran") << "a rule of its own stands before";
  EXPECT_EQ(site.serve(site.request("GET", "/other/x")).written, "ran");
}

TEST(Gateway, ARuleForAnIndexPageHoldsForItsFolderToo) {
  Site site;
  site.sign_in();
  site.app->index = "index.php";
  auto settings = std::make_shared<Settings>(*site.settings);
  settings->routes = {testing::route("/open/", policy::Access::public_),
                      testing::route("/admin/index.php", policy::Access::authenticated, {{"roles", {"admin"}}}),
                      testing::route("/open/index.php", policy::Access::deny),
                      testing::route("/**", policy::Access::authenticated)};
  site.settings = settings;
  EXPECT_EQ(site.serve(site.request("GET", "/admin/")).head.status, 403);
  EXPECT_EQ(site.serve(site.request("GET", "/open/")).written, "ran") << "a rule of its own stands before";
  EXPECT_EQ(site.serve(site.request("GET", "/other/")).written, "ran");
}

TEST(Gateway, APostWithoutASessionGetsJsonWhateverItAccepts) {
  Site site;
  http::Request request = site.post("/app/x", "a=1");
  request.headers.set("accept", "text/html");
  EXPECT_EQ(site.serve(request).first("Content-Type"), "application/json");
}

TEST(Gateway, TraceAndConnectReachNoScript) {
  Site site;
  site.sign_in();
  for (const char* method : {"TRACE", "CONNECT"}) {
    EXPECT_EQ(site.serve(site.request(method, "/public/x")).head.status, 405);
    EXPECT_EQ(site.serve(site.request(method, "/auth/logout")).head.status, 405);
  }
  EXPECT_THAT(site.app->requests, IsEmpty());
}

TEST(Gateway, TheOriginOfEndpointsUrlIsOursForEndpointsOnly) {
  Site site;
  auto settings = std::make_shared<Settings>(*site.settings);
  settings->endpoint_origin = http::Origin::parse("https://auth.example.org");
  site.settings = settings;
  site.sign_in();
  http::Request page = site.post("/app/x", "");
  page.headers.set("origin", "https://auth.example.org");
  EXPECT_EQ(site.serve(page).head.status, 401);
  http::Request logout = site.post("/auth/logout", "");
  logout.headers.set("origin", "https://auth.example.org");
  EXPECT_EQ(site.serve(logout).head.status, 303);
}

TEST(SessionEndpoint, ShowsUserAndSessionButNeverTheToken) {
  Site site;
  const auth::Session session = site.sign_in();
  site.clock.advance(std::chrono::hours(25));
  const FakeExchange answer = site.serve(site.request("GET", "/auth/session"));
  EXPECT_EQ(answer.head.status, 200);
  const auto json = nlohmann::json::parse(answer.written);
  EXPECT_EQ(json["user"]["username"], "alice");
  EXPECT_EQ(json["session"]["state"], "idle");
  EXPECT_THAT(answer.written, Not(HasSubstr(session.token.reveal())));
  EXPECT_THAT(answer.written, Not(HasSubstr(session.row.id.text())));
  EXPECT_EQ(site.store.calls["rotate"], 0) << "asking does not extend";
}

TEST(SessionEndpoint, WithoutASessionIs401AndOtherMethods405) {
  Site site;
  EXPECT_EQ(site.serve(site.navigation("/auth/session")).head.status, 401);
  const FakeExchange answer = site.serve(site.post("/auth/session", ""));
  EXPECT_EQ(answer.head.status, 405);
  EXPECT_EQ(answer.first("Allow"), "GET, HEAD");
}

TEST(LogoutEndpoint, EndsTheSessionAndExpiresTheCookie) {
  Site site;
  const auth::Session session = site.sign_in();
  const FakeExchange answer = site.serve(site.post("/auth/logout", "rd=%2Fpublic%2Fbye"));
  EXPECT_EQ(answer.head.status, 303);
  EXPECT_EQ(answer.first("Location"), "/public/bye");
  EXPECT_THAT(answer.all("Set-Cookie"), ElementsAre(HasSubstr("__Host-session=;")));
  EXPECT_FALSE(site.auth->find(session.token)->found);
}

TEST(LogoutEndpoint, GetIs405AndAForeignOrigin403AndBothTouchNothing) {
  Site site;
  const auth::Session session = site.sign_in();
  EXPECT_EQ(site.serve(site.navigation("/auth/logout")).first("Allow"), "POST");
  http::Request foreign = site.post("/auth/logout", "");
  foreign.headers.set("origin", "https://evil.example");
  const FakeExchange refused = site.serve(foreign);
  EXPECT_EQ(refused.head.status, 403);
  EXPECT_THAT(refused.all("Set-Cookie"), IsEmpty());
  http::Request unknown = site.post("/auth/logout", "");
  unknown.headers.remove("origin");
  EXPECT_EQ(site.serve(unknown).head.status, 403);
  EXPECT_TRUE(site.auth->find(session.token)->found);
}

TEST(LogoutEndpoint, DoubledFieldsAreRefusedAndAStoreFailureIs503) {
  Site site;
  const auth::Session session = site.sign_in();
  EXPECT_EQ(site.serve(site.post("/auth/logout", "rd=/a&rd=/b")).head.status, 400);
  site.store.failures["delete_family"] = auth::ErrorCode::store_read_only;
  const FakeExchange answer = site.serve(site.post("/auth/logout", ""));
  EXPECT_EQ(answer.head.status, 503);
  EXPECT_THAT(answer.all("Set-Cookie"), IsEmpty());
  EXPECT_TRUE(site.auth->find(session.token)->found);
}

TEST(LogoutEndpoint, AJsonClientGetsJson) {
  Site site;
  const auth::Session session = site.sign_in();
  http::Request request = site.post("/auth/logout", "{}");
  request.content_type = "application/json";
  request.headers.set("accept", "application/json");
  const FakeExchange answer = site.serve(request);
  EXPECT_EQ(answer.head.status, 200);
  EXPECT_EQ(answer.written, "{}");
  EXPECT_FALSE(site.auth->find(session.token)->found);
}

}  // namespace
}  // namespace gatehouse::gateway
