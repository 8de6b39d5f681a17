// One place to read all the SQL in one go.
#include "store/sqlite/statements.hpp"

#include <fmt/format.h>

#include <string_view>

namespace gatehouse::store::sqlite {
namespace {

constexpr std::string_view kSession =
    "s.id, s.user_id, s.active_expires, s.idle_expires, s.created_at, s.family, s.parent, s.last_used_at, s.address, "
    "s.device";
// The user's oldest other logins, beyond the ?3 newest.
constexpr std::string_view kOldestOthers =
    "FROM {session} WHERE user_id = ?1 AND id <> ?2 ORDER BY created_at DESC, id DESC LIMIT -1 OFFSET ?3";

class Names {
 public:
  explicit Names(const TableNames& tables) : tables_(tables) {}

  /// Fills in {user}, {key}, {session}, {columns} and {ids}.
  [[nodiscard]] std::string in(std::string_view statement) const {
    return fmt::format(fmt::runtime(statement), fmt::arg("user", quoted(tables_.user)),
                       fmt::arg("key", quoted(tables_.key)), fmt::arg("session", quoted(tables_.session)),
                       fmt::arg("columns", kSession), fmt::arg("ids", ids()));
  }

 private:
  static std::string quoted(const std::string& name) { return '"' + name + '"'; }
  static std::string ids() {
    std::string list = "?1";
    for (std::size_t i = 2; i <= kIdsAtOnce; ++i) list += ", ?" + std::to_string(i);
    return list;
  }

  const TableNames& tables_;
};

}  // namespace

Statements::Statements(const TableNames& tables) {
  const Names names(tables);
  const std::string oldest_others(kOldestOthers);

  find_session = names.in("SELECT {columns}, u.* FROM {session} s JOIN {user} u ON u.id = s.user_id WHERE s.id = ?1");
  find_sessions =
      names.in("SELECT {columns}, u.* FROM {session} s JOIN {user} u ON u.id = s.user_id WHERE s.id IN ({ids})");
  find_rotated =
      "SELECT id, family, nonce, idle_expires, rotated_at, successor_seen_at FROM rotated_session WHERE id = ?1";
  sessions_of_user = names.in("SELECT {columns} FROM {session} s WHERE s.user_id = ?1 ORDER BY s.created_at, s.id");
  all_sessions = names.in("SELECT {columns} FROM {session} s ORDER BY s.created_at, s.id");
  find_user = names.in("SELECT * FROM {user} WHERE id = ?1");
  find_user_by_username = names.in("SELECT * FROM {user} WHERE username = ?1");
  all_users = names.in("SELECT * FROM {user} ORDER BY username");
  user_columns = "SELECT name FROM pragma_table_info('" + tables.user + "')";
  find_key = names.in("SELECT id, user_id, hashed_password FROM {key} WHERE id = ?1");
  keys_of_user = names.in("SELECT id, user_id, hashed_password FROM {key} WHERE user_id = ?1 ORDER BY id");

  insert_session = names.in(
      "INSERT INTO {session} (id, user_id, active_expires, idle_expires, created_at, family, parent, last_used_at, "
      "address, device) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
  end_rotated_of_oldest_others =
      names.in("DELETE FROM rotated_session WHERE family IN (SELECT family " + oldest_others + ")");
  end_oldest_others = names.in("DELETE FROM {session} WHERE id IN (SELECT id " + oldest_others + ")");
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
  delete_rotated_of_others = names.in(
      "DELETE FROM rotated_session WHERE family IN "
      "(SELECT family FROM {session} WHERE user_id = ?1 AND family <> ?2)");
  delete_other_sessions = names.in("DELETE FROM {session} WHERE user_id = ?1 AND family <> ?2");
  delete_all_rotated = "DELETE FROM rotated_session";
  delete_all_sessions = names.in("DELETE FROM {session}");
  delete_dead_sessions = names.in(
      "DELETE FROM {session} WHERE id IN "
      "(SELECT id FROM {session} WHERE idle_expires < ?1 OR created_at < ?2 LIMIT ?3)");
  delete_dead_rotated =
      "DELETE FROM rotated_session WHERE id IN (SELECT id FROM rotated_session WHERE idle_expires < ?1 LIMIT ?2)";

  user_exists = names.in("SELECT 1 FROM {user} WHERE id = ?1");
  delete_keys_of_user = names.in("DELETE FROM {key} WHERE user_id = ?1");
  delete_user = names.in("DELETE FROM {user} WHERE id = ?1");
  insert_key = names.in("INSERT INTO {key} (id, user_id, hashed_password) VALUES (?1, ?2, ?3)");
  update_key_password = names.in("UPDATE {key} SET hashed_password = ?2 WHERE id = ?1");
  delete_key = names.in("DELETE FROM {key} WHERE id = ?1");
}

}  // namespace gatehouse::store::sqlite
