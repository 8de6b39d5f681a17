// The only place that knows which column is which.
#include "store/sqlite/rows.hpp"

#include <algorithm>

namespace gatehouse::store::sqlite {
namespace {

auth::Timestamp time_at(const Row& row, int column) {
  return auth::Timestamp(auth::Milliseconds(row.integer(column)));
}

auth::User read_user_from(const Row& row, int first) {
  auth::User user;
  for (int i = first; i < row.column_count(); ++i) {
    const std::string_view column = row.name(i);
    if (column == "id") {
      user.id = row.text(i);
    } else if (column == "username") {
      user.username = row.text(i);
    } else if (column == "name") {
      user.name = row.text(i);
    } else if (column == "email") {
      user.email = row.text(i);
    } else if (column == "roles") {
      user.roles = auth::split_roles(row.text(i));
    } else if (column == "disabled") {
      user.disabled = row.integer(i) != 0;
    } else if (column == "created_at") {
      user.created_at = time_at(row, i);
    } else {
      user.attributes.emplace(column, row.text(i));
    }
  }
  return user;
}

}  // namespace

auth::SessionRow read_session(const Row& row) {
  return {.id = auth::SessionId(row.text(0)),
          .user_id = row.text(1),
          .active_expires = time_at(row, 2),
          .idle_expires = time_at(row, 3),
          .created_at = time_at(row, 4),
          .family = row.text(5),
          .parent = row.is_null(6) ? std::nullopt : std::optional(auth::SessionId(row.text(6))),
          .last_used_at = time_at(row, 7),
          .address = row.text(8),
          .device = row.text(9)};
}

auth::SessionAndUser read_session_and_user(const Row& row) {
  return {read_session(row), read_user_from(row, kSessionColumns)};
}

auth::RotatedRow read_rotated(const Row& row) {
  auth::RotatedRow rotated{.id = auth::SessionId(row.text(0)),
                           .family = row.text(1),
                           .nonce = {},
                           .idle_expires = time_at(row, 3),
                           .rotated_at = time_at(row, 4),
                           .successor_seen_at = std::nullopt};
  const auto nonce = row.blob(2);
  std::ranges::copy_n(nonce.begin(), static_cast<std::ptrdiff_t>(std::min(nonce.size(), rotated.nonce.size())),
                      rotated.nonce.begin());
  if (!row.is_null(5)) rotated.successor_seen_at = time_at(row, 5);
  return rotated;
}

auth::User read_user(const Row& row) {
  return read_user_from(row, 0);
}

auth::Key read_key(const Row& row) {
  return {.id = row.text(0),
          .user_id = row.text(1),
          .hashed_password = row.is_null(2) ? std::nullopt : std::optional(row.text(2))};
}

}  // namespace gatehouse::store::sqlite
