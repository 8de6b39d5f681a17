// The rules of a session's life. Pure: every answer depends on the row, the periods and `now`.
#include "auth/session.hpp"

#include <cstdint>
#include <limits>

namespace gatehouse::auth {

namespace {

// Milliseconds below this are before March 1973, but as seconds they reach the year 5138.
constexpr Timestamp kLeastPlausibleExpiry{Milliseconds{100'000'000'000}};
// How far another node's clock may be ahead before its rows look like another policy's.
constexpr Milliseconds kClockSkew{std::chrono::minutes(1)};

// A row holds whatever somebody stored; a sum beyond the range stays at its end instead of wrapping into the past.
Timestamp later_by(Timestamp time, Milliseconds period) {
  std::int64_t sum = 0;
  if (__builtin_add_overflow(time.time_since_epoch().count(), period.count(), &sum)) {
    sum = period.count() > 0 ? std::numeric_limits<std::int64_t>::max() : std::numeric_limits<std::int64_t>::min();
  }
  return Timestamp{Milliseconds{sum}};
}

bool is_past_lifetime(const SessionRow& row, const SessionPeriods& periods, Timestamp now) {
  return periods.max_lifetime.count() > 0 && now > later_by(row.created_at, periods.max_lifetime);
}

}  // namespace

std::string_view name(SessionState state) {
  switch (state) {
    case SessionState::active: return "active";
    case SessionState::idle: return "idle";
    case SessionState::dead: return "dead";
  }
  return "dead";
}

SessionState state_at(const SessionRow& row, const SessionPeriods& periods, Timestamp now) {
  if (now > row.idle_expires || is_past_lifetime(row, periods, now)) {
    return SessionState::dead;
  }
  return now > row.active_expires ? SessionState::idle : SessionState::active;
}

bool has_implausible_expiry(const SessionRow& row) {
  return row.active_expires < kLeastPlausibleExpiry || row.idle_expires < kLeastPlausibleExpiry;
}

bool exceeds_policy(const SessionRow& row, const SessionPeriods& periods, Timestamp now) {
  const Timestamp latest_active = later_by(later_by(now, periods.active), kClockSkew);
  return row.active_expires > latest_active || row.idle_expires > later_by(latest_active, periods.idle);
}

}  // namespace gatehouse::auth
