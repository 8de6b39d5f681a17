// The port behind which rows are kept: Lucia's adapter, in C++. Small, synchronous, thread-safe.
//
// To implement a store, satisfy this header and tests/contract/store_contract.hpp. Reads give nullopt or an
// empty list for unknown ids; deletes never complain of a missing row; every call is all or nothing. Ids are
// compared byte for byte, whatever the database's collation. A store that cannot look fails with
// store_unavailable (or store_not_migrated): never with "absent". A store that can read but not write fails its
// writes with store_read_only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "auth/error.hpp"
#include "auth/session.hpp"
#include "auth/user.hpp"

namespace gatehouse::auth {

/// One rotation, all of it or nothing.
struct Rotation {
  SessionId old_id;
  Nonce nonce{};
  SessionRow successor;  ///< its family, created_at and user are the old row's; parent = old_id
  Timestamp rotated_at;
};

enum class RotationOutcome {
  rotated,          ///< we made the successor
  already_rotated,  ///< somebody else did: read rotated_session for the nonce
  gone,             ///< the old row is gone: logged out meanwhile; nothing was written
};

/// The first presentation of a successor: clears its parent and starts the grace of the id it succeeded.
struct Presentation {
  SessionId id;
  SessionId parent;
  Timestamp seen_at;
};

struct NewUser {
  User user;
  std::optional<Key> key;  ///< written with the user, or neither is
};

/// Changes to a user; nullopt leaves a column alone.
struct UserChange {
  std::optional<std::string> username = {};
  std::optional<std::string> name = {};
  std::optional<std::string> email = {};
  std::optional<std::vector<std::string>> roles = {};
  std::optional<bool> disabled = {};
  std::map<std::string, std::string> attributes = {};  ///< further columns; one that is not there: invalid_attribute
};

struct LastUse {
  SessionId id;
  Timestamp at;
};

/// How the store's tables stand against this program.
struct SchemaStatus {
  int version = 0;  ///< 0: no tables of ours
  int expected = 0;
  /// What is not as it must be, a sentence each: "table auth_session is missing". Empty: nothing.
  std::vector<std::string> problems = {};
  [[nodiscard]] bool is_current() const { return version == expected && problems.empty(); }
};

class Store {
 public:
  virtual ~Store() = default;

  // ── sessions ────────────────────────────────────────────────────────────────────────────────────────────────────
  /// Reads a live row together with its user, in one statement. A row whose user is missing is absent.
  [[nodiscard]] virtual Result<std::optional<SessionAndUser>> find_session(const SessionId& id) = 0;
  /// The same for many ids in as few statements as the engine likes; unknown ids are left out, order is free.
  [[nodiscard]] virtual Result<std::vector<SessionAndUser>> find_sessions(std::span<const SessionId> ids) = 0;
  [[nodiscard]] virtual Result<std::optional<RotatedRow>> find_rotated(const SessionId& id) = 0;
  /// Returns every live row of a user, or of everybody, dead ones too, oldest login first.
  [[nodiscard]] virtual Result<std::vector<SessionRow>> sessions_of_user(const std::string& user_id) = 0;
  [[nodiscard]] virtual Result<std::vector<SessionRow>> all_sessions() = 0;

  /// Writes a new session. With `max_per_user` > 0 the user's oldest other sessions beyond that number end in the
  /// same transaction. Fails: invalid_user_id (no such user), duplicate_session_id, invalid_attribute.
  [[nodiscard]] virtual Result<void> create_session(const SessionRow& row, std::size_t max_per_user) = 0;
  /// The same for a login over an old session: ends a family first, with its rotated ids, in the same transaction. The
  /// family is not counted among the user's others; it may be anybody's, or not be there.
  [[nodiscard]] virtual Result<void> replace_family(const std::string& family, const SessionRow& row,
                                                    std::size_t max_per_user) = 0;
  /// Replaces a live row by its successor. In this order, in one transaction: INSERT rotated_session (a duplicate
  /// means already_rotated), INSERT the successor, DELETE the old row (0 rows: gone, everything is rolled back).
  /// `first`: the old row's own first presentation, written in the same transaction.
  [[nodiscard]] virtual Result<RotationOutcome> rotate(const Rotation& rotation,
                                                       const std::optional<Presentation>& first) = 0;
  /// Moves both expiries of a live row, only if active_expires is still `old_active` and it is not dead at `now`;
  /// also sets last_used_at = now. Returns false if no row changed (gone, or somebody else moved it).
  [[nodiscard]] virtual Result<bool> extend(const SessionId& id, Timestamp old_active, Timestamp new_active,
                                            Timestamp new_idle, Timestamp now,
                                            const std::optional<Presentation>& first) = 0;
  /// Sets successor_seen_at of the parent where it is NULL and clears the row's parent. Missing rows are no error.
  [[nodiscard]] virtual Result<void> mark_presented(const Presentation& first) = 0;
  /// Writes further columns of a live row. Fails: invalid_session_id (gone), invalid_attribute.
  [[nodiscard]] virtual Result<void> update_session_attributes(
      const SessionId& id, const std::map<std::string, std::string>& attributes) = 0;
  /// Writes last_used_at where it is older; ids that are gone are skipped.
  [[nodiscard]] virtual Result<void> touch(std::span<const LastUse> uses) = 0;

  /// Each returns the number of live sessions deleted. A family's rotated ids go with it.
  [[nodiscard]] virtual Result<std::size_t> delete_session(const SessionId& id) = 0;
  [[nodiscard]] virtual Result<std::size_t> delete_family(const std::string& family) = 0;
  [[nodiscard]] virtual Result<std::size_t> delete_sessions_of_user(const std::string& user_id) = 0;
  [[nodiscard]] virtual Result<std::size_t> delete_other_sessions(const std::string& user_id,
                                                                  const std::string& keep_family) = 0;
  [[nodiscard]] virtual Result<std::size_t> delete_all_sessions() = 0;
  /// Deletes the live rows of a user that delete_dead would.
  [[nodiscard]] virtual Result<std::size_t> delete_dead_sessions_of_user(const std::string& user_id, Timestamp before,
                                                                         Milliseconds max_lifetime) = 0;
  /// Deletes at most `limit` rows whose idle_expires (or, if max_lifetime > 0, created_at + max_lifetime) lies before
  /// `before`, rotated rows likewise. Returns how many rows of both tables went.
  [[nodiscard]] virtual Result<std::size_t> delete_dead(Timestamp before, Milliseconds max_lifetime,
                                                        std::size_t limit) = 0;

  // ── users and keys ──────────────────────────────────────────────────────────────────────────────────────────────
  /// Fails: duplicate_user (id or username), duplicate_key_id, invalid_attribute. Nothing is written then.
  [[nodiscard]] virtual Result<void> create_user(const NewUser& user) = 0;
  [[nodiscard]] virtual Result<std::optional<User>> find_user(const std::string& id) = 0;
  [[nodiscard]] virtual Result<std::optional<User>> find_user_by_username(const std::string& username) = 0;
  [[nodiscard]] virtual Result<std::vector<User>> all_users() = 0;  ///< ordered by username
  /// A change that disables ends the user's sessions in the same transaction. Returns how many ended.
  /// Fails: invalid_user_id, duplicate_user, invalid_attribute.
  [[nodiscard]] virtual Result<std::size_t> update_user(const std::string& id, const UserChange& change) = 0;
  /// Deletes the user with all keys, sessions and rotated ids, in one transaction. Returns false if there was none.
  [[nodiscard]] virtual Result<bool> delete_user(const std::string& id) = 0;

  /// Fails: duplicate_key_id, invalid_user_id, invalid_attribute (a single-use key where the tables have none).
  [[nodiscard]] virtual Result<void> create_key(const Key& key) = 0;
  [[nodiscard]] virtual Result<std::optional<Key>> find_key(const std::string& id) = 0;
  [[nodiscard]] virtual Result<std::vector<Key>> keys_of_user(const std::string& user_id) = 0;
  /// Writes a password, or none, and ends every session of the key's user in the same transaction. Returns how many
  /// ended. Fails: invalid_key_id.
  [[nodiscard]] virtual Result<std::size_t> update_key_password(const std::string& id,
                                                                const std::optional<std::string>& hashed_password) = 0;
  /// Writes the same password hashed anew, if the key still has the user and the hash that it was read with; ends no
  /// session. Returns false otherwise.
  [[nodiscard]] virtual Result<bool> rehash_key(const Key& key, const std::string& hashed_password) = 0;
  /// Leaves a primary key alone, silently (Lucia 1.x).
  [[nodiscard]] virtual Result<void> delete_key(const std::string& id) = 0;
  /// Deletes a single-use key if it still is as it was read: same user, password and expiry. Of any number of callers
  /// one gets true.
  [[nodiscard]] virtual Result<bool> consume_key(const Key& key) = 0;

  // ── operations ──────────────────────────────────────────────────────────────────────────────────────────────────
  [[nodiscard]] virtual Result<SchemaStatus> schema_status() = 0;
  /// Creates or upgrades the tables, one numbered step a transaction; running it again changes nothing.
  [[nodiscard]] virtual Result<SchemaStatus> migrate() = 0;
};

}  // namespace gatehouse::auth
