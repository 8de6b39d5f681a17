// AuthRequest: one read whatever is called, failures that stay failures, and whose cookie is touched when.
#include "auth/auth_request.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <thread>

#include "fakes.hpp"

namespace gatehouse::auth {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testing::World;

TEST(AuthRequest, AnyOrderAndRepetitionCostsOneRead) {
  using Steps = std::vector<int>;
  for (const Steps& steps : {Steps{0, 1}, Steps{1, 0}, Steps{0, 0, 1, 1}, Steps{1, 1, 0}}) {
    World world;
    world.present(world.sign_in().token);
    world.store.calls.clear();
    AuthRequest request(world.auth, world.context);
    for (const int step : steps) {
      if (step == 0) {
        EXPECT_TRUE(*request.validate());
      } else {
        EXPECT_TRUE(*request.validate_user());
      }
    }
    EXPECT_EQ(world.store.total(), 1);
    EXPECT_THAT(world.context.cookies, IsEmpty()) << "an active session's cookie is left as it is";
  }
}

TEST(AuthRequest, ParallelCallersRenewOnceAndAgree) {
  World world;
  world.present(world.sign_in().token);
  world.make_idle();
  world.store.calls.clear();
  AuthRequest request(world.auth, world.context);
  std::vector<std::string> tokens(8);
  std::vector<std::thread> threads;
  for (std::string& token : tokens) {
    threads.emplace_back([&request, &token] { token = (*request.validate())->token.reveal(); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(tokens, ::testing::Each(tokens.front()));
  EXPECT_EQ(world.store.calls["rotate"], 1);
  EXPECT_THAT(world.context.cookies, SizeIs(1));
}

TEST(AuthRequest, WithoutACookieNothingIsReadAndNothingSet) {
  World world;
  AuthRequest request(world.auth, world.context);
  EXPECT_FALSE(*request.validate());
  EXPECT_FALSE(*request.validate_user());
  EXPECT_EQ(world.store.total(), 0);
  EXPECT_THAT(world.context.cookies, IsEmpty());
}

TEST(AuthRequest, AMalformedTokenIsNoneWithoutAQueryAndItsCookieUntouched) {
  for (const std::string& value : {std::string("short"), std::string(39, 'a'), std::string(41, 'a'),
                                   std::string(40, 'A'), std::string(40, '\''), std::string(4096, 'a'), std::string(),
                                   std::string(39, 'a') + "\xc3\xa9", std::string("\"") + std::string(39, 'a')}) {
    World world;
    world.context.view.cookie = "__Host-session=" + value;
    AuthRequest request(world.auth, world.context);
    EXPECT_FALSE(*request.validate()) << value;
    EXPECT_EQ(world.store.total(), 0) << value;
    EXPECT_THAT(world.context.cookies, IsEmpty()) << value;
  }
}

TEST(AuthRequest, TwoDifferentCookiesAreNoSessionAndAnEvent) {
  World world;
  const std::string token = world.sign_in().token.reveal();
  for (const std::string& header :
       {"__Host-session=" + token + "; __Host-session=" + std::string(40, 'a'),
        "__Host-session=" + std::string(40, 'a') + "; x=1; __Host-session=" + token,
        "__Host-session=" + token + "; __Host-session=", "__Host-session=junk; __Host-session=" + token}) {
    world.context.view.cookie = header;
    world.events.kinds.clear();
    world.store.calls.clear();
    AuthRequest request(world.auth, world.context);
    EXPECT_FALSE(*request.validate()) << header;
    EXPECT_EQ(world.store.total(), 0);
    EXPECT_THAT(world.events.kinds, Contains(EventKind::doubled_cookie));
  }
  EXPECT_THAT(world.context.cookies, IsEmpty());
}

TEST(AuthRequest, TheSameCookieTwiceIsOneCookie) {
  World world;
  const std::string token = world.sign_in().token.reveal();
  world.context.view.cookie = "__Host-session=" + token + "; __Host-session=" + token;
  AuthRequest request(world.auth, world.context);
  EXPECT_TRUE(*request.validate());
}

TEST(AuthRequest, ADeadSessionsCookieIsRemoved) {
  World world;
  world.present(world.sign_in().token);
  world.clock.advance(std::chrono::days(16));
  AuthRequest request(world.auth, world.context);
  EXPECT_FALSE(*request.validate());
  ASSERT_THAT(world.context.cookies, SizeIs(1));
  EXPECT_THAT(world.context.cookies[0], HasSubstr("__Host-session=;"));
}

TEST(AuthRequest, AStoreFailureIsCachedAndTouchesNoCookie) {
  World world;
  world.present(world.sign_in().token);
  world.store.calls.clear();
  world.store.failures["find_session"] = ErrorCode::store_unavailable;
  AuthRequest request(world.auth, world.context);
  EXPECT_FALSE(request.validate());
  world.store.failures.clear();
  EXPECT_FALSE(request.validate()) << "the same failure again, no second try";
  EXPECT_FALSE(request.validate_user());
  EXPECT_EQ(world.store.total(), 1);
  EXPECT_THAT(world.context.cookies, IsEmpty());
  EXPECT_THAT(world.events.kinds, ElementsAre(EventKind::store_failed)) << "once a request";
}

TEST(AuthRequest, AForeignOriginHidesTheSessionAndTouchesNothing) {
  World world;
  world.present(world.sign_in().token);
  world.store.calls.clear();
  world.context.view.method = "POST";
  for (const std::string origin :
       {"https://evil.example", "null", "http://app.example.org", "https://app.example.org:444", ""}) {
    world.context.view.origin = origin;
    AuthRequest request(world.auth, world.context);
    EXPECT_FALSE(*request.validate()) << origin;
    EXPECT_FALSE(request.presented());
  }
  EXPECT_EQ(world.store.total(), 0);
  EXPECT_THAT(world.context.cookies, IsEmpty());
}

TEST(AuthRequest, OurOriginAndAProgramWithoutOneHaveTheirSession) {
  World world;
  world.present(world.sign_in().token);
  world.context.view.method = "POST";
  for (const std::optional<std::string>& origin : std::vector<std::optional<std::string>>{
           "https://app.example.org", "https://APP.example.org:443", std::nullopt}) {
    world.context.view.origin = origin;
    AuthRequest request(world.auth, world.context);
    EXPECT_TRUE(*request.validate());
  }
}

TEST(AuthRequest, AnotherOwnOriginCountsWhereItIsGiven) {
  World world;
  world.present(world.sign_in().token);
  world.context.view.method = "POST";
  world.context.view.origin = "https://auth.example.org";
  AuthRequest request(world.auth, world.context, {*http::Origin::parse("https://auth.example.org")});
  EXPECT_TRUE(*request.validate());
}

TEST(AuthRequest, ARenewedSessionsCookieIsSent) {
  World world;
  const Session old = world.sign_in();
  world.present(old.token);
  world.make_idle();
  AuthRequest request(world.auth, world.context);
  const auto session = request.validate();
  ASSERT_TRUE(session && *session);
  ASSERT_THAT(world.context.cookies, SizeIs(1));
  EXPECT_THAT(world.context.cookies[0], HasSubstr("__Host-session=" + (*session)->token.reveal()));
}

TEST(AuthRequest, AnExtendedSessionsCookieIsSentToo) {
  World world(World::extending());
  world.present(world.sign_in().token);
  world.make_idle();
  AuthRequest request(world.auth, world.context);
  ASSERT_TRUE(*request.validate());
  EXPECT_THAT(world.context.cookies, SizeIs(1)) << "Lucia 2 forgot it: the browser dropped the cookie";
}

TEST(AuthRequest, TheOldTokenGetsTheSuccessorsCookie) {
  World world;
  const Session old = world.sign_in();
  world.make_idle();
  const auto next = (*world.auth.renew(*world.auth.find(old.token)))->session;
  world.present(old.token);
  AuthRequest request(world.auth, world.context);
  EXPECT_EQ((*request.validate())->token, next.token);
  EXPECT_THAT(world.context.cookies, Contains(HasSubstr(next.token.reveal())));
}

TEST(AuthRequest, ARenewalThatCannotBeWrittenSendsNoCookie) {
  World world;
  world.present(world.sign_in().token);
  world.make_idle();
  world.store.failures["rotate"] = ErrorCode::store_read_only;
  AuthRequest request(world.auth, world.context);
  EXPECT_TRUE(*request.validate());
  EXPECT_THAT(world.context.cookies, IsEmpty());
}

TEST(AuthRequest, ALogoutBetweenFindAndRenewEndsTheRequestsSession) {
  World world;
  const Session session = world.sign_in();
  world.present(session.token);
  world.make_idle();
  AuthRequest request(world.auth, world.context);
  ASSERT_TRUE(*request.find());
  ASSERT_TRUE(world.auth.invalidate_session(session.token));
  EXPECT_FALSE(*request.renew());
  EXPECT_THAT(world.context.cookies, Contains(HasSubstr("__Host-session=;")));
}

TEST(AuthRequest, FindAndSettleRenewNothing) {
  World world;
  const Session session = world.sign_in();
  world.present(session.token);
  world.make_idle();
  AuthRequest request(world.auth, world.context);
  EXPECT_EQ((*request.find())->session.state, SessionState::idle);
  EXPECT_TRUE(request.settle());
  EXPECT_EQ(world.store.calls["rotate"], 0);
  EXPECT_THAT(world.context.cookies, IsEmpty());
}

TEST(AuthRequest, ARefusedRequestStillCountsAsAPresentation) {
  World world;
  const Session old = world.sign_in();
  world.make_idle();
  const auto next = (*world.auth.renew(*world.auth.find(old.token)))->session;
  world.present(next.token);
  AuthRequest request(world.auth, world.context);
  ASSERT_TRUE(*request.find());
  ASSERT_TRUE(request.settle());
  EXPECT_EQ(world.store.calls["mark_presented"], 1);
}

TEST(AuthRequest, SetSessionBecomesTheAnswerWithoutAskingTheStore) {
  World world;
  const Session session = world.sign_in();
  world.store.calls.clear();
  AuthRequest request(world.auth, world.context);
  request.set_session(&session);
  EXPECT_EQ((*request.validate())->token, session.token);
  EXPECT_EQ(world.store.total(), 0);
  EXPECT_EQ((*request.validate_user())->user.username, "alice");
  EXPECT_EQ(world.store.total(), 1) << "the user, once";
  EXPECT_EQ((*request.validate())->token, session.token);
  EXPECT_EQ(world.store.total(), 1);
  EXPECT_THAT(world.context.cookies, SizeIs(1));
}

TEST(AuthRequest, SetSessionToNothingRemovesTheCookieAndAnswersNobody) {
  World world;
  world.present(world.sign_in().token);
  AuthRequest request(world.auth, world.context);
  ASSERT_TRUE(*request.validate());
  request.set_session(nullptr);
  EXPECT_FALSE(*request.validate());
  EXPECT_FALSE(*request.validate_user());
  EXPECT_THAT(world.context.cookies.back(), HasSubstr("__Host-session=;"));
}

TEST(AuthRequest, FindAfterSetSessionKnowsItToo) {
  World world;
  const Session session = world.sign_in();
  AuthRequest request(world.auth, world.context);
  request.set_session(&session);
  EXPECT_EQ((*request.find())->user.username, "alice");
  EXPECT_FALSE(request.owes_write());
}

TEST(AuthRequest, ASetSessionOfADisabledOrDeletedUserIsNobodys) {
  for (const bool is_deleted : {false, true}) {
    World world;
    const Session session = world.sign_in();
    ASSERT_TRUE(world.auth.set_disabled("u1", true));
    if (is_deleted) {
      ASSERT_TRUE(world.auth.delete_user("u1"));
    }
    AuthRequest request(world.auth, world.context);
    request.set_session(&session);
    EXPECT_FALSE(*request.validate_user());
    EXPECT_FALSE(*request.validate());
  }
}

TEST(AuthRequest, HandleRequestMakesOne) {
  World world;
  world.present(world.sign_in().token);
  EXPECT_EQ((*world.auth.handle_request(world.context).validate_user())->user.username, "alice");
  world.context.view.method = "POST";
  world.context.view.origin = "https://auth.example.org";
  EXPECT_FALSE(*world.auth.handle_request(world.context).validate());
  EXPECT_TRUE(*world.auth.handle_request(world.context, {*http::Origin::parse("https://auth.example.org")}).validate());
}

// Lucia 1.8 makes two sessions and two cookies of it.
TEST(AuthRequest, BothCallsAtOnceOnAnIdleSessionMakeOneRenewalAndOneCookie) {
  for (const auto& [options, write] :
       {std::pair(World::options(), "rotate"), std::pair(World::extending(), "extend")}) {
    World world(options);
    world.present(world.sign_in().token);
    world.make_idle();
    world.store.calls.clear();
    AuthRequest request(world.auth, world.context);
    std::string by_validate;
    std::string by_validate_user;
    {
      const std::jthread one([&] { by_validate = (*request.validate())->token.reveal(); });
      const std::jthread other([&] { by_validate_user = (*request.validate_user())->session.token.reveal(); });
    }
    EXPECT_EQ(by_validate, by_validate_user);
    EXPECT_EQ(world.store.calls, (std::map<std::string, int>{{"find_session", 1}, {write, 1}}));
    EXPECT_THAT(world.context.cookies, SizeIs(1));
    EXPECT_EQ(world.live_rows(), 1U);
  }
}

// In astro 0.5 validate removes it and validateUser does not.
TEST(AuthRequest, EitherCallRemovesTheCookieOfADeadOrUnknownSession) {
  for (const bool is_unknown : {false, true}) {
    for (const bool with_user : {false, true}) {
      World world;
      const Session session = world.sign_in();
      world.present(is_unknown ? *SessionToken::parse(std::string(40, 'z'), TokenAlphabet::base36) : session.token);
      if (!is_unknown) world.clock.advance(std::chrono::days(16));
      AuthRequest request(world.auth, world.context);
      if (with_user) {
        EXPECT_FALSE(*request.validate_user());
      } else {
        EXPECT_FALSE(*request.validate());
      }
      EXPECT_THAT(world.context.cookies, ::testing::ElementsAre(HasSubstr("__Host-session=; ")));
    }
  }
}

// In Lucia 0.2 the request that arrives a moment later with the old cookie is logged out, and its removal cookie
// overwrites the renewed one in the browser.
TEST(AuthRequest, ALateRequestWithTheOldCookieIsLetInAndRemovesNothing) {
  World world;
  world.present(world.sign_in().token);
  world.make_idle();
  for (int i = 0; i < 8; ++i) {
    EXPECT_TRUE(*world.auth.handle_request(world.context).validate()) << i;
  }
  EXPECT_THAT(world.context.cookies, SizeIs(8));
  EXPECT_THAT(world.context.cookies, ::testing::Each(world.context.cookies.front()));
  EXPECT_EQ(world.live_rows(), 1U);
}

// Lucia 2 reports a valid session though the row is gone.
TEST(AuthRequest, AnExtensionBesideALogoutEndsLoggedOut) {
  World world(World::extending());
  const Session session = world.sign_in();
  world.present(session.token);
  world.make_idle();
  world.store.before["extend"] = [&] { std::ignore = world.store.inner.delete_family(session.row.family); };
  AuthRequest request(world.auth, world.context);
  EXPECT_FALSE(*request.validate());
  EXPECT_FALSE(*request.validate_user());
  EXPECT_EQ(world.live_rows(), 0U);
  EXPECT_THAT(world.context.cookies, ::testing::ElementsAre(HasSubstr("__Host-session=; ")));
}

// Lucia 2 throws "Invalid URL" out of handleRequest: a 500 for the visitor.
TEST(AuthRequest, AnUnparsableOriginIsForeignAndNoCrash) {
  World world;
  world.present(world.sign_in().token);
  world.store.calls.clear();
  world.context.view.method = "POST";
  for (const std::string& origin :
       {std::string("null"), std::string("NULL"), std::string("app.example.org"), std::string("https://"),
        std::string("://"), std::string("%"), std::string("https://[::1"), std::string("https://app.example.org:x"),
        std::string("\0", 1), std::string("\xff\xfe"), std::string(10'000, 'x'), std::string("file://"),
        std::string("https://app.example.org https://app.example.org")}) {
    world.context.view.origin = origin;
    EXPECT_FALSE(*world.auth.handle_request(world.context).validate_user()) << origin;
  }
  EXPECT_EQ(world.store.total(), 0);
  EXPECT_THAT(world.context.cookies, IsEmpty());
}

// Lucia 2 compares the Host header as it is; v1's Express middleware loses the port.
TEST(AuthRequest, TheHostMayBeInCapitalsHaveItsPortOrAnotherOne) {
  World world;
  world.present(world.sign_in().token);
  world.context.view.method = "POST";
  world.context.view.origin = "https://app.example.org";
  for (const std::string host : {"APP.example.org", "app.example.org:443"}) {
    world.context.view.host = host;
    EXPECT_TRUE(*world.auth.handle_request(world.context).validate()) << host;
  }
  world.context.view.host = "app.example.org:8443";
  EXPECT_FALSE(*world.auth.handle_request(world.context).validate());
  world.context.view.origin = "https://app.example.org:8443";
  EXPECT_TRUE(*world.auth.handle_request(world.context).validate());
}

// Lucia 2 with allowedSubDomains "*" takes evil.co.jp for a neighbour of app.example.co.jp.
TEST(AuthRequest, ASiteUnderTheSameCountryCodeOrASubdomainIsForeign) {
  World world;
  world.present(world.sign_in().token);
  world.context.view.method = "POST";
  world.context.view.host = "app.example.co.jp";
  for (const std::string origin : {"https://evil.co.jp", "https://example.co.jp", "https://x.app.example.co.jp"}) {
    world.context.view.origin = origin;
    EXPECT_FALSE(*world.auth.handle_request(world.context).validate()) << origin;
  }
}

// ── a cookie that comes too late ─────────────────────────────────────────────────────────────────────────────────────

class SentContext final : public Context {
 public:
  explicit SentContext(const Context& context) : view_(context.request()) {}
  [[nodiscard]] const RequestView& request() const override { return view_; }
  void set_session_cookie(std::string /*line*/) override { throw std::runtime_error("headers already sent"); }

 private:
  RequestView view_;
};

TEST(AuthRequestAfterTheHeaders, ARenewalStillAnswersAndIsReported) {
  World world;
  const Session old = world.sign_in();
  world.present(old.token);
  world.make_idle();
  SentContext context(world.context);
  AuthRequest request(world.auth, context);
  const auto session = request.validate();
  ASSERT_TRUE(session && *session);
  EXPECT_EQ((*request.validate_user())->session.token, (*session)->token);
  EXPECT_THAT(world.events.kinds, ::testing::ElementsAre(EventKind::cookie_not_sent));
  EXPECT_TRUE(*world.auth.handle_request(world.context).validate()) << "the old cookie is still good";
}

TEST(AuthRequestAfterTheHeaders, ADeadSessionIsStillNone) {
  World world;
  world.present(world.sign_in().token);
  world.clock.advance(std::chrono::days(16));
  SentContext context(world.context);
  AuthRequest request(world.auth, context);
  EXPECT_FALSE(*request.validate());
  EXPECT_THAT(world.events.kinds, Contains(EventKind::cookie_not_sent));
}

TEST(AuthRequestAfterTheHeaders, SetSessionPassesItOnAndIsTheAnswerAllTheSame) {
  World world;
  const Session session = world.sign_in();
  SentContext context(world.context);
  AuthRequest request(world.auth, context);
  EXPECT_THROW(request.set_session(&session), std::runtime_error);
  EXPECT_EQ((*request.validate())->token, session.token);
  EXPECT_THROW(request.set_session(nullptr), std::runtime_error);
  EXPECT_FALSE(*request.validate());
}

// ── invalidate ───────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(AuthRequestInvalidate, TheNextCallAsksTheStoreAgain) {
  World world;
  const Session session = world.sign_in();
  world.present(session.token);
  AuthRequest request(world.auth, world.context);
  ASSERT_TRUE(*request.validate());
  ASSERT_TRUE(world.auth.invalidate_session(session.token));
  EXPECT_TRUE(*request.validate()) << "remembered";
  request.invalidate();
  EXPECT_FALSE(*request.validate());
  EXPECT_THAT(world.context.cookies, ::testing::ElementsAre(HasSubstr("__Host-session=; ")));
}

TEST(AuthRequestInvalidate, AFailureIsForgottenToo) {
  World world;
  world.present(world.sign_in().token);
  world.context.view.authorization = "Bearer " + world.sign_in().token.reveal();
  AuthRequest request(world.auth, world.context);
  world.store.failures["find_session"] = ErrorCode::store_unavailable;
  EXPECT_FALSE(request.validate());
  EXPECT_FALSE(request.validate_bearer_token());
  world.store.failures.clear();
  EXPECT_FALSE(request.validate());
  request.invalidate();
  EXPECT_TRUE(*request.validate());
  EXPECT_TRUE(*request.validate_bearer_token());
}

TEST(AuthRequestInvalidate, ItAsksAboutTheSessionThatTheVisitorHasByNow) {
  World world;
  world.present(world.sign_in().token);
  world.make_idle();
  AuthRequest request(world.auth, world.context);
  const auto renewed = request.validate();
  ASSERT_TRUE(renewed && *renewed);
  request.invalidate();
  EXPECT_EQ((*request.validate())->token, (*renewed)->token);
  EXPECT_THAT(world.context.cookies, SizeIs(1)) << "its cookie is on its way";

  const Session set = world.sign_in();
  request.set_session(&set);
  request.invalidate();
  EXPECT_EQ((*request.validate_user())->session.token, set.token);
  request.set_session(nullptr);
  request.invalidate();
  EXPECT_FALSE(*request.validate());
}

// ── bearer tokens ────────────────────────────────────────────────────────────────────────────────────────────────────

void present_bearer(World& world, const SessionToken& token) {
  world.context.view.authorization = "Bearer " + token.reveal();
}

TEST(AuthRequestBearer, TheTokenIsTheSessionWithoutCookieOrOrigin) {
  World world;
  present_bearer(world, world.sign_in().token);
  world.context.view.method = "POST";
  for (const std::optional<std::string>& origin :
       std::vector<std::optional<std::string>>{std::nullopt, "null", "https://evil.example"}) {
    world.context.view.origin = origin;
    AuthRequest request(world.auth, world.context);
    const auto found = request.validate_bearer_token();
    ASSERT_TRUE(found && *found);
    EXPECT_EQ((*found)->user.username, "alice");
  }
  EXPECT_THAT(world.context.cookies, IsEmpty());
}

TEST(AuthRequestBearer, NoHeaderOrAnotherSchemeIsNoneWithoutAQuery) {
  World world;
  const std::string token = world.sign_in().token.reveal();
  world.store.calls.clear();
  for (const std::optional<std::string>& header : std::vector<std::optional<std::string>>{
           std::nullopt, "", "Basic " + token, "bearer " + token, "Bearer  " + token, "Bearer " + token + " x"}) {
    world.context.view.authorization = header;
    AuthRequest request(world.auth, world.context);
    EXPECT_FALSE(*request.validate_bearer_token());
  }
  EXPECT_EQ(world.store.total(), 0);
}

TEST(AuthRequestBearer, TheCookieIsNoBearerTokenAndTheOtherWayRound) {
  World world;
  world.present(world.sign_in().token);
  AuthRequest by_cookie(world.auth, world.context);
  EXPECT_FALSE(*by_cookie.validate_bearer_token());
  EXPECT_TRUE(*by_cookie.validate());
  present_bearer(world, world.sign_in().token);
  world.context.view.cookie.clear();
  AuthRequest by_bearer(world.auth, world.context);
  EXPECT_FALSE(*by_bearer.validate());
  EXPECT_TRUE(*by_bearer.validate_bearer_token());
}

// Lucia 2 answers validate() with the bearer's session afterwards, and asks the store for every bearer call.
TEST(AuthRequestBearer, HasAMemoOfItsOwnWhateverTheOrder) {
  for (const bool bearer_first : {true, false}) {
    World world;
    const Session of_cookie = world.sign_in();
    const Session of_bearer = world.sign_in();
    world.present(of_cookie.token);
    present_bearer(world, of_bearer.token);
    world.store.calls.clear();
    AuthRequest request(world.auth, world.context);
    if (bearer_first) {
      ASSERT_TRUE(*request.validate_bearer_token());
    }
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ((*request.validate())->token, of_cookie.token);
      EXPECT_EQ((*request.validate_user())->session.token, of_cookie.token);
      EXPECT_EQ((*request.validate_bearer_token())->session.token, of_bearer.token);
    }
    EXPECT_EQ(world.store.total(), 2);
    request.set_session(nullptr);
    EXPECT_TRUE(*request.validate_bearer_token()) << "a cookie's end is not the bearer's";
  }
}

TEST(AuthRequestBearer, AnIdleOneIsExtendedWithItsTokenWhateverTheMode) {
  World world;
  const Session session = world.sign_in();
  present_bearer(world, session.token);
  world.make_idle();
  AuthRequest request(world.auth, world.context);
  const auto found = request.validate_bearer_token();
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->session.token, session.token);
  EXPECT_TRUE((*found)->session.fresh);
  EXPECT_EQ((*found)->session.state, SessionState::active);
  EXPECT_EQ(world.store.calls["rotate"], 0);
  EXPECT_THAT(world.context.cookies, IsEmpty());
}

TEST(AuthRequestBearer, ATokenThatABrowserRotatedLeadsToItsSuccessorUntilTheGraceEnds) {
  World world;
  const Session old = world.sign_in();
  world.make_idle();
  const Session next = *world.auth.validate_session(old.token);
  present_bearer(world, old.token);
  EXPECT_EQ((*world.auth.handle_request(world.context).validate_bearer_token())->session.token, next.token);
  ASSERT_TRUE(world.auth.validate_session(next.token));
  world.clock.advance(11s);
  EXPECT_FALSE(*world.auth.handle_request(world.context).validate_bearer_token());
  EXPECT_EQ(world.live_rows(), 0U) << "reuse ends the family";
}

TEST(AuthRequestBearer, DeadIsNoneAndAFailureIsAFailureRememberedWithoutACookie) {
  World world;
  present_bearer(world, world.sign_in().token);
  AuthRequest failing(world.auth, world.context);
  world.store.failures["find_session"] = ErrorCode::store_unavailable;
  EXPECT_EQ(failing.validate_bearer_token().error().code, ErrorCode::store_unavailable);
  world.store.failures.clear();
  world.store.calls.clear();
  EXPECT_EQ(failing.validate_bearer_token().error().code, ErrorCode::store_unavailable);
  EXPECT_EQ(world.store.total(), 0);

  world.clock.advance(std::chrono::days(16));
  AuthRequest dead(world.auth, world.context);
  EXPECT_FALSE(*dead.validate_bearer_token());
  EXPECT_THAT(world.context.cookies, IsEmpty());
}

}  // namespace
}  // namespace gatehouse::auth
