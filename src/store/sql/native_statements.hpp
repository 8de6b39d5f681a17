// Every fixed statement of the SQLite store, with the configured names of the tables filled in.
#pragma once

#include <string>

#include "store/table_names.hpp"

namespace gatehouse::store::sqlite {

/// Immutable after construction.
struct Statements {
  /// Requires names that problem_in() has nothing against.
  explicit Statements(const TableNames& tables);

  // ── reads
  // ───────────────────────────────────────────────────────────────────────────────────────────────────────────
  std::string find_session;      ///< ?1 id; a session's columns, then the user's
  std::string find_sessions;     ///< ?1 … ?kIdsAtOnce ids, unused ones NULL; likewise
  std::string find_rotated;      ///< ?1 id
  std::string sessions_of_user;  ///< ?1 user id
  std::string all_sessions;
  std::string find_user;              ///< ?1 id
  std::string find_user_by_username;  ///< ?1 username
  std::string all_users;
  std::string user_columns;  ///< names of the columns that can be written
  std::string find_key;      ///< ?1 id
  std::string keys_of_user;  ///< ?1 user id

  // ── sessions
  // ────────────────────────────────────────────────────────────────────────────────────────────────────────
  std::string insert_session;                ///< the ten columns
  std::string end_rotated_of_oldest_others;  ///< ?1 user id, ?2 id to keep, ?3 how many others to keep
  std::string end_oldest_others;             ///< likewise
  std::string insert_rotated;  ///< ?1 old id, ?2 family, ?3 nonce, ?4 rotated at; takes over the old row's idle_expires
  std::string extend;          ///< ?1 id, ?2 old active, ?3 new active, ?4 new idle, ?5 now
  std::string mark_parent;     ///< ?1 id of the parent, ?2 seen at
  std::string clear_parent;    ///< ?1 id
  std::string touch;           ///< ?1 id, ?2 at

  // ── the ends of sessions; each delete_… has the statement that goes before it
  // ───────────────────────────────────────
  std::string delete_session;            ///< ?1 id
  std::string delete_rotated_of_family;  ///< ?1 family
  std::string delete_family;             ///< ?1 family
  std::string delete_rotated_of_user;    ///< ?1 user id
  std::string delete_sessions_of_user;   ///< ?1 user id
  std::string delete_rotated_of_others;  ///< ?1 user id, ?2 family to keep
  std::string delete_other_sessions;     ///< ?1 user id, ?2 family to keep
  std::string delete_all_rotated;
  std::string delete_all_sessions;
  std::string delete_dead_sessions;  ///< ?1 before, ?2 created before, ?3 limit
  std::string delete_dead_rotated;   ///< ?1 before, ?2 limit

  // ── users and keys
  // ──────────────────────────────────────────────────────────────────────────────────────────────────
  std::string user_exists;  ///< ?1 id
  std::string delete_keys_of_user;
  std::string delete_user;
  std::string insert_key;           ///< the three columns
  std::string update_key_password;  ///< ?1 id, ?2 hash
  std::string delete_key;           ///< ?1 id
};

/// How many ids one SELECT looks up.
inline constexpr std::size_t kIdsAtOnce = 64;

}  // namespace gatehouse::store::sqlite
