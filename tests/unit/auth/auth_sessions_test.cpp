// Auth's verbs for sessions. Where a test says Lucia did otherwise, facts on Lucia tell when it was seen doing so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <barrier>
#include <thread>

#include "auth/auth.hpp"
#include "fakes.hpp"

namespace gatehouse::auth {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;
using testing::World;

SessionToken unknown_token() {
  return *SessionToken::parse(std::string(40, 'z'), TokenAlphabet::base36);
}

NewSession from(std::string device) {
  return {"192.0.2.1", std::move(device)};
}

/// Renews an idle session and returns its successor.
Session rotate(World& world, const Session& old) {
  world.make_idle();
  return *world.auth.validate_session(old.token);
}

// ── made ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(AuthCreateSession, LastsOneActiveAndOneIdlePeriodAndIsFresh) {
  World world;
  const Session session = world.sign_in();
  EXPECT_EQ(session.row.active_expires, world.clock.now() + 24h);
  EXPECT_EQ(session.row.idle_expires, world.clock.now() + 24h + std::chrono::days(14));
  EXPECT_EQ(session.state, SessionState::active);
  EXPECT_TRUE(session.fresh) << "Lucia 2 says it is not";
}

TEST(AuthCreateSession, CostsOneCall) {
  World world;
  world.store.calls.clear();
  world.sign_in();
  EXPECT_EQ(world.store.total(), 1) << "Lucia 1 asks three times, Lucia 2 twice";
}

// Lucia 1 ends the Node process here, though the caller catches the error.
TEST(AuthCreateSession, OfAnUnknownUserIsAnErrorAndNothingElse) {
  World world;
  EXPECT_EQ(error_of(world.auth.create_session("nobody", {})), ErrorCode::invalid_user_id);
  EXPECT_EQ(world.live_rows(), 0U);
}

TEST(AuthCreateSession, KeepsItsAttributesAndRefusesThoseWithoutAColumn) {
  World world;
  NewSession made = from("phone");
  made.attributes = {{"country", "CH"}};
  const auto session = world.auth.create_session("u1", made);
  ASSERT_TRUE(session);
  EXPECT_THAT(world.auth.get_session(session->token)->row.attributes,
              UnorderedElementsAre(Pair("country", "CH"), Pair("note", "")));
  made.attributes = {{"city", "x"}};
  EXPECT_EQ(error_of(world.auth.create_session("u1", made)), ErrorCode::invalid_attribute);
  EXPECT_EQ(error_of(world.auth.replace_session(session->token, "u1", made)), ErrorCode::invalid_attribute);
  EXPECT_EQ(world.live_rows(), 1U);
}

TEST(AuthOwnLifetime, ASessionIsNeverIdleNeverRenewedAndEndsExactlyThen) {
  for (const AuthOptions& options : {World::options(), World::extending()}) {
    for (const Milliseconds lifetime : {Milliseconds(5min), Milliseconds(std::chrono::days(30))}) {
      World world(options);
      NewSession made = from("kiosk");
      made.lifetime = lifetime;
      const auto session = world.auth.create_session("u1", made);
      ASSERT_TRUE(session);
      EXPECT_THAT(world.auth.create_session_cookie(&*session),
                  HasSubstr("Expires=" + http_date(world.clock.now() + lifetime)));
      world.clock.advance(lifetime - 1ms);
      ASSERT_EQ(error_of(world.auth.renew_session(session->token)), std::nullopt);
      EXPECT_FALSE(world.auth.renew_session(session->token)->fresh);
      world.clock.advance(1ms);
      const auto last = world.auth.validate_session(session->token);
      ASSERT_TRUE(last);
      EXPECT_EQ(last->state, SessionState::active);
      EXPECT_EQ(last->row, (*world.store.inner.all_sessions()).front());
      EXPECT_EQ(last->row.idle_expires, session->row.idle_expires);
      world.clock.advance(1ms);
      EXPECT_EQ(error_of(world.auth.validate_session(session->token)), ErrorCode::invalid_session_id);
      EXPECT_THAT(world.events.kinds, ::testing::Not(Contains(EventKind::expiry_beyond_policy)))
          << "it is our own, however long";
    }
  }
}

TEST(AuthOwnLifetime, IsCutAtTheAbsoluteLimit) {
  World world;
  NewSession made = from("robot");
  made.lifetime = Milliseconds::max();
  const auto session = world.auth.create_session("u1", made);
  ASSERT_TRUE(session);
  EXPECT_EQ(session->row.idle_expires, world.clock.now() + std::chrono::days(90));
  AuthOptions unlimited = World::options();
  unlimited.periods.max_lifetime = Milliseconds(0);
  World other(unlimited);
  EXPECT_EQ(other.auth.create_session("u1", made)->row.idle_expires, Timestamp::max());
}

TEST(AuthOwnLifetime, OfNothingOrLessIsTheCallersMistake) {
  World world;
  const Session old = world.sign_in();
  for (const std::int64_t lifetime : {std::int64_t{0}, std::int64_t{-1}, std::numeric_limits<std::int64_t>::min()}) {
    NewSession made = from("x");
    made.lifetime = Milliseconds(lifetime);
    EXPECT_EQ(error_of(world.auth.create_session("u1", made)), ErrorCode::invalid_argument) << lifetime;
    EXPECT_EQ(error_of(world.auth.replace_session(old.token, "u1", made)), ErrorCode::invalid_argument) << lifetime;
  }
  EXPECT_EQ(world.live_rows(), 1U);
}

TEST(AuthCreateSession, BeyondTheLimitTheOldestEnds) {
  AuthOptions options = World::options();
  options.max_per_user = 2;
  World world(options);
  const Session first = world.sign_in();
  world.clock.advance(1s);
  const Session second = world.sign_in();
  world.clock.advance(1s);
  const Session third = world.sign_in();
  EXPECT_FALSE(world.auth.find(first.token)->found);
  EXPECT_TRUE(world.auth.find(second.token)->found);
  EXPECT_TRUE(world.auth.find(third.token)->found);
}

TEST(AuthCreateSession, WithoutRandomnessNothingIsIssued) {
  World world;
  world.random.is_broken = true;
  EXPECT_FALSE(world.auth.create_session("u1", {}));
  EXPECT_EQ(world.live_rows(), 0U);
}

TEST(AuthCreateSession, TheStoredIdIsNotTheToken) {
  World world;
  const Session session = world.sign_in();
  EXPECT_EQ(session.row.id.text(), sha256_hex(session.token.reveal()));
  AuthOptions plain = World::options();
  plain.token_storage = TokenStorage::plain;
  World other(plain);
  const Session open = other.sign_in();
  EXPECT_EQ(open.row.id.text(), open.token.reveal());
}

// ── read ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(AuthGetSession, AnIdleSessionStaysIdleAndIsNotWritten) {
  World world;
  const Session session = world.sign_in();
  world.make_idle();
  world.store.calls.clear();
  const auto found = world.auth.get_session_user(session.token);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->session.state, SessionState::idle);
  EXPECT_EQ(found->session.row, session.row);
  EXPECT_FALSE(found->session.fresh);
  EXPECT_EQ(found->user.username, "alice");
  EXPECT_EQ(world.auth.get_session(session.token)->row, session.row);
  EXPECT_EQ(world.store.calls, (std::map<std::string, int>{{"find_session", 2}}));
}

TEST(AuthGetSession, CountsAsAPresentationAndNoticesReuse) {
  World world;
  const Session old = world.sign_in();
  const Session next = rotate(world, old);
  ASSERT_TRUE(world.auth.get_session(next.token));
  EXPECT_EQ(world.store.calls["mark_presented"], 1);
  world.clock.advance(11s);
  EXPECT_EQ(error_of(world.auth.get_session(old.token)), ErrorCode::invalid_session_id);
  EXPECT_EQ(world.live_rows(), 0U) << "a rotated id came back after its grace";
}

TEST(AuthSessionVerbs, UnknownDeadAndDisabledAreInvalidSessionId) {
  const auto expect_invalid = [](World& world, const SessionToken& token) {
    const auto rows = *world.store.inner.all_sessions();
    EXPECT_EQ(error_of(world.auth.get_session(token)), ErrorCode::invalid_session_id);
    EXPECT_EQ(error_of(world.auth.get_session_user(token)), ErrorCode::invalid_session_id);
    EXPECT_EQ(error_of(world.auth.validate_session(token)), ErrorCode::invalid_session_id);
    EXPECT_EQ(error_of(world.auth.validate_session_user(token)), ErrorCode::invalid_session_id);
    EXPECT_EQ(error_of(world.auth.renew_session(token)), ErrorCode::invalid_session_id);
    EXPECT_EQ(error_of(world.auth.update_session_attributes(token, {{"note", "x"}})), ErrorCode::invalid_session_id);
    EXPECT_EQ(error_of(world.auth.invalidate_other_sessions("u1", token)), ErrorCode::invalid_session_id);
    EXPECT_EQ(*world.store.inner.all_sessions(), rows);
  };
  World world;
  expect_invalid(world, unknown_token());
  UserChange change;
  change.disabled = true;
  ASSERT_TRUE(world.auth.update_user_attributes("u1", change));
  const Session session = world.sign_in();  // which the store does not mind
  expect_invalid(world, session.token);
  change.disabled = false;
  ASSERT_TRUE(world.auth.update_user_attributes("u1", change));
  ASSERT_TRUE(world.auth.get_session(session.token));
  world.clock.advance(std::chrono::days(16));
  expect_invalid(world, session.token);
}

TEST(AuthSessionVerbs, AStoreThatFailsIsNeverAnInvalidSession) {
  World world;
  const Session session = world.sign_in();
  world.store.failures["find_session"] = ErrorCode::store_unavailable;
  world.store.failures["find_user"] = ErrorCode::store_unavailable;
  const auto failed = std::optional(ErrorCode::store_unavailable);
  EXPECT_EQ(error_of(world.auth.get_session(session.token)), failed);
  EXPECT_EQ(error_of(world.auth.validate_session_user(session.token)), failed);
  EXPECT_EQ(error_of(world.auth.renew_session(session.token)), failed);
  EXPECT_EQ(error_of(world.auth.update_session_attributes(session.token, {})), failed);
  EXPECT_EQ(error_of(world.auth.invalidate_other_sessions("u1", session.token)), failed);
  EXPECT_EQ(error_of(world.auth.get_all_user_sessions("u1")), failed);
}

TEST(AuthGetAllUserSessions, AreTheLiveOnesWithTheirStateOldestFirst) {
  World world;
  NewSession short_lived = from("kiosk");
  short_lived.lifetime = 1h;
  const auto dead = world.auth.create_session("u1", short_lived);
  ASSERT_TRUE(dead);
  world.clock.advance(1s);
  const Session idle = world.sign_in();
  world.make_idle();
  const Session active = world.sign_in();
  const auto listed = world.auth.get_all_user_sessions("u1");
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->size(), 2U);
  EXPECT_EQ((*listed)[0].row, idle.row);
  EXPECT_EQ((*listed)[0].state, SessionState::idle);
  EXPECT_EQ((*listed)[1].row, active.row);
  EXPECT_EQ((*listed)[1].state, SessionState::active);
  EXPECT_EQ(world.live_rows(), 3U) << "listing deletes nothing";
}

TEST(AuthGetAllUserSessions, OneWithImplausibleExpiriesIsNotListed) {
  World world;
  SessionRow row = world.sign_in().row;
  row.id = SessionId("seconds");
  row.active_expires = row.idle_expires = Timestamp(Milliseconds(1'900'000'000));
  world.clock.time = Timestamp(Milliseconds(1'000'000'000));
  ASSERT_TRUE(world.store.inner.create_session(row, 0));
  const auto listed = world.auth.get_all_user_sessions("u1");
  ASSERT_TRUE(listed);
  for (const ListedSession& one : *listed) EXPECT_NE(one.row.id, row.id);
}

// Lucia 2 ends the Node process here, though the caller catches the error.
TEST(AuthGetAllUserSessions, OfAnUnknownUserIsAnErrorAndOfADisabledOneNothing) {
  World world;
  EXPECT_EQ(error_of(world.auth.get_all_user_sessions("nobody")), ErrorCode::invalid_user_id);
  UserChange change;
  change.disabled = true;
  ASSERT_TRUE(world.auth.update_user_attributes("u1", change));
  world.sign_in();
  EXPECT_THAT(*world.auth.get_all_user_sessions("u1"), IsEmpty());
}

// ── renewed ──────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(AuthValidateSession, RenewsAnIdleOneAndLeavesAnActiveOne) {
  World world;
  const Session old = world.sign_in();
  const auto active = world.auth.validate_session_user(old.token);
  ASSERT_TRUE(active);
  EXPECT_FALSE(active->session.fresh);
  EXPECT_EQ(active->user.username, "alice");
  const Session next = rotate(world, old);
  EXPECT_TRUE(next.fresh);
  EXPECT_NE(next.token, old.token);
  EXPECT_EQ(world.auth.validate_session(old.token)->token, next.token) << "within the grace: the successor";
  EXPECT_EQ(world.live_rows(), 1U);
}

TEST(AuthValidateSession, AnIdleOneCostsOneReadAndOneWrite) {
  for (const auto& [options, write] :
       {std::pair(World::options(), "rotate"), std::pair(World::extending(), "extend")}) {
    World world(options);
    const Session old = world.sign_in();
    world.make_idle();
    world.store.calls.clear();
    ASSERT_TRUE(world.auth.validate_session(old.token));
    EXPECT_EQ(world.store.calls, (std::map<std::string, int>{{"find_session", 1}, {write, 1}}));
  }
}

TEST(AuthValidateSession, LoggedOutInTheSameMomentIsInvalid) {
  for (const auto& [options, write] :
       {std::pair(World::options(), "rotate"), std::pair(World::extending(), "extend")}) {
    World world(options);
    const Session old = world.sign_in();
    world.make_idle();
    world.store.before[write] = [&] { std::ignore = world.store.inner.delete_family(old.row.family); };
    EXPECT_EQ(error_of(world.auth.validate_session(old.token)), ErrorCode::invalid_session_id)
        << write << ": Lucia 2 says it is valid";
    EXPECT_EQ(world.live_rows(), 0U);
  }
}

class Silence final : public Events {
 public:
  void report(const Event& /*event*/) override {}
};

// Lucia 1 makes 8 sessions of it, each with an id of its own; Lucia 2 one, but writes 8 times.
TEST(AuthValidateSession, EightAtOnceWithOneIdleSessionMakeOneSuccessorOrOneExtension) {
  for (const Renewal renewal : {Renewal::rotate, Renewal::extend}) {
    AuthOptions options = World::options();
    options.renewal = renewal;
    store::MemoryStore store;
    testing::FakeClock clock;
    SystemRandom random;
    Silence silence;
    Auth auth(options, store, clock, random, silence);
    User user;
    user.username = "alice";
    user = *auth.create_user(user, std::nullopt);
    const Session old = *auth.create_session(user.id, {});
    clock.advance(25h);

    std::barrier start(8);
    std::vector<std::string> tokens(8);
    std::vector<std::jthread> threads;
    threads.reserve(tokens.size());
    for (std::string& token : tokens) {
      threads.emplace_back([&] {
        start.arrive_and_wait();
        const auto session = auth.validate_session(old.token);
        if (session) token = session->token.reveal();
      });
    }
    threads.clear();
    EXPECT_THAT(tokens, Each(tokens.front()));
    EXPECT_EQ(tokens.front() == old.token.reveal(), renewal == Renewal::extend);
    EXPECT_EQ(store.all_sessions()->size(), 1U);
    EXPECT_EQ(store.all_sessions()->front().active_expires, clock.now() + 24h);
  }
}

TEST(AuthRenewSession, RenewsAnActiveOneToo) {
  World world;
  const Session old = world.sign_in();
  world.clock.advance(1h);
  const auto next = world.auth.renew_session(old.token);
  ASSERT_TRUE(next);
  EXPECT_TRUE(next->fresh);
  EXPECT_NE(next->token, old.token);
  EXPECT_EQ(next->row.active_expires, world.clock.now() + 24h);
  EXPECT_EQ(next->row.created_at, old.row.created_at);

  World extending(World::extending());
  const Session same = extending.sign_in();
  extending.clock.advance(1h);
  const auto extended = extending.auth.renew_session(same.token);
  ASSERT_TRUE(extended);
  EXPECT_TRUE(extended->fresh);
  EXPECT_EQ(extended->token, same.token);
  EXPECT_EQ(extended->row.active_expires, extending.clock.now() + 24h);
}

TEST(AuthRenewSession, ARotatedTokenGetsItsSuccessorAsItIs) {
  World world;
  const Session old = world.sign_in();
  const Session next = *world.auth.renew_session(old.token);
  world.clock.advance(1h);
  const auto again = world.auth.renew_session(old.token);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->token, next.token);
  EXPECT_FALSE(again->fresh);
  EXPECT_EQ(world.live_rows(), 1U);
}

TEST(AuthRenewSession, ThatCannotBeWrittenFailsAndLeavesTheSession) {
  for (const auto& [options, write] :
       {std::pair(World::options(), "rotate"), std::pair(World::extending(), "extend")}) {
    World world(options);
    const Session old = world.sign_in();
    world.store.failures[write] = ErrorCode::store_read_only;
    EXPECT_EQ(error_of(world.auth.renew_session(old.token)), ErrorCode::store_read_only) << write;
    EXPECT_EQ(world.auth.get_session(old.token)->row, old.row);
  }
  World world;
  const Session old = world.sign_in();
  world.random.is_broken = true;
  EXPECT_EQ(error_of(world.auth.renew_session(old.token)), ErrorCode::internal);
}

// ── attributes ───────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(AuthUpdateSessionAttributes, WritesThemAndReturnsTheSessionUnrenewed) {
  World world;
  const Session session = world.sign_in();
  world.make_idle();
  const auto updated = world.auth.update_session_attributes(session.token, {{"country", "AT"}});
  ASSERT_TRUE(updated);
  EXPECT_EQ(updated->state, SessionState::idle);
  EXPECT_THAT(updated->row.attributes, UnorderedElementsAre(Pair("country", "AT"), Pair("note", "")));
  EXPECT_EQ(updated->row, world.auth.get_session(session.token)->row);
  EXPECT_EQ(error_of(world.auth.update_session_attributes(session.token, {{"city", "x"}})),
            ErrorCode::invalid_attribute);
}

TEST(AuthUpdateSessionAttributes, OutliveTheRenewal) {
  World world;
  const Session old = world.sign_in();
  ASSERT_TRUE(world.auth.update_session_attributes(old.token, {{"note", "kept"}}));
  EXPECT_EQ(rotate(world, old).row.attributes.at("note"), "kept");
}

TEST(AuthUpdateSessionAttributes, FollowASessionThatIsRotatedInTheSameMoment) {
  World world;
  const Session old = world.sign_in();
  world.make_idle();
  std::optional<Session> next;
  world.store.before["update_session_attributes"] = [&] { next = *world.auth.validate_session(old.token); };
  const auto updated = world.auth.update_session_attributes(old.token, {{"note", "new"}});
  ASSERT_TRUE(updated && next);
  EXPECT_EQ(updated->token, next->token);
  EXPECT_EQ(world.auth.get_session(next->token)->row.attributes.at("note"), "new");
}

TEST(AuthUpdateSessionAttributes, OfASessionLoggedOutInTheSameMomentAreRefused) {
  World world;
  const Session old = world.sign_in();
  world.store.before["update_session_attributes"] = [&] { std::ignore = world.store.inner.delete_all_sessions(); };
  EXPECT_EQ(error_of(world.auth.update_session_attributes(old.token, {{"note", "new"}})),
            ErrorCode::invalid_session_id);
}

// ── ended ────────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(AuthInvalidate, LogoutByARotatedTokenEndsTheSuccessorToo) {
  World world;
  const Session old = world.sign_in();
  world.make_idle();
  const auto next = (*world.auth.renew(*world.auth.find(old.token)))->session;
  EXPECT_EQ(world.auth.invalidate_session(old.token).value(), 1U);
  EXPECT_FALSE(world.auth.find(next.token)->found);
  EXPECT_FALSE(world.auth.find(old.token)->found);
}

TEST(AuthInvalidate, OneLoginEndsAndTheOthersLive) {
  World world;
  const Session one = world.sign_in();
  const Session other = world.sign_in();
  ASSERT_TRUE(world.auth.invalidate_session(one.token));
  EXPECT_FALSE(world.auth.find(one.token)->found);
  EXPECT_TRUE(world.auth.find(other.token)->found);
}

// Lucia 1 keeps the old row: the old cookie still works after the logout.
TEST(AuthInvalidate, LogoutByTheSuccessorEndsTheOldTokenToo) {
  World world;
  const Session old = world.sign_in();
  const Session next = rotate(world, old);
  EXPECT_EQ(world.auth.invalidate_session(next.token).value(), 1U);
  EXPECT_EQ(error_of(world.auth.validate_session(old.token)), ErrorCode::invalid_session_id);
  EXPECT_EQ(error_of(world.auth.validate_session(next.token)), ErrorCode::invalid_session_id);
}

TEST(AuthInvalidate, WhatIsUnknownIsNoError) {
  World world;
  EXPECT_EQ(world.auth.invalidate_session(unknown_token()).value(), 0U);
  EXPECT_EQ(world.auth.invalidate_all_user_sessions("nobody").value(), 0U);
  EXPECT_EQ(world.auth.delete_dead_user_sessions("nobody").value(), 0U);
}

TEST(AuthInvalidate, OthersOfTheUserEndAndTheKeptOneLives) {
  World world;
  const Session kept = world.sign_in();
  const Session other = world.sign_in();
  world.sign_in();
  User bob;
  bob.username = "bob";
  bob = *world.auth.create_user(bob, std::nullopt);
  const Session theirs = *world.auth.create_session(bob.id, {});
  EXPECT_EQ(world.auth.invalidate_other_sessions("u1", kept.token).value(), 2U);
  EXPECT_TRUE(world.auth.get_session(kept.token));
  EXPECT_TRUE(world.auth.get_session(theirs.token));
  EXPECT_FALSE(world.auth.get_session(other.token));
}

TEST(AuthInvalidate, OthersMayBeEndedWithARotatedTokenWithinItsGrace) {
  World world;
  const Session old = world.sign_in();
  const Session next = rotate(world, old);
  world.sign_in();
  EXPECT_EQ(world.auth.invalidate_other_sessions("u1", old.token).value(), 1U);
  EXPECT_TRUE(world.auth.get_session(next.token));
}

TEST(AuthInvalidate, OthersAreNotEndedForSomebodyElse) {
  World world;
  world.sign_in();
  User bob;
  bob.username = "bob";
  bob = *world.auth.create_user(bob, std::nullopt);
  const Session theirs = *world.auth.create_session(bob.id, {});
  EXPECT_EQ(error_of(world.auth.invalidate_other_sessions("u1", theirs.token)), ErrorCode::invalid_session_id);
  EXPECT_EQ(world.live_rows(), 2U);
}

TEST(AuthDeleteDead, OfOneUserReturnsWhenItIsDoneAndSaysSoIfItIsNot) {
  World world;
  const Session dead = world.sign_in();
  world.clock.time = dead.row.idle_expires;
  const Session live = world.sign_in();
  EXPECT_EQ(world.auth.delete_dead_user_sessions("u1").value(), 0U) << "the exact millisecond still counts";
  world.clock.advance(1ms);
  world.store.failures["delete_dead_sessions_of_user"] = ErrorCode::store_read_only;
  EXPECT_EQ(error_of(world.auth.delete_dead_user_sessions("u1")), ErrorCode::store_read_only)
      << "Lucia loses the error: it does not wait";
  world.store.failures.clear();
  EXPECT_EQ(world.auth.delete_dead_user_sessions("u1").value(), 1U);
  EXPECT_TRUE(world.auth.get_session(live.token));
  EXPECT_EQ(world.live_rows(), 1U);
}

TEST(AuthDeleteDead, PastTheAbsoluteLimitIsDeadToo) {
  World world;
  SessionRow row = world.sign_in().row;
  row.id = SessionId("long");
  row.idle_expires += std::chrono::days(300);
  row.active_expires += std::chrono::days(300);
  ASSERT_TRUE(world.store.inner.create_session(row, 0));
  world.clock.time = row.created_at + std::chrono::days(90) + 1ms;
  EXPECT_EQ(world.auth.delete_dead_user_sessions("u1").value(), 2U);
}

TEST(AuthSweep, GoesInBatchesOverWhatHasBeenDeadForLongerThanTheGrace) {
  World world;
  for (int i = 0; i < 5; ++i) world.sign_in();
  const Timestamp end = world.sign_in().row.idle_expires;
  world.clock.time = end + 48h;
  EXPECT_EQ(world.auth.sweep(100, 48h).value(), 0U);
  world.clock.advance(1ms);
  EXPECT_EQ(world.auth.sweep(4, 48h).value(), 4U);
  EXPECT_EQ(world.auth.sweep(4, 48h).value(), 2U);
  EXPECT_EQ(world.live_rows(), 0U);
}

TEST(AuthSweep, TakesNobodysLiveSession) {
  World world;
  const Session session = world.sign_in();
  world.clock.time = session.row.idle_expires;
  EXPECT_EQ(world.auth.sweep(100, 0ms).value(), 0U);
  EXPECT_TRUE(world.auth.get_session(session.token));
}

// ── Lucia's tables ───────────────────────────────────────────────────────────────────────────────────────────────────

// A row as Node wrote it: no login time, no family but its own id, capitals in the token.
TEST(AuthOverLuciasTables, ASessionThatNodeMadeLivesIsRenewedListedAndEnds) {
  AuthOptions options = World::extending();
  options.periods.max_lifetime = Milliseconds(0);
  options.token_storage = TokenStorage::plain;
  options.token_alphabet = TokenAlphabet::base62;
  World world(options);
  const auto token = *SessionToken::parse("AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCd", TokenAlphabet::base62);
  const SessionId id = token.id(TokenStorage::plain);
  const Timestamp now = world.clock.now();
  const SessionRow row{id, "u1", now + 24h, now + 24h + std::chrono::days(14), Timestamp(), id.text(), {}, {}, {}, {}};
  ASSERT_TRUE(world.store.inner.create_session(row, 0));

  world.make_idle();
  const auto renewed = world.auth.validate_session(token);
  ASSERT_TRUE(renewed);
  EXPECT_EQ(renewed->token, token);
  EXPECT_EQ(renewed->row.active_expires, world.clock.now() + 24h);
  EXPECT_THAT(world.auth.create_session_cookie(&*renewed),
              HasSubstr("Expires=" + http_date(renewed->row.idle_expires)));
  EXPECT_EQ(world.auth.get_all_user_sessions("u1")->size(), 1U);
  const Session ours = world.sign_in();
  EXPECT_EQ(world.auth.invalidate_other_sessions("u1", token).value(), 1U);
  EXPECT_FALSE(world.auth.get_session(ours.token));
  EXPECT_EQ(world.auth.sweep(10, 0ms).value(), 0U);
  EXPECT_EQ(world.auth.invalidate_session(token).value(), 1U);
  EXPECT_EQ(error_of(world.auth.validate_session(token)), ErrorCode::invalid_session_id);
}

}  // namespace
}  // namespace gatehouse::auth
