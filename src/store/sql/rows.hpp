// Rows of SQLite ⇄ values of auth/. The order of columns is that of statements.hpp; a user's are read by name, since
// an administrator may add some.
#pragma once

#include <span>

#include "auth/session.hpp"
#include "auth/user.hpp"
#include "store/sqlite/connection.hpp"

namespace gatehouse::store::sqlite {

/// The number of columns of a session: where "u.*" begins in the joined SELECT.
inline constexpr int kSessionColumns = 10;

[[nodiscard]] auth::SessionRow read_session(const Row& row);
[[nodiscard]] auth::SessionAndUser read_session_and_user(const Row& row);
[[nodiscard]] auth::RotatedRow read_rotated(const Row& row);
[[nodiscard]] auth::User read_user(const Row& row);
[[nodiscard]] auth::Key read_key(const Row& row);

[[nodiscard]] inline std::int64_t to_milliseconds(auth::Timestamp time) {
  return time.time_since_epoch().count();
}
[[nodiscard]] inline Value to_value(const std::optional<std::string>& text) {
  return text ? Value(std::string_view(*text)) : Value(nullptr);
}

}  // namespace gatehouse::store::sqlite
