// The only place that knows what the columns of our tables mean.
#include "store/sql/rows.hpp"

#include <algorithm>
#include <array>

#include "store/lower_case.hpp"

namespace gatehouse::store::sql {
namespace {

auth::Timestamp time_at(const Row& row, int column) {
  return auth::Timestamp(auth::Milliseconds(row.integer(column)));
}

void read_column(const Row& row, int i, auth::SessionRow& session) {
  const std::string_view column = row.name(i);
  if (column == "id") {
    session.id = auth::SessionId(row.text(i));
  } else if (column == "user_id") {
    session.user_id = row.text(i);
  } else if (column == "active_expires") {
    session.active_expires = time_at(row, i);
  } else if (column == "idle_expires") {
    session.idle_expires = time_at(row, i);
  } else if (column == "created_at") {
    session.created_at = time_at(row, i);
  } else if (column == "family") {
    session.family = row.text(i);
  } else if (column == "parent") {
    if (!row.is_null(i)) session.parent = auth::SessionId(row.text(i));
  } else if (column == "last_used_at") {
    session.last_used_at = time_at(row, i);
  } else if (column == "address") {
    session.address = row.text(i);
  } else if (column == "device") {
    session.device = row.text(i);
  } else {
    session.attributes.emplace(column, row.text(i));
  }
}

void read_column(const Row& row, int i, std::string_view column, auth::User& user) {
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

int after_divider(const Row& row) {
  int i = 0;
  while (i < row.column_count() && row.name(i) != kDivider) ++i;
  return i + 1;
}

auth::SessionRow empty_session() {
  return {.id = auth::SessionId({}),
          .user_id = {},
          .active_expires = {},
          .idle_expires = {},
          .created_at = {},
          .family = {},
          .parent = std::nullopt,
          .last_used_at = {},
          .address = {},
          .device = {}};
}

}  // namespace

auth::SessionRow read_session(const Row& row) {
  auth::SessionRow session = empty_session();
  for (int i = 0; i < row.column_count() && row.name(i) != kDivider; ++i) read_column(row, i, session);
  return session;
}

auth::SessionAndUser read_session_and_user(const Row& row) {
  auth::SessionAndUser both{read_session(row), {}};
  for (int i = after_divider(row); i < row.column_count(); ++i) read_column(row, i, row.name(i), both.user);
  return both;
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
  auth::User user;
  for (int i = 0; i < row.column_count(); ++i) read_column(row, i, row.name(i), user);
  return user;
}

auth::Key read_key(const Row& row) {
  auth::Key key{.id = row.text(0), .user_id = row.text(1), .hashed_password = {}};
  if (!row.is_null(2)) key.hashed_password = row.text(2);
  if (!row.is_null(3)) key.expires = time_at(row, 3);
  key.primary = row.column_count() > 4 && row.integer(4) != 0;
  return key;
}

// ── Lucia's

namespace {

/// A column "disabled" is another program's: what it holds is not ours to define, so only a clear "no" lets in.
bool says_disabled(const std::string& text) {
  const std::string lower = lower_case(text);
  constexpr std::array<std::string_view, 7> kNo{"", "0", "f", "false", "n", "no", "off"};
  return std::ranges::find(kNo, lower) == kNo.end();
}

void read_lucia_column(const Row& row, int i, auth::SessionRow& session) {
  const std::string column = lower_case(row.name(i));
  if (column == "id") {
    session.id = auth::SessionId(row.text(i));
    session.family = session.id.text();
  } else if (column == "user_id") {
    session.user_id = row.text(i);
  } else if (column == "active_expires") {
    session.active_expires = time_at(row, i);
  } else if (column == "idle_expires") {
    session.idle_expires = time_at(row, i);
  } else {
    session.attributes.emplace(row.name(i), row.text(i));
  }
}

void read_lucia_column(const Row& row, int i, auth::User& user) {
  // MySQL's columns have no case, whatever the application wrote.
  constexpr std::array<std::string_view, 5> kKnown{"id", "username", "name", "email", "roles"};
  const std::string column = lower_case(row.name(i));
  if (column == "disabled") {
    user.disabled = says_disabled(row.text(i));
  } else if (std::ranges::find(kKnown, column) != kKnown.end()) {
    read_column(row, i, column, user);
  } else {
    user.attributes.emplace(row.name(i), row.text(i));
  }
}

auth::User read_lucia_user_from(const Row& row, int first) {
  auth::User user;
  for (int i = first; i < row.column_count(); ++i) read_lucia_column(row, i, user);
  return user;
}

}  // namespace

auth::SessionRow read_lucia_session(const Row& row) {
  auth::SessionRow session = empty_session();
  for (int i = 0; i < row.column_count() && row.name(i) != kDivider; ++i) read_lucia_column(row, i, session);
  return session;
}

auth::SessionAndUser read_lucia_session_and_user(const Row& row) {
  return {read_lucia_session(row), read_lucia_user_after_divider(row)};
}

auth::User read_lucia_user(const Row& row) {
  return read_lucia_user_from(row, 0);
}

auth::User read_lucia_user_after_divider(const Row& row) {
  return read_lucia_user_from(row, after_divider(row));
}

}  // namespace gatehouse::store::sql
