// Every fixed statement on Lucia's tables.
#pragma once

#include <string>

#include "store/sql/engine.hpp"
#include "store/table_names.hpp"

namespace gatehouse::store::sql {

/// Lucia's tables of one version. Immutable.
struct LuciaTables {
  TableNames names;
  bool has_single_use_keys = false;  ///< 1.x: auth_key has primary_key and expires
};

/// The fixed names of 1.x, or the configured ones of 2.x.
[[nodiscard]] LuciaTables lucia_tables(TableSchema schema, const TableNames& configured);
/// What Lucia's documentation says these tables have; they are not ours to make.
[[nodiscard]] Schema lucia_schema(const LuciaTables& tables);

/// Immutable after construction. Ids are compared by whatever collation the columns have where rows are read, for the
/// reader compares their bytes afterwards; where rows are written the statements do.
struct LuciaStatements {
  /// Requires names that problem_in() has nothing against.
  LuciaStatements(const LuciaTables& tables, const Engine& engine);

  // ── reads
  std::string find_session;      ///< ?1 id; a session's columns, kDivider, the user's
  std::string find_sessions;     ///< ?1 … ?kIdsAtOnce ids, unused ones NULL; likewise
  std::string sessions_of_user;  ///< ?1 user id; oldest first
  std::string all_sessions;
  std::string find_user;      ///< ?1 id
  std::string users_by_key;   ///< ?1 id of a key; the key's id, kDivider, the user's columns
  std::string users_by_name;  ///< ?1 username; only where the user table has such a column
  std::string all_users;
  std::string find_key;      ///< ?1 id
  std::string keys_of_user;  ///< ?1 user id

  // ── writes
  std::string end_oldest_others;        ///< ?1 user id, ?2 id to keep, ?3 how many others to keep
  std::string extend;                   ///< ?1 id, ?2 old active, ?3 new active, ?4 new idle, ?5 now
  std::string delete_session;           ///< ?1 id
  std::string delete_sessions_of_user;  ///< ?1 user id
  std::string delete_sessions_of_key;   ///< ?1 id of a key, whose user's they are
  std::string delete_other_sessions;    ///< ?1 user id, ?2 id to keep
  std::string delete_all_sessions;
  std::string delete_dead;          ///< ?1 before, ?2 limit
  std::string delete_dead_of_user;  ///< ?1 user id, ?2 before
  std::string delete_keys_of_user;  ///< ?1 user id
  std::string delete_user;          ///< ?1 id
  std::string insert_key;           ///< ?1 id, ?2 user id, ?3 hash; 1.x: ?4 expires, ?5 primary
  std::string update_key_password;  ///< ?1 id, ?2 hash
  std::string rehash_key;           ///< ?1 id, ?2 user id, ?3 old hash, ?4 new hash
  std::string delete_key;           ///< ?1 id; 1.x: not a primary one
  std::string consume_key;          ///< 1.x: ?1 id, ?2 user id, ?3 hash, ?4 expires
};

}  // namespace gatehouse::store::sql
