// The rules of a session's life. Pure: every answer depends on the row, the periods and `now`.
#include "auth/session.hpp"

namespace gatehouse::auth {

namespace {

// Milliseconds below this are before March 1973, but as seconds they reach the year 5138.
constexpr Timestamp kLeastPlausibleExpiry{Milliseconds{100'000'000'000}};
// How far another node's clock may be ahead before its rows look like another policy's.
constexpr Milliseconds kClockSkew{std::chrono::minutes(1)};

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

bool has_own_lifetime(const SessionRow& row) {
  return row.active_expires == row.idle_expires;
}

bool exceeds_policy(const SessionRow& row, const SessionPeriods& periods, Timestamp now) {
  if (has_own_lifetime(row)) {
    const Timestamp end = later_by(later_by(row.created_at, periods.max_lifetime), kClockSkew);
    return periods.max_lifetime.count() > 0 && row.idle_expires > end;
  }
  const Timestamp latest_active = later_by(later_by(now, periods.active), kClockSkew);
  return row.active_expires > latest_active || row.idle_expires > later_by(latest_active, periods.idle);
}

}  // namespace gatehouse::auth
