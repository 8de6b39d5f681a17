// Every fixed statement on our own tables, with the configured names of the tables filled in.
#pragma once

#include <string>

#include "store/table_names.hpp"

namespace gatehouse::store::sql {

/// Immutable after construction.
struct NativeStatements {
  /// Requires names that problem_in() has nothing against.
  explicit NativeStatements(const TableNames& tables);

  // ── reads
  std::string find_session;      ///< ?1 id; a session's columns, kDivider, the user's
  std::string find_sessions;     ///< ?1 … ?kIdsAtOnce ids, unused ones NULL; likewise
  std::string find_rotated;      ///< ?1 id
  std::string sessions_of_user;  ///< ?1 user id
  std::string all_sessions;
  std::string find_user;              ///< ?1 id
  std::string find_user_by_username;  ///< ?1 username
  std::string all_users;
  std::string find_key;      ///< ?1 id
  std::string keys_of_user;  ///< ?1 user id

  // ── sessions
  std::string end_rotated_of_oldest_others;  ///< ?1 user id, ?2 id to keep, ?3 how many others to keep
  std::string end_oldest_others;             ///< likewise
  std::string insert_rotated;  ///< ?1 old id, ?2 family, ?3 nonce, ?4 rotated at; takes over the old row's idle_expires
  std::string extend;          ///< ?1 id, ?2 old active, ?3 new active, ?4 new idle, ?5 now
  std::string mark_parent;     ///< ?1 id of the parent, ?2 seen at
  std::string clear_parent;    ///< ?1 id
  std::string touch;           ///< ?1 id, ?2 at

  std::string delete_dead_of_user;  ///< ?1 user id, ?2 before, ?3 created before

  // ── the ends of sessions; each delete_… has the statement that goes before it
  std::string delete_session;            ///< ?1 id
  std::string delete_rotated_of_family;  ///< ?1 family
  std::string delete_family;             ///< ?1 family
  std::string delete_rotated_of_user;    ///< ?1 user id
  std::string delete_sessions_of_user;   ///< ?1 user id
  std::string delete_rotated_of_key;     ///< ?1 id of a key, whose user's they are
  std::string delete_sessions_of_key;    ///< likewise
  std::string delete_rotated_of_others;  ///< ?1 user id, ?2 family to keep
  std::string delete_other_sessions;     ///< ?1 user id, ?2 family to keep
  std::string delete_all_rotated;
  std::string delete_all_sessions;
  std::string delete_dead_sessions;  ///< ?1 before, ?2 created before, ?3 limit
  std::string delete_dead_rotated;   ///< ?1 before, ?2 limit

  // ── users and keys
  std::string delete_keys_of_user;
  std::string delete_user;
  std::string insert_key;           ///< id, user id, hash, expires
  std::string update_key_password;  ///< ?1 id, ?2 hash
  std::string rehash_key;           ///< ?1 id, ?2 user id, ?3 old hash, ?4 new hash
  std::string delete_key;           ///< ?1 id
  std::string consume_key;          ///< ?1 id, ?2 user id, ?3 hash, ?4 expires
};

}  // namespace gatehouse::store::sql
