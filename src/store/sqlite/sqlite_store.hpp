// The store for one machine: an SQLite file in WAL mode that the gateways, the CLI and an administrator's sqlite3 may
// use at the same time.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "auth/store.hpp"
#include "store/table_names.hpp"

namespace gatehouse::store {

namespace sqlite {
class Connection;
class Connections;
struct Statements;
}  // namespace sqlite

struct SqliteOptions {
  std::string path;  ///< of the file; beside it lie its -wal and -shm, and a .lock
  TableNames tables;
  std::chrono::milliseconds busy_timeout{2000};  ///< how long one call waits for others in all
  std::size_t max_readers = 8;                   ///< connections that read at the same time
};

/// Thread-safe. Comes back by itself when the file does.
///
/// Fails: store_unavailable if the file is missing, unreadable, no database, damaged, or locked against reading;
/// store_read_only for writes if it is full, read-only, or locked against writing; store_not_migrated if the tables
/// are missing or of another version; internal if the names of the tables cannot be used.
class SqliteStore final : public auth::Store {
 public:
  /// Never fails and touches no file.
  explicit SqliteStore(SqliteOptions options);
  ~SqliteStore() override;
  SqliteStore(const SqliteStore&) = delete;
  SqliteStore& operator=(const SqliteStore&) = delete;

  auth::Result<std::optional<auth::SessionAndUser>> find_session(const auth::SessionId& id) override;
  auth::Result<std::vector<auth::SessionAndUser>> find_sessions(std::span<const auth::SessionId> ids) override;
  auth::Result<std::optional<auth::RotatedRow>> find_rotated(const auth::SessionId& id) override;
  auth::Result<std::vector<auth::SessionRow>> sessions_of_user(const std::string& user_id) override;
  auth::Result<std::vector<auth::SessionRow>> all_sessions() override;

  auth::Result<void> create_session(const auth::SessionRow& row, std::size_t max_per_user) override;
  auth::Result<void> replace_family(const std::string& family, const auth::SessionRow& row,
                                    std::size_t max_per_user) override;
  auth::Result<auth::RotationOutcome> rotate(const auth::Rotation& rotation,
                                             const std::optional<auth::Presentation>& first) override;
  auth::Result<bool> extend(const auth::SessionId& id, auth::Timestamp old_active, auth::Timestamp new_active,
                            auth::Timestamp new_idle, auth::Timestamp now,
                            const std::optional<auth::Presentation>& first) override;
  auth::Result<void> mark_presented(const auth::Presentation& first) override;
  auth::Result<void> touch(std::span<const auth::LastUse> uses) override;

  auth::Result<std::size_t> delete_session(const auth::SessionId& id) override;
  auth::Result<std::size_t> delete_family(const std::string& family) override;
  auth::Result<std::size_t> delete_sessions_of_user(const std::string& user_id) override;
  auth::Result<std::size_t> delete_other_sessions(const std::string& user_id, const std::string& keep_family) override;
  auth::Result<std::size_t> delete_all_sessions() override;
  auth::Result<std::size_t> delete_dead(auth::Timestamp before, auth::Milliseconds max_lifetime,
                                        std::size_t limit) override;

  auth::Result<void> create_user(const auth::NewUser& user) override;
  auth::Result<std::optional<auth::User>> find_user(const std::string& id) override;
  auth::Result<std::optional<auth::User>> find_user_by_username(const std::string& username) override;
  auth::Result<std::vector<auth::User>> all_users() override;
  auth::Result<void> update_user(const std::string& id, const auth::UserChange& change) override;
  auth::Result<bool> delete_user(const std::string& id) override;

  auth::Result<void> create_key(const auth::Key& key) override;
  auth::Result<std::optional<auth::Key>> find_key(const std::string& id) override;
  auth::Result<std::vector<auth::Key>> keys_of_user(const std::string& user_id) override;
  auth::Result<void> update_key_password(const std::string& id,
                                         const std::optional<std::string>& hashed_password) override;
  auth::Result<void> delete_key(const std::string& id) override;

  auth::Result<auth::SchemaStatus> schema_status() override;
  /// Creates the file (mode 0600, whatever the umask) if there is none; its folder must exist.
  auth::Result<auth::SchemaStatus> migrate() override;

 private:
  template <typename Work>
  auto read(Work work);
  template <typename Work>
  auto write(Work work);
  [[nodiscard]] auth::Result<void> require_current(sqlite::Connection& database) const;
  [[nodiscard]] auth::Result<void> require_usable_names() const;
  [[nodiscard]] auth::Result<void> require_attributes(sqlite::Connection& database,
                                                      const std::map<std::string, std::string>& attributes) const;
  [[nodiscard]] auth::Result<void> write_presentation(sqlite::Connection& database,
                                                      const auth::Presentation& first) const;
  [[nodiscard]] auth::Result<void> create_session_in(sqlite::Connection& database, const auth::SessionRow& row,
                                                     std::size_t max_per_user) const;
  [[nodiscard]] auth::Result<auth::RotationOutcome> rotate_in(sqlite::Connection& database,
                                                              const auth::Rotation& rotation,
                                                              const std::optional<auth::Presentation>& first) const;

  // Constant after construction:
  const TableNames tables_;
  const std::optional<std::string> problem_;  ///< what is wrong with the names
  const int expected_version_;
  const std::unique_ptr<const sqlite::Statements> sql_;

  const std::unique_ptr<sqlite::Connections> connections_;
};

}  // namespace gatehouse::store
