// One place to read all the SQL in one go.
#include "store/sql/native_statements.hpp"

#include <fmt/format.h>

#include <string_view>

#include "store/sql/rows.hpp"

namespace gatehouse::store::sql {
namespace {

// The user's oldest other logins, beyond the ?3 newest.
constexpr std::string_view kOldestOthers =
    "FROM {session} WHERE user_id = ?1 AND id <> ?2 ORDER BY created_at DESC, id DESC "
    "LIMIT 9223372036854775807 OFFSET ?3";

class Names {
 public:
  explicit Names(const TableNames& tables) : tables_(tables) {}

  /// Fills in {user}, {key}, {session}, {both} and {ids}.
  [[nodiscard]] std::string in(std::string_view statement) const {
    return fmt::format(fmt::runtime(statement), fmt::arg("user", quoted(tables_.user)),
                       fmt::arg("key", quoted(tables_.key)), fmt::arg("session", quoted(tables_.session)),
                       fmt::arg("both", both()), fmt::arg("ids", ids()));
  }

 private:
  static std::string quoted(const std::string& name) { return '"' + name + '"'; }
  static std::string both() { return "s.*, NULL AS " + quoted(std::string(kDivider)) + ", u.*"; }
  static std::string ids() {
    std::string list = "?1";
    for (std::size_t i = 2; i <= kIdsAtOnce; ++i) list += ", ?" + std::to_string(i);
    return list;
  }

  const TableNames& tables_;
};

}  // namespace

NativeStatements::NativeStatements(const TableNames& tables) {
  const Names names(tables);
  const std::string oldest_others(kOldestOthers);

  find_session = names.in("SELECT {both} FROM {session} s JOIN {user} u ON u.id = s.user_id WHERE s.id = ?1");
  find_sessions = names.in("SELECT {both} FROM {session} s JOIN {user} u ON u.id = s.user_id WHERE s.id IN ({ids})");
  find_rotated =
      "SELECT id, family, nonce, idle_expires, rotated_at, successor_seen_at FROM rotated_session WHERE id = ?1";
  sessions_of_user = names.in("SELECT s.* FROM {session} s WHERE s.user_id = ?1 ORDER BY s.created_at, s.id");
  all_sessions = names.in("SELECT s.* FROM {session} s ORDER BY s.created_at, s.id");
  find_user = names.in("SELECT * FROM {user} WHERE id = ?1");
  find_user_by_username = names.in("SELECT * FROM {user} WHERE username = ?1");
  all_users = names.in("SELECT * FROM {user} ORDER BY username");
  find_key = names.in("SELECT id, user_id, hashed_password, expires FROM {key} WHERE id = ?1");
  keys_of_user = names.in("SELECT id, user_id, hashed_password, expires FROM {key} WHERE user_id = ?1 ORDER BY id");

  // MySQL wants a LIMIT in a table of its own.
  end_rotated_of_oldest_others =
      names.in("DELETE FROM rotated_session WHERE family IN (SELECT family FROM (SELECT family " + oldest_others +
               ") AS oldest)");
  end_oldest_others =
      names.in("DELETE FROM {session} WHERE id IN (SELECT id FROM (SELECT id " + oldest_others + ") AS oldest)");
  // Without the old row its expiry is anything: the DELETE that follows finds nothing and the whole is rolled back.
  insert_rotated = names.in(
      "INSERT INTO rotated_session (id, family, nonce, idle_expires, rotated_at) "
      "VALUES (?1, ?2, ?3, coalesce((SELECT idle_expires FROM {session} WHERE id = ?1), 0), ?4)");
  // Strictly later is expired: the exact millisecond still counts.
  extend = names.in(
      "UPDATE {session} SET active_expires = ?3, idle_expires = ?4, last_used_at = ?5 "
      "WHERE id = ?1 AND active_expires = ?2 AND idle_expires >= ?5");
  mark_parent = "UPDATE rotated_session SET successor_seen_at = ?2 WHERE id = ?1 AND successor_seen_at IS NULL";
  clear_parent = names.in("UPDATE {session} SET parent = NULL WHERE id = ?1");
  touch = names.in("UPDATE {session} SET last_used_at = ?2 WHERE id = ?1 AND last_used_at < ?2");

  delete_session = names.in("DELETE FROM {session} WHERE id = ?1");
  delete_rotated_of_family = "DELETE FROM rotated_session WHERE family = ?1";
  delete_family = names.in("DELETE FROM {session} WHERE family = ?1");
  delete_rotated_of_user =
      names.in("DELETE FROM rotated_session WHERE family IN (SELECT family FROM {session} WHERE user_id = ?1)");
  delete_sessions_of_user = names.in("DELETE FROM {session} WHERE user_id = ?1");
  delete_rotated_of_key = names.in(
      "DELETE FROM rotated_session WHERE family IN (SELECT family FROM {session} WHERE user_id = "
      "(SELECT user_id FROM {key} WHERE id = ?1))");
  delete_sessions_of_key = names.in("DELETE FROM {session} WHERE user_id = (SELECT user_id FROM {key} WHERE id = ?1)");
  delete_rotated_of_others = names.in(
      "DELETE FROM rotated_session WHERE family IN "
      "(SELECT family FROM {session} WHERE user_id = ?1 AND family <> ?2)");
  delete_other_sessions = names.in("DELETE FROM {session} WHERE user_id = ?1 AND family <> ?2");
  delete_dead_of_user = names.in("DELETE FROM {session} WHERE user_id = ?1 AND (idle_expires < ?2 OR created_at < ?3)");
  delete_all_rotated = "DELETE FROM rotated_session";
  delete_all_sessions = names.in("DELETE FROM {session}");
  delete_dead_sessions = names.in(
      "DELETE FROM {session} WHERE id IN "
      "(SELECT id FROM (SELECT id FROM {session} WHERE idle_expires < ?1 OR created_at < ?2 LIMIT ?3) AS dead)");
  delete_dead_rotated =
      "DELETE FROM rotated_session WHERE id IN "
      "(SELECT id FROM (SELECT id FROM rotated_session WHERE idle_expires < ?1 LIMIT ?2) AS dead)";

  delete_keys_of_user = names.in("DELETE FROM {key} WHERE user_id = ?1");
  delete_user = names.in("DELETE FROM {user} WHERE id = ?1");
  insert_key = names.in("INSERT INTO {key} (id, user_id, hashed_password, expires) VALUES (?1, ?2, ?3, ?4)");
  update_key_password = names.in("UPDATE {key} SET hashed_password = ?2 WHERE id = ?1");
  rehash_key =
      names.in("UPDATE {key} SET hashed_password = ?4 WHERE id = ?1 AND user_id = ?2 AND hashed_password = ?3");
  delete_key = names.in("DELETE FROM {key} WHERE id = ?1");
  consume_key = names.in(
      "DELETE FROM {key} WHERE id = ?1 AND user_id = ?2 AND expires = ?4 "
      "AND (hashed_password = ?3 OR (hashed_password IS NULL AND ?3 IS NULL))");
}

}  // namespace gatehouse::store::sql
