// A session's row, its three states and the rule between them. Start reading auth/ here.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "auth/time.hpp"
#include "auth/token.hpp"
#include "auth/user.hpp"

namespace gatehouse::auth {

/// A row of user_session: one live session. Immutable once read.
struct SessionRow {
  SessionId id;
  std::string user_id;
  Timestamp active_expires;
  Timestamp idle_expires;
  Timestamp created_at;             ///< of the login; carried over by rotation, so that max_lifetime counts from it
  std::string family;               ///< all sessions that descend from one login share it
  std::optional<SessionId> parent;  ///< the rotated id it succeeds; nullopt once it has been presented itself
  Timestamp last_used_at;
  std::string address;
  std::string device;
  /// Further columns of the session table that an administrator added, by column name; NULL reads as "".
  std::map<std::string, std::string> attributes = {};

  bool operator==(const SessionRow&) const = default;
};

/// A row of rotated_session: an id that has a successor. Kept until its own idle_expires.
struct RotatedRow {
  SessionId id;
  std::string family;
  Nonce nonce{};
  Timestamp idle_expires;
  Timestamp rotated_at;
  std::optional<Timestamp> successor_seen_at;  ///< when the successor was first presented; the grace runs from then

  bool operator==(const RotatedRow&) const = default;
};

/// What the one SELECT of a validation brings.
struct SessionAndUser {
  SessionRow session;
  User user;

  bool operator==(const SessionAndUser&) const = default;
};

enum class SessionState { active, idle, dead };
[[nodiscard]] std::string_view name(SessionState state);

/// Times from the configuration. `max_lifetime` 0 means no absolute limit.
struct SessionPeriods {
  Milliseconds active{std::chrono::hours(24)};
  Milliseconds idle{std::chrono::days(14)};
  Milliseconds max_lifetime{std::chrono::days(90)};
  Milliseconds rotation_grace{std::chrono::seconds(10)};
};

/// What becomes of an idle session that is used: a successor under a new id, or later expiries for the same id.
enum class Renewal { rotate, extend };

/// Returns the state at `now`. Strictly greater is expired, the exact millisecond is still valid; idle_expires alone
/// decides "dead", whatever active_expires says; past created_at + max_lifetime is dead too.
/// Source: Lucia, session life cycle; PRODUCT.md section 5.
[[nodiscard]] SessionState state_at(const SessionRow& row, const SessionPeriods& periods, Timestamp now);

/// True if a stored expiry cannot be milliseconds (below 10^11): another program wrote seconds.
[[nodiscard]] bool has_implausible_expiry(const SessionRow& row);
/// True if the session has no idle period: it ends when its active period does, and is never renewed.
[[nodiscard]] bool has_own_lifetime(const SessionRow& row);
/// True if the row expires later than this policy could have made it.
[[nodiscard]] bool exceeds_policy(const SessionRow& row, const SessionPeriods& periods, Timestamp now);

/// A validated session as callers see it (Lucia's Session). `token` is what the cookie holds, or must hold.
struct Session {
  SessionToken token;
  SessionRow row;
  SessionState state = SessionState::dead;  ///< active or idle; active after a renewal (Lucia 0.11)
  bool fresh = false;                       ///< made, rotated or extended by this very request
};

/// Lucia's {session, user}.
struct SessionUser {
  Session session;
  User user;
};

}  // namespace gatehouse::auth
