// AuthRequest: one read whatever is called, failures that stay failures, and whose cookie is touched when.
#include "auth/auth_request.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "fakes.hpp"

namespace gatehouse::auth {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
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

}  // namespace
}  // namespace gatehouse::auth
