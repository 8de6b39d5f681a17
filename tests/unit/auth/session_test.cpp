// The three states at their borders, and rows that another program wrote.
#include "auth/session.hpp"

#include <gtest/gtest.h>

namespace gatehouse::auth {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;

constexpr Milliseconds kTick{1};
constexpr Timestamp kLogin{Milliseconds{1'700'000'000'000}};
constexpr Timestamp kLastMoment = Timestamp::max();
constexpr Timestamp kFirstMoment = Timestamp::min();

SessionRow row_of(Timestamp active_expires, Timestamp idle_expires) {
  return SessionRow{.id = SessionId("id"),
                    .user_id = "u",
                    .active_expires = active_expires,
                    .idle_expires = idle_expires,
                    .created_at = kLogin,
                    .family = "f",
                    .parent = std::nullopt,
                    .last_used_at = kLogin,
                    .address = "",
                    .device = ""};
}

SessionRow fresh_row() {
  return row_of(kLogin + hours(24), kLogin + hours(24) + days(14));
}

TEST(StateAt, TheExactMillisecondIsStillValid) {
  const auto row = fresh_row();
  EXPECT_EQ(state_at(row, {}, kLogin), SessionState::active);
  EXPECT_EQ(state_at(row, {}, row.active_expires), SessionState::active);
  EXPECT_EQ(state_at(row, {}, row.active_expires + kTick), SessionState::idle);
  EXPECT_EQ(state_at(row, {}, row.idle_expires), SessionState::idle);
  EXPECT_EQ(state_at(row, {}, row.idle_expires + kTick), SessionState::dead);
}

TEST(StateAt, IdleExpiryAloneDecidesDead) {
  const auto row = row_of(kLogin + days(30), kLogin + hours(1));
  EXPECT_EQ(state_at(row, {}, kLogin + hours(1)), SessionState::active);
  EXPECT_EQ(state_at(row, {}, kLogin + hours(1) + kTick), SessionState::dead);
}

TEST(StateAt, MaxLifetimeCountsFromTheLogin) {
  const auto row = row_of(kLogin + days(100), kLogin + days(120));
  const SessionPeriods periods{.max_lifetime = days(90)};
  EXPECT_EQ(state_at(row, periods, kLogin + days(90)), SessionState::active);
  EXPECT_EQ(state_at(row, periods, kLogin + days(90) + kTick), SessionState::dead);
}

TEST(StateAt, MaxLifetimeZeroIsNoLimit) {
  const auto row = row_of(kLogin + days(1000), kLogin + days(1001));
  EXPECT_EQ(state_at(row, SessionPeriods{.max_lifetime = Milliseconds{0}}, kLogin + days(1000)), SessionState::active);
}

TEST(StateAt, ExtremeRowsDoNotOverflow) {
  auto row = row_of(kLastMoment, kLastMoment);
  row.created_at = kLastMoment;
  EXPECT_EQ(state_at(row, {}, kLogin), SessionState::active);
  row.created_at = kFirstMoment;
  EXPECT_EQ(state_at(row, {}, kLogin), SessionState::dead);
  EXPECT_EQ(state_at(row_of(kFirstMoment, kFirstMoment), {}, kLogin), SessionState::dead);
}

TEST(ImplausibleExpiry, SecondsInEitherColumnAreFound) {
  const Timestamp seconds{Milliseconds{1'700'000'000}};
  EXPECT_FALSE(has_implausible_expiry(fresh_row()));
  EXPECT_TRUE(has_implausible_expiry(row_of(seconds, kLogin)));
  EXPECT_TRUE(has_implausible_expiry(row_of(kLogin, seconds)));
  EXPECT_TRUE(has_implausible_expiry(row_of(kFirstMoment, kLogin)));
}

TEST(ImplausibleExpiry, TheBorderIsTenToTheEleventh) {
  const Timestamp border{Milliseconds{100'000'000'000}};
  EXPECT_FALSE(has_implausible_expiry(row_of(border, border)));
  EXPECT_TRUE(has_implausible_expiry(row_of(border - kTick, border)));
  EXPECT_TRUE(has_implausible_expiry(row_of(border, border - kTick)));
}

TEST(ExceedsPolicy, OwnRowsAndAMinutesSkewAreWithin) {
  EXPECT_FALSE(exceeds_policy(fresh_row(), {}, kLogin));
  EXPECT_FALSE(exceeds_policy(fresh_row(), {}, kLogin - minutes(1)));
  EXPECT_TRUE(exceeds_policy(fresh_row(), {}, kLogin - minutes(1) - kTick));
}

TEST(ExceedsPolicy, EitherExpiryCounts) {
  const auto active = kLogin + hours(24) + minutes(1);
  const auto idle = active + days(14);
  EXPECT_FALSE(exceeds_policy(row_of(active, idle), {}, kLogin));
  EXPECT_TRUE(exceeds_policy(row_of(active + kTick, idle), {}, kLogin));
  EXPECT_TRUE(exceeds_policy(row_of(active, idle + kTick), {}, kLogin));
  EXPECT_TRUE(exceeds_policy(row_of(kLastMoment, kLastMoment), {}, kLogin));
}

TEST(ExceedsPolicy, ALifetimeOfItsOwnIsBoundByTheAbsoluteLimitAlone) {
  EXPECT_TRUE(has_own_lifetime(row_of(kLogin, kLogin)));
  EXPECT_FALSE(has_own_lifetime(fresh_row()));
  const auto end = kLogin + days(90) + minutes(1);
  EXPECT_FALSE(exceeds_policy(row_of(end, end), {}, kLogin));
  EXPECT_TRUE(exceeds_policy(row_of(end + kTick, end + kTick), {}, kLogin));
  const SessionPeriods unlimited{.max_lifetime = Milliseconds{0}};
  EXPECT_FALSE(exceeds_policy(row_of(kLastMoment, kLastMoment), unlimited, kLogin));
}

TEST(LaterBy, ASumBeyondTheRangeStaysAtItsEnd) {
  EXPECT_EQ(later_by(kLogin, hours(1)), kLogin + hours(1));
  EXPECT_EQ(later_by(kLogin, Milliseconds::max()), kLastMoment);
  EXPECT_EQ(later_by(kFirstMoment, Milliseconds{-1}), kFirstMoment);
}

TEST(SessionState, NamesAreLucias) {
  EXPECT_EQ(name(SessionState::active), "active");
  EXPECT_EQ(name(SessionState::idle), "idle");
  EXPECT_EQ(name(SessionState::dead), "dead");
}

}  // namespace
}  // namespace gatehouse::auth
