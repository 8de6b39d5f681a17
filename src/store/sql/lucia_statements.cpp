// One place to read all the SQL in one go.
#include "store/sql/lucia_statements.hpp"

#include <fmt/format.h>

#include <string_view>

#include "store/sql/rows.hpp"

namespace gatehouse::store::sql {
namespace {

// An expiry below this is in seconds: some other program's, and not dead because we cannot read it.
constexpr std::string_view kLeastMilliseconds = "100000000000";

class Names {
 public:
  Names(const LuciaTables& tables, const Engine& engine) : names_(tables.names), engine_(engine) {}

  /// Fills in {user}, {key}, {session}, {both}, {divider}, {ids} and the exact conditions {id_1}: the id is ?1, {id_2},
  /// {user_1}: the user_id is ?1, {user_2}, {hash_3}.
  [[nodiscard]] std::string in(std::string_view statement) const {
    return fmt::format(
        fmt::runtime(statement), fmt::arg("user", quoted(names_.user)), fmt::arg("key", quoted(names_.key)),
        fmt::arg("session", quoted(names_.session)), fmt::arg("divider", "NULL AS " + quoted(kDivider)),
        fmt::arg("both", "s.*, NULL AS " + quoted(kDivider) + ", u.*"), fmt::arg("ids", ids()),
        fmt::arg("id_1", engine_.exactly("id", "?1")), fmt::arg("id_2", engine_.exactly("id", "?2")),
        fmt::arg("user_1", engine_.exactly("user_id", "?1")), fmt::arg("user_2", engine_.exactly("user_id", "?2")),
        fmt::arg("hash_3", engine_.exactly("hashed_password", "?3")), fmt::arg("least", kLeastMilliseconds));
  }

 private:
  static std::string quoted(std::string_view name) { return '"' + std::string(name) + '"'; }
  static std::string ids() {
    std::string list = "?1";
    for (std::size_t i = 2; i <= kIdsAtOnce; ++i) list += ", ?" + std::to_string(i);
    return list;
  }

  const TableNames& names_;
  const Engine& engine_;
};

}  // namespace

LuciaTables lucia_tables(TableSchema schema, const TableNames& configured) {
  if (schema == TableSchema::lucia_v1) return {{"auth_user", "auth_key", "auth_session"}, true};
  return {configured, false};
}

Schema lucia_schema(const LuciaTables& tables) {
  TableShape key{tables.names.key, {"id", "user_id", "hashed_password"}};
  if (tables.has_single_use_keys) key.columns.insert(key.columns.end(), {"primary_key", "expires"});
  return {{{tables.names.user, {"id"}},
           std::move(key),
           {tables.names.session, {"id", "user_id", "active_expires", "idle_expires"}}},
          {}};
}

LuciaStatements::LuciaStatements(const LuciaTables& tables, const Engine& engine) {
  const Names names(tables, engine);
  const bool v1 = tables.has_single_use_keys;

  find_session = names.in("SELECT {both} FROM {session} s JOIN {user} u ON u.id = s.user_id WHERE s.id = ?1");
  find_sessions = names.in("SELECT {both} FROM {session} s JOIN {user} u ON u.id = s.user_id WHERE s.id IN ({ids})");
  sessions_of_user = names.in("SELECT * FROM {session} WHERE user_id = ?1 ORDER BY active_expires, id");
  all_sessions = names.in("SELECT * FROM {session} ORDER BY active_expires, id");
  find_user = names.in("SELECT * FROM {user} WHERE id = ?1");
  users_by_key = names.in("SELECT k.id, {divider}, u.* FROM {key} k JOIN {user} u ON u.id = k.user_id WHERE k.id = ?1");
  users_by_name = names.in("SELECT * FROM {user} WHERE username = ?1");
  all_users = names.in("SELECT * FROM {user}");
  const std::string key_columns =
      v1 ? "id, user_id, hashed_password, expires, primary_key" : "id, user_id, hashed_password, NULL, 0";
  find_key = names.in("SELECT " + key_columns + " FROM {key} WHERE id = ?1");
  keys_of_user = names.in("SELECT " + key_columns + " FROM {key} WHERE user_id = ?1 ORDER BY id");

  end_oldest_others = names.in(
      "DELETE FROM {session} WHERE id IN (SELECT id FROM (SELECT id FROM {session} WHERE {user_1} AND NOT ({id_2}) "
      "ORDER BY active_expires DESC, id DESC LIMIT 9223372036854775807 OFFSET ?3) AS oldest)");
  // Strictly later is expired: the exact millisecond still counts.
  extend = names.in(
      "UPDATE {session} SET active_expires = ?3, idle_expires = ?4 "
      "WHERE {id_1} AND active_expires = ?2 AND idle_expires >= ?5");
  delete_session = names.in("DELETE FROM {session} WHERE {id_1}");
  delete_sessions_of_user = names.in("DELETE FROM {session} WHERE {user_1}");
  delete_sessions_of_key = names.in("DELETE FROM {session} WHERE user_id = (SELECT user_id FROM {key} WHERE {id_1})");
  delete_other_sessions = names.in("DELETE FROM {session} WHERE {user_1} AND NOT ({id_2})");
  delete_all_sessions = names.in("DELETE FROM {session}");
  delete_dead = names.in(
      "DELETE FROM {session} WHERE id IN (SELECT id FROM (SELECT id FROM {session} "
      "WHERE idle_expires < ?1 AND idle_expires >= {least} LIMIT ?2) AS dead)");
  delete_dead_of_user =
      names.in("DELETE FROM {session} WHERE {user_1} AND idle_expires < ?2 AND idle_expires >= {least}");

  delete_keys_of_user = names.in("DELETE FROM {key} WHERE {user_1}");
  delete_user = names.in("DELETE FROM {user} WHERE {id_1}");
  insert_key =
      names.in(v1 ? "INSERT INTO {key} (id, user_id, hashed_password, expires, primary_key) "
                    "SELECT ?1, id, ?3, ?4, ?5 FROM {user} WHERE {id_2}"
                  : "INSERT INTO {key} (id, user_id, hashed_password) SELECT ?1, id, ?3 FROM {user} WHERE {id_2}");
  update_key_password = names.in("UPDATE {key} SET hashed_password = ?2 WHERE {id_1}");
  rehash_key = names.in("UPDATE {key} SET hashed_password = ?4 WHERE {id_1} AND {user_2} AND ({hash_3})");
  delete_key = names.in(v1 ? "DELETE FROM {key} WHERE {id_1} AND primary_key = 0" : "DELETE FROM {key} WHERE {id_1}");
  consume_key = names.in(
      "DELETE FROM {key} WHERE {id_1} AND {user_2} AND expires = ?4 "
      "AND (({hash_3}) OR (hashed_password IS NULL AND ?3 IS NULL))");
}

}  // namespace gatehouse::store::sql
