// The login form: what it asks for, what it refuses, and the session it makes.
#include "gateway/login.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fakes.hpp"
#include "login_form.hpp"

namespace gatehouse::gateway {
namespace {

using testing::between;
using ::testing::Contains;
using testing::FakeExchange;
using testing::Form;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::Site;
using ::testing::SizeIs;

TEST(Login, TheFormIsAPageOfItsOwn) {
  Site site;
  http::Request request = site.navigation("/auth/login");
  request.query = "rd=%2Fapp%2Fx%3Fa%3D1";
  const FakeExchange page = site.serve(request);
  EXPECT_EQ(page.head.status, 200);
  EXPECT_EQ(between(page.written, "name=\"rd\" value=\"", "\""), "/app/x?a=1");
  EXPECT_THAT(page.written, HasSubstr("autocomplete=\"current-password\""));
  EXPECT_THAT(page.first("Content-Security-Policy"), HasSubstr("frame-ancestors 'none'"));
  EXPECT_THAT(page.first("Set-Cookie"), HasSubstr("__Host-gatehouse-login="));
  EXPECT_THAT(page.first("Set-Cookie"), HasSubstr("HttpOnly; Secure; SameSite=Lax"));
}

TEST(Login, TheRightPasswordMakesANewSessionAndGoesBack) {
  Site site;
  Form form(site);
  const FakeExchange answer = site.serve(form.filled("alice", "correct+horse+battery"));
  EXPECT_EQ(answer.head.status, 303);
  EXPECT_EQ(answer.first("Location"), "/app/x");
  const auto cookies = answer.all("Set-Cookie");
  ASSERT_THAT(cookies, SizeIs(2));
  EXPECT_THAT(cookies, Contains(HasSubstr("__Host-gatehouse-login=;")));
  site.cookie = between(answer.all("Set-Cookie").back(), "", ";");
  EXPECT_EQ(site.serve(site.request("GET", "/app/x")).written, "ran");
}

TEST(Login, AWrongPasswordAnUnknownNameAndADisabledUserLookTheSame) {
  Site site;
  Form form(site);
  const FakeExchange wrong = site.serve(form.filled("alice", "wrong"));
  const FakeExchange unknown = site.serve(form.filled("alicf", "wrong"));
  auth::UserChange change;
  change.disabled = true;
  ASSERT_TRUE(site.store.inner.update_user("u1", change));
  const FakeExchange disabled = site.serve(form.filled("alice", "correct+horse+battery"));
  EXPECT_EQ(wrong.head.status, 401);
  EXPECT_EQ(unknown.head.status, 401);
  EXPECT_EQ(wrong.written, disabled.written);
  EXPECT_EQ(wrong.written.size(), unknown.written.size());
  EXPECT_THAT(wrong.all("Set-Cookie"), IsEmpty());
  EXPECT_EQ(site.store.inner.all_sessions()->size(), 0U);
}

TEST(Login, AnExpiredSingleUseKeyLooksLikeAWrongPassword) {
  Site site;
  auth::Key key = **site.store.inner.find_key("username:alice");
  key.id = "username:guest";
  key.expires = site.clock.now() - auth::Milliseconds(1);
  ASSERT_TRUE(site.store.inner.create_key(key));
  Form form(site);
  EXPECT_EQ(site.serve(form.filled("guest", "correct+horse+battery")).head.status, 401);
  EXPECT_FALSE(*site.store.inner.find_key("username:guest"));
}

TEST(Login, WithoutTheCsrfValueItIs403AndAFreshForm) {
  Site site;
  Form form(site);
  for (const std::string& csrf : {std::string(), std::string("x"), std::string(64, '0')}) {
    const std::string good = std::exchange(form.csrf, csrf);
    const FakeExchange answer = site.serve(form.filled("alice", "correct+horse+battery"));
    form.csrf = good;
    EXPECT_EQ(answer.head.status, 403);
    EXPECT_EQ(between(answer.written, "name=\"csrf\" value=\"", "\""), good);
    EXPECT_THAT(answer.written, HasSubstr("value=\"alice\""));
  }
  EXPECT_EQ(site.store.inner.all_sessions()->size(), 0U);
}

TEST(Login, OverPlainHttpTheFormSaysThatItNeedsHttps) {
  Site site;
  Form form(site);
  form.cookie.clear();  // a browser does not keep a Secure cookie that came over http
  http::Request request = form.filled("alice", "correct+horse+battery");
  request.scheme = "http";
  request.server_port = 80;
  request.headers.set("origin", "http://app.example.org");
  const FakeExchange answer = site.serve(request);
  EXPECT_EQ(answer.head.status, 403);
  EXPECT_THAT(answer.written, HasSubstr("https"));
}

TEST(Login, AnotherBrowsersCsrfValueIsNoGood) {
  Site site;
  Form mine(site);
  const Form theirs(site);
  mine.csrf = theirs.csrf;
  EXPECT_EQ(site.serve(mine.filled("alice", "correct+horse+battery")).head.status, 403);
  mine.cookie.clear();
  EXPECT_EQ(site.serve(mine.filled("alice", "correct+horse+battery")).head.status, 403);
}

TEST(Login, AForeignOrUnknownOriginIs403) {
  Site site;
  Form form(site);
  http::Request foreign = form.filled("alice", "correct+horse+battery");
  foreign.headers.set("origin", "https://evil.example");
  EXPECT_EQ(site.serve(foreign).head.status, 403);
  http::Request unknown = form.filled("alice", "correct+horse+battery");
  unknown.headers.remove("origin");
  EXPECT_EQ(site.serve(unknown).head.status, 403);
  EXPECT_EQ(site.store.inner.all_sessions()->size(), 0U);
}

TEST(Login, ThePresentedSessionsFamilyEndsAlsoByARotatedId) {
  for (const bool rotated : {false, true}) {
    Site site;
    const auth::Session old = site.sign_in();
    auth::SessionToken live = old.token;
    if (rotated) {
      site.clock.advance(std::chrono::hours(25));
      live = (*site.auth->renew(*site.auth->find(old.token)))->session.token;
    }
    Form form(site);
    EXPECT_EQ(site.serve(form.filled("alice", "correct+horse+battery")).head.status, 303);
    EXPECT_FALSE(site.auth->find(live)->found);
    EXPECT_EQ(site.store.inner.all_sessions()->size(), 1U);
  }
}

// It used to be counted: with two allowed, signing in again in one browser signed the other device out.
TEST(Login, OverASessionDoesNotCountItAmongTheUsersSessions) {
  auth::AuthOptions options = auth::testing::World::options();
  options.max_per_user = 2;
  Site site(options);
  const auth::Session phone = *site.auth->create_session("u1", {});
  const auth::Session old = site.sign_in();
  Form form(site);
  EXPECT_EQ(site.serve(form.filled("alice", "correct+horse+battery")).head.status, 303);
  EXPECT_TRUE(site.auth->find(phone.token)->found);
  EXPECT_FALSE(site.auth->find(old.token)->found);
  EXPECT_EQ(site.store.inner.all_sessions()->size(), 2U);
}

TEST(Login, AStoreFailureIs503AndNoCookieMoves) {
  for (const char* call : {"find_key", "find_user", "find_session", "replace_family"}) {
    Site site;
    site.sign_in();
    Form form(site);
    const http::Request request = form.filled("alice", "correct+horse+battery");
    site.store.failures[call] = auth::ErrorCode::store_read_only;
    const FakeExchange answer = site.serve(request);
    EXPECT_EQ(answer.head.status, 503) << call;
    EXPECT_THAT(answer.all("Set-Cookie"), IsEmpty()) << call;
  }
}

// The session was written after the change had ended those that were there: it used to live on.
TEST(Login, APasswordChangedWhileALoginIsUnderWayEndsThatLoginToo) {
  for (const char* written : {"create_session", "replace_family"}) {
    Site site;
    if (written == std::string_view("replace_family")) site.sign_in();
    Form form(site);
    site.store.before[written] = [&site] {
      ASSERT_TRUE(site.store.inner.update_key_password("username:alice", "another password's hash"));
    };
    const FakeExchange answer = site.serve(form.filled("alice", "correct+horse+battery"));
    const FakeExchange wrong = site.serve(form.filled("alice", "wrong"));
    EXPECT_EQ(answer.head.status, 401) << written;
    EXPECT_EQ(answer.written, wrong.written) << written;
    EXPECT_THAT(answer.all("Set-Cookie"), IsEmpty()) << written;
    EXPECT_EQ(site.store.inner.all_sessions()->size(), 0U) << written;
  }
}

TEST(Login, AUserDisabledWhileALoginIsUnderWayHasNoSessionLeftForLater) {
  Site site;
  Form form(site);
  site.store.before["create_session"] = [&site] {
    auth::UserChange change;
    change.disabled = true;
    ASSERT_TRUE(site.store.inner.update_user("u1", change));
  };
  const FakeExchange answer = site.serve(form.filled("alice", "correct+horse+battery"));
  EXPECT_EQ(answer.head.status, 401);
  EXPECT_THAT(answer.all("Set-Cookie"), IsEmpty());
  EXPECT_EQ(site.store.inner.all_sessions()->size(), 0U);
}

TEST(Login, ThatIsNotConfirmedCountsAsAFailure) {
  Site site;
  Form form(site);
  const std::string hash = testing::hash_of_alice();
  int status = 0;
  int tries = 0;
  for (; status != 429 && tries < 20; ++tries) {
    ASSERT_TRUE(site.store.inner.update_key_password("username:alice", hash));
    site.store.before["create_session"] = [&site] {
      ASSERT_TRUE(site.store.inner.update_key_password("username:alice", "another password's hash"));
    };
    status = site.serve(form.filled("alice", "correct+horse+battery")).head.status;
  }
  EXPECT_EQ(tries, 11);
}

TEST(Login, ThatCannotBeConfirmedIs503AndNobodyGetsItsCookie) {
  for (const char* call : {"rehash_key", "delete_family"}) {
    Site site;
    Form form(site);
    site.store.failures[call] = auth::ErrorCode::store_unavailable;
    site.store.before["create_session"] = [&site] {
      ASSERT_TRUE(site.store.inner.update_key_password("username:alice", "another password's hash"));
    };
    const FakeExchange answer = site.serve(form.filled("alice", "correct+horse+battery"));
    EXPECT_EQ(answer.head.status, 503) << call;
    EXPECT_THAT(answer.all("Set-Cookie"), IsEmpty()) << call;
  }
}

TEST(Login, ThatHashesThePasswordAnewIsConfirmedAllTheSame) {
  auth::AuthOptions options = auth::testing::World::options();
  options.new_hashes = auth::HashScheme::lucia_scrypt;
  Site site(options);
  Form form(site);
  EXPECT_EQ(site.serve(form.filled("alice", "correct+horse+battery")).head.status, 303);
  EXPECT_TRUE((*site.store.inner.find_key("username:alice"))->hashed_password->starts_with("s2:"));
  EXPECT_EQ(site.serve(form.filled("alice", "correct+horse+battery")).head.status, 303);
}

TEST(Login, WithASingleUseKeyWorksOnce) {
  Site site;
  auth::Key key = **site.store.inner.find_key("username:alice");
  key.id = "username:guest";
  key.expires = site.clock.now() + auth::Milliseconds(1);
  ASSERT_TRUE(site.store.inner.create_key(key));
  Form form(site);
  EXPECT_EQ(site.serve(form.filled("guest", "correct+horse+battery")).head.status, 303);
  EXPECT_EQ(site.serve(form.filled("guest", "correct+horse+battery")).head.status, 401);
}

TEST(Login, TheReturnPathIsNeverForeign) {
  Site site;
  Form form(site);
  for (const char* rd : {"%2F%2Fevil.example", "%2F%5Cevil.example", "https%3Aevil.example", "%2F%09%2Fevil.example",
                         "https%3A%2F%2Fevil.example%2F", "javascript%3Aalert(1)"}) {
    const FakeExchange answer = site.serve(form.filled("alice", "correct+horse+battery", rd));
    EXPECT_EQ(answer.head.status, 303);
    EXPECT_THAT(answer.first("Location"), Not(HasSubstr("evil"))) << rd;
    EXPECT_TRUE(answer.first("Location").starts_with('/')) << rd;
  }
}

TEST(Login, TooManyFailuresAre429ForKnownAndUnknownNamesAlike) {
  Site site;
  Form form(site);
  for (const char* name : {"alice", "nobody"}) {
    int status = 0;
    int tries = 0;
    while (status != 429 && tries < 20) {
      status = site.serve(form.filled(name, "wrong")).head.status;
      ++tries;
    }
    EXPECT_EQ(tries, 11) << name;
    const FakeExchange answer = site.serve(form.filled(name, "correct+horse+battery"));
    EXPECT_EQ(answer.head.status, 429) << "before the password is looked at";
    EXPECT_TRUE(answer.head.headers.has("Retry-After"));
  }
}

TEST(Login, BadFormsAreRefused) {
  Site site;
  Form form(site);
  EXPECT_EQ(site.serve(site.post("/auth/login", "username=a&username=b")).head.status, 400);
  EXPECT_EQ(site.serve(site.post("/auth/login", "username=%zz")).head.status, 400);
  EXPECT_EQ(site.serve(site.post("/auth/login", std::string(64 * 1024 + 1, 'a'))).head.status, 413);
  http::Request json = site.post("/auth/login", "{}");
  json.content_type = "application/json";
  EXPECT_EQ(site.serve(json).head.status, 400);
  EXPECT_EQ(site.serve(form.filled("alice", std::string(4097, 'x'))).head.status, 400);
  http::Request put = site.post("/auth/login", "");
  put.method = "PUT";
  EXPECT_EQ(site.serve(put).first("Allow"), "GET, HEAD, POST");
}

TEST(Login, WhatWasTypedIsEscapedInThePage) {
  Site site;
  Form form(site);
  const FakeExchange answer = site.serve(form.filled("%22%3E%3Csvg+onload%3D1%3E", "wrong"));
  EXPECT_THAT(answer.written, Not(HasSubstr("<svg")));
}

TEST(Login, ReachedThroughErrorPageTheAskedPageIsTheReturnPath) {
  Site site;
  http::Request request = site.navigation("/app/report");
  request.endpoint_path = "/auth/login";
  request.query = "rd=//evil.example";
  const FakeExchange page = site.serve(request);
  EXPECT_EQ(between(page.written, "name=\"rd\" value=\"", "\""), "/app/report?rd=//evil.example");
}

TEST(Login, AnExternalPageGetsTheWholeUrl) {
  Site site;
  auto settings = std::make_shared<Settings>(*site.settings);
  settings->login.url = "https://login.example.org/in";
  site.settings = settings;
  const FakeExchange answer = site.serve(site.navigation("/app/x"));
  EXPECT_EQ(answer.first("Location"), "https://login.example.org/in?rd=https%3A%2F%2Fapp.example.org%2Fapp%2Fx");
  http::Request direct = site.navigation("/auth/login");
  direct.query = "rd=%2Fapp%2Fy";
  EXPECT_EQ(site.serve(direct).first("Location"),
            "https://login.example.org/in?rd=https%3A%2F%2Fapp.example.org%2Fapp%2Fy");
}

TEST(Login, AVeryLongReturnPathIsLeftOut) {
  Site site;
  const FakeExchange answer = site.serve(site.navigation("/app/" + std::string(5000, 'x')));
  EXPECT_EQ(answer.first("Location"), "/auth/login");
}

}  // namespace
}  // namespace gatehouse::gateway
