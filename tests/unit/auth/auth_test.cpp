// Auth: what a token leads to, how sessions are renewed and ended, and how a password is checked.
#include "auth/auth.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fakes.hpp"

namespace gatehouse::auth {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::IsEmpty;
using testing::World;

TEST(AuthFind, AnActiveSessionCostsOneReadAndNoWrite) {
  World world;
  const Session session = world.sign_in();
  world.store.calls.clear();
  const auto lookup = world.auth.find(session.token);
  ASSERT_TRUE(lookup && lookup->found);
  EXPECT_EQ(lookup->found->user.username, "alice");
  EXPECT_EQ(lookup->found->session.state, SessionState::active);
  ASSERT_TRUE(world.auth.renew(*lookup));
  EXPECT_EQ(world.store.total(), 1);
}

TEST(AuthFind, AnUnknownTokenIsNoSessionAndAnEvent) {
  World world;
  const auto token = SessionToken::parse(std::string(40, 'a'), TokenAlphabet::base36);
  const auto lookup = world.auth.find(*token);
  ASSERT_TRUE(lookup);
  EXPECT_FALSE(lookup->found);
  EXPECT_THAT(world.events.kinds, Contains(EventKind::unknown_session));
}

TEST(AuthFind, TheLastMillisecondIsStillValidAndTheNextIsNot) {
  World world;
  const Session session = world.sign_in();
  world.clock.time = session.row.idle_expires;
  EXPECT_TRUE(world.auth.find(session.token)->found);
  world.clock.advance(1ms);
  EXPECT_FALSE(world.auth.find(session.token)->found);
}

TEST(AuthFind, ADisabledUserHasNoSession) {
  World world;
  UserChange change;
  change.disabled = true;
  ASSERT_TRUE(world.store.inner.update_user("u1", change));
  const Session session = world.sign_in();
  EXPECT_FALSE(world.auth.find(session.token)->found);
}

TEST(AuthFind, ExpiriesInSecondsAreNoSessionAndLeaveTheCookieAlone) {
  World world;
  Session session = world.sign_in();
  session.row.id = SessionId(sha256_hex(std::string(40, 'b')));
  session.row.active_expires = Timestamp(Milliseconds(1'900'000'000));
  session.row.idle_expires = Timestamp(Milliseconds(1'900'000'000));
  ASSERT_TRUE(world.store.inner.create_session(session.row, 0));
  const auto lookup = world.auth.find(*SessionToken::parse(std::string(40, 'b'), TokenAlphabet::base36));
  ASSERT_TRUE(lookup);
  EXPECT_FALSE(lookup->found);
  EXPECT_TRUE(lookup->keeps_cookie);
  EXPECT_THAT(world.events.kinds, Contains(EventKind::implausible_expiry));
}

TEST(AuthFind, ExpiriesBeyondThePolicyAreValidAndReported) {
  World world;
  Session session = world.sign_in();
  session.row.id = SessionId(sha256_hex(std::string(40, 'b')));
  session.row.active_expires += std::chrono::days(300);
  session.row.idle_expires += std::chrono::days(300);
  ASSERT_TRUE(world.store.inner.create_session(session.row, 0));
  EXPECT_TRUE(world.auth.find(*SessionToken::parse(std::string(40, 'b'), TokenAlphabet::base36))->found);
  EXPECT_THAT(world.events.kinds, Contains(EventKind::expiry_beyond_policy));
}

TEST(AuthFind, AStoreFailureIsAFailureAndNotAbsent) {
  World world;
  const Session session = world.sign_in();
  world.store.failures["find_session"] = ErrorCode::store_unavailable;
  EXPECT_FALSE(world.auth.find(session.token));
  world.store.failures.clear();
  world.store.failures["find_rotated"] = ErrorCode::store_unavailable;
  EXPECT_FALSE(world.auth.find(*SessionToken::parse(std::string(40, 'z'), TokenAlphabet::base36)));
}

TEST(AuthRotate, AnIdleSessionGetsASuccessorAndStaysOneRow) {
  World world;
  const Session old = world.sign_in();
  world.make_idle();
  const auto renewed = world.auth.renew(*world.auth.find(old.token));
  ASSERT_TRUE(renewed && *renewed);
  const Session& next = (*renewed)->session;
  EXPECT_TRUE(next.fresh);
  EXPECT_EQ(next.state, SessionState::active);
  EXPECT_NE(next.token, old.token);
  EXPECT_EQ(next.row.family, old.row.family);
  EXPECT_EQ(next.row.created_at, old.row.created_at);
  EXPECT_EQ(next.row.active_expires, world.clock.now() + 24h);
  EXPECT_EQ(world.live_rows(), 1U);
}

TEST(AuthRotate, TheOldTokenIsAnsweredWithTheSameSuccessorUnrenewed) {
  World world;
  const Session old = world.sign_in();
  world.make_idle();
  const auto next = (*world.auth.renew(*world.auth.find(old.token)))->session;
  for (int i = 0; i < 3; ++i) {
    const auto lookup = world.auth.find(old.token);
    ASSERT_TRUE(lookup && lookup->found);
    EXPECT_TRUE(lookup->via_rotated_id);
    EXPECT_EQ(lookup->found->session.token, next.token);
    EXPECT_FALSE(lookup->first_presentation) << "computing the successor is no presentation";
  }
  EXPECT_EQ(world.live_rows(), 1U);
}

TEST(AuthRotate, AnIdleSuccessorReachedByTheOldTokenIsNotRenewed) {
  World world;
  const Session old = world.sign_in();
  world.make_idle();
  const auto next = (*world.auth.renew(*world.auth.find(old.token)))->session;
  world.make_idle();
  const auto lookup = world.auth.find(old.token);
  ASSERT_TRUE(lookup->found);
  EXPECT_EQ(lookup->found->session.state, SessionState::idle);
  const auto renewed = world.auth.renew(*lookup);
  ASSERT_TRUE(renewed && *renewed);
  EXPECT_EQ((*renewed)->session.token, next.token);
  EXPECT_FALSE((*renewed)->session.fresh);
}

TEST(AuthRotate, TheGraceBeginsWithTheSuccessorsFirstPresentation) {
  World world;
  const Session old = world.sign_in();
  world.make_idle();
  const auto next = (*world.auth.renew(*world.auth.find(old.token)))->session;
  world.clock.advance(1h);
  EXPECT_TRUE(world.auth.find(old.token)->found) << "a lost answer must not lock anybody out";

  const auto presented = world.auth.find(next.token);
  ASSERT_TRUE(presented->first_presentation);
  ASSERT_TRUE(world.auth.settle(*presented));
  EXPECT_FALSE(world.auth.find(next.token)->first_presentation);
  world.clock.advance(10s);
  EXPECT_TRUE(world.auth.find(old.token)->found) << "the last millisecond of the grace";
  world.clock.advance(1ms);
  EXPECT_FALSE(world.auth.find(old.token)->found);
}

TEST(AuthRotate, ReuseAfterTheGraceEndsTheWholeFamily) {
  World world;
  const Session old = world.sign_in();
  world.make_idle();
  const auto next = (*world.auth.renew(*world.auth.find(old.token)))->session;
  ASSERT_TRUE(world.auth.settle(*world.auth.find(next.token)));
  world.clock.advance(11s);
  const auto reuse = world.auth.find(old.token);
  ASSERT_TRUE(reuse && reuse->reused_family);
  EXPECT_THAT(world.events.kinds, Contains(EventKind::rotated_reuse));
  EXPECT_TRUE(world.auth.find(next.token)->found) << "find writes nothing";
  ASSERT_TRUE(world.auth.settle(*reuse));
  EXPECT_FALSE(world.auth.find(next.token)->found);
  EXPECT_EQ(world.live_rows(), 0U);
}

TEST(AuthRotate, AFamilyThatCannotBeEndedIsAFailure) {
  World world;
  const Session old = world.sign_in();
  world.make_idle();
  const auto next = (*world.auth.renew(*world.auth.find(old.token)))->session;
  ASSERT_TRUE(world.auth.settle(*world.auth.find(next.token)));
  world.clock.advance(11s);
  world.store.failures["delete_family"] = ErrorCode::store_read_only;
  EXPECT_FALSE(world.auth.settle(*world.auth.find(old.token)));
  EXPECT_FALSE(world.auth.renew(*world.auth.find(old.token)));
}

TEST(AuthRotate, ARotatedIdEndsAtItsOwnIdleExpiryWhateverTheGrace) {
  World world;
  const Session old = world.sign_in();
  world.make_idle();
  std::ignore = world.auth.renew(*world.auth.find(old.token));
  world.clock.time = old.row.idle_expires + 1ms;
  const auto lookup = world.auth.find(old.token);
  EXPECT_FALSE(lookup->found);
  EXPECT_FALSE(lookup->reused_family);
}

TEST(AuthRotate, AChainOfRotationsIsFollowedToItsEnd) {
  World world;
  const Session first = world.sign_in();
  world.make_idle();
  const auto second = (*world.auth.renew(*world.auth.find(first.token)))->session;
  world.make_idle();
  // The second was never presented alone before it is rotated by its own presentation.
  const auto third = (*world.auth.renew(*world.auth.find(second.token)))->session;
  EXPECT_NE(third.token, second.token);
  const auto lookup = world.auth.find(first.token);
  ASSERT_TRUE(lookup->found);
  EXPECT_EQ(lookup->found->session.token, third.token);
}

TEST(AuthRotate, WhoeverLosesTheRaceAnswersWithTheWinnersSuccessor) {
  World world;
  const Session old = world.sign_in();
  world.make_idle();
  const auto mine = world.auth.find(old.token);
  const auto winner = (*world.auth.renew(*world.auth.find(old.token)))->session;
  const auto loser = world.auth.renew(*mine);
  ASSERT_TRUE(loser && *loser);
  EXPECT_EQ((*loser)->session.token, winner.token);
  EXPECT_EQ(world.live_rows(), 1U);
}

TEST(AuthRotate, ARenewalNeverBringsBackALogout) {
  World world;
  const Session old = world.sign_in();
  world.make_idle();
  const auto lookup = world.auth.find(old.token);
  ASSERT_TRUE(world.auth.invalidate_session(old.token));
  const auto renewed = world.auth.renew(*lookup);
  ASSERT_TRUE(renewed);
  EXPECT_FALSE(*renewed);
  EXPECT_EQ(world.live_rows(), 0U);
}

TEST(AuthRotate, AWriteThatCannotBeMadeRefusesNobody) {
  for (const ErrorCode code : {ErrorCode::store_read_only, ErrorCode::store_unavailable}) {
    World world;
    const Session old = world.sign_in();
    world.make_idle();
    world.store.failures["rotate"] = code;
    const auto renewed = world.auth.renew(*world.auth.find(old.token));
    ASSERT_TRUE(renewed && *renewed);
    EXPECT_FALSE((*renewed)->session.fresh);
    EXPECT_EQ((*renewed)->session.token, old.token);
    EXPECT_THAT(world.events.kinds, Contains(EventKind::renewal_not_written));
  }
}

TEST(AuthRotate, WithoutRandomnessNobodyIsRenewedAndNobodyRefused) {
  World world;
  const Session old = world.sign_in();
  world.make_idle();
  world.random.is_broken = true;
  const auto renewed = world.auth.renew(*world.auth.find(old.token));
  ASSERT_TRUE(renewed && *renewed);
  EXPECT_FALSE((*renewed)->session.fresh);
}

TEST(AuthRotate, AnUnwrittenPresentationRefusesNobody) {
  World world;
  const Session old = world.sign_in();
  world.make_idle();
  const auto next = (*world.auth.renew(*world.auth.find(old.token)))->session;
  world.store.failures["mark_presented"] = ErrorCode::store_read_only;
  const auto renewed = world.auth.renew(*world.auth.find(next.token));
  ASSERT_TRUE(renewed && *renewed);
}

TEST(AuthRotate, RenewalDoesNotOutliveTheLogin) {
  World world;
  Session session = world.sign_in();
  for (int day = 0; day < 89; ++day) {
    world.clock.advance(24h + 1ms);
    const auto renewed = world.auth.renew(*world.auth.find(session.token));
    ASSERT_TRUE(renewed && *renewed) << day;
    session = (*renewed)->session;
  }
  world.clock.advance(24h);
  EXPECT_FALSE(world.auth.find(session.token)->found);
}

TEST(AuthExtend, TheSameIdLivesOn) {
  World world(World::extending());
  const Session old = world.sign_in();
  world.make_idle();
  const auto renewed = world.auth.renew(*world.auth.find(old.token));
  ASSERT_TRUE(renewed && *renewed);
  EXPECT_EQ((*renewed)->session.token, old.token);
  EXPECT_TRUE((*renewed)->session.fresh);
  EXPECT_EQ((*renewed)->session.state, SessionState::active) << "Lucia 2 still says idle";
  EXPECT_EQ(world.auth.find(old.token)->found->session.state, SessionState::active);
}

TEST(AuthExtend, WhoeverLosesTheRaceTakesTheNewerExpiry) {
  World world(World::extending());
  const Session old = world.sign_in();
  world.make_idle();
  const auto mine = world.auth.find(old.token);
  ASSERT_TRUE(world.auth.renew(*world.auth.find(old.token)));
  const auto loser = world.auth.renew(*mine);
  ASSERT_TRUE(loser && *loser);
  EXPECT_EQ((*loser)->session.row.active_expires, world.clock.now() + 24h);
  EXPECT_TRUE((*loser)->session.fresh) << "its cookie must move too";
}

TEST(AuthExtend, ALogoutMeanwhileIsALogout) {
  World world(World::extending());
  const Session old = world.sign_in();
  world.make_idle();
  const auto lookup = world.auth.find(old.token);
  ASSERT_TRUE(world.auth.invalidate_session(old.token));
  const auto renewed = world.auth.renew(*lookup);
  ASSERT_TRUE(renewed);
  EXPECT_FALSE(*renewed);
}

// ── headers ──────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(AuthHeaders, OneWellFormedCookieIsReadAndTwoThatDifferAreAnEvent) {
  World world;
  const std::string token(40, 'a');
  const std::string other(40, 'b');
  EXPECT_EQ(world.auth.read_session_cookie("x=1; __Host-session=" + token)->reveal(), token);
  EXPECT_TRUE(world.auth.read_session_cookie("__Host-session=" + token + "; __Host-session=" + token));
  EXPECT_THAT(world.events.kinds, IsEmpty());
  for (const std::string& header :
       {std::string(), std::string("auth_session=") + token, "__Host-session=" + token + "a", "__host-session=" + token,
        std::string("__Host-session="), "=" + token}) {
    EXPECT_FALSE(world.auth.read_session_cookie(header)) << header;
  }
  EXPECT_THAT(world.events.kinds, IsEmpty());
  EXPECT_FALSE(world.auth.read_session_cookie("__Host-session=" + token + "; __Host-session=" + other));
  EXPECT_THAT(world.events.kinds, Contains(EventKind::doubled_cookie));
}

// Lucia 2 cuts the text at a second space, and takes the empty token between two of them.
TEST(AuthHeaders, ABearerTokenIsOneWordOneSpaceAndTheTokenAlone) {
  World world;
  const std::string token(40, 'a');
  EXPECT_EQ(world.auth.read_bearer_token("Bearer " + token)->reveal(), token);
  for (const std::string& header : {std::string(),
                                    std::string("Bearer"),
                                    std::string("Bearer "),
                                    token,
                                    "bearer " + token,
                                    "BEARER " + token,
                                    "Basic " + token,
                                    "Bearer  " + token,
                                    "Bearer\t" + token,
                                    " Bearer " + token,
                                    "Bearer " + token + " ",
                                    "Bearer " + token + " x",
                                    "Bearer " + token + ", Bearer " + token,
                                    "Bearer " + token + "a",
                                    "Bearer " + token.substr(1),
                                    "Bearer " + token.substr(1) + "A",
                                    "Bearer \"" + token.substr(2) + "\"",
                                    "Bearer " + token + std::string(1, '\0'),
                                    "Bearer" + token,
                                    "BearerX " + token}) {
    EXPECT_FALSE(world.auth.read_bearer_token(header)) << header;
  }
}

TEST(AuthHeaders, ALuciaProfileReadsCapitalsToo) {
  AuthOptions options = World::options();
  options.token_alphabet = TokenAlphabet::base62;
  World world(options);
  EXPECT_TRUE(world.auth.read_bearer_token("Bearer " + std::string(40, 'A')));
  EXPECT_TRUE(world.auth.read_session_cookie("__Host-session=" + std::string(40, 'A')));
}

// Lucia 2 compares a host with a whole origin, and so refuses everybody.
TEST(AuthHeaders, ValidateRequestOriginTakesOurOwnAndRefusesAForeignOne) {
  World world;
  RequestView request = world.context.view;
  request.method = "POST";
  request.origin = "https://app.example.org";
  EXPECT_EQ(*world.auth.validate_request_origin(request), OriginVerdict::own);
  request.origin = "https://auth.example.org";
  EXPECT_EQ(world.auth.validate_request_origin(request).error().code, ErrorCode::invalid_request);
  EXPECT_TRUE(world.auth.validate_request_origin(request, {*http::Origin::parse("https://auth.example.org")}));
  request.origin = "null";
  EXPECT_EQ(world.auth.validate_request_origin(request).error().code, ErrorCode::invalid_request);
  request.method = "GET";
  EXPECT_EQ(*world.auth.validate_request_origin(request), OriginVerdict::safe_method);
  request.method = "POST";
  request.origin.reset();
  EXPECT_EQ(*world.auth.validate_request_origin(request), OriginVerdict::unknown);
}

TEST(AuthCookie, ExpiresWithTheSessionAndNotAfterTheLogin) {
  World world;
  Session session = world.sign_in();
  EXPECT_THAT(world.auth.create_session_cookie(&session),
              ::testing::HasSubstr("Expires=" + http_date(session.row.idle_expires)));
  session.row.created_at -= std::chrono::days(80);
  EXPECT_THAT(world.auth.create_session_cookie(&session),
              ::testing::HasSubstr("Expires=" + http_date(session.row.created_at + std::chrono::days(90))));
}

TEST(AuthCookie, ABrowserSessionCookieHasNoExpiry) {
  AuthOptions options = World::options();
  options.persistent_cookie = false;
  World world(options);
  const Session session = world.sign_in();
  EXPECT_THAT(world.auth.create_session_cookie(&session), ::testing::Not(::testing::HasSubstr("Expires")));
}

}  // namespace
}  // namespace gatehouse::auth
