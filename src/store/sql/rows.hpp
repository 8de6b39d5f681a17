// Rows of the tables ⇄ values of auth/. Columns are read by name: an administrator may add some, to users and to
// sessions.
#pragma once

#include "auth/session.hpp"
#include "auth/user.hpp"
#include "store/sql/database.hpp"

namespace gatehouse::store::sql {

/// A column of this name stands between a session's and its user's in a joined SELECT: both have an "id".
inline constexpr std::string_view kDivider = "gatehouse divider";

/// How many ids one SELECT looks up.
inline constexpr std::size_t kIdsAtOnce = 64;

[[nodiscard]] auth::SessionRow read_session(const Row& row);
[[nodiscard]] auth::SessionAndUser read_session_and_user(const Row& row);
[[nodiscard]] auth::RotatedRow read_rotated(const Row& row);
[[nodiscard]] auth::User read_user(const Row& row);
[[nodiscard]] auth::Key read_key(const Row& row);

// The same of Lucia's tables, where every further column is an attribute, whatever its name.
[[nodiscard]] auth::SessionRow read_lucia_session(const Row& row);
[[nodiscard]] auth::SessionAndUser read_lucia_session_and_user(const Row& row);
[[nodiscard]] auth::User read_lucia_user(const Row& row);
/// The columns after kDivider.
[[nodiscard]] auth::User read_lucia_user_after_divider(const Row& row);

[[nodiscard]] inline std::int64_t to_milliseconds(auth::Timestamp time) {
  return time.time_since_epoch().count();
}

}  // namespace gatehouse::store::sql
