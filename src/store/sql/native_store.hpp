// auth::Store on our own tables (PRODUCT.md section 7), over any SQL engine.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "store/sql/native_statements.hpp"
#include "store/sql/sql_store.hpp"
#include "store/table_names.hpp"

namespace gatehouse::store::sql {

/// Thread-safe. Fails as auth::Store says; besides with internal if the names of the tables cannot be used.
class NativeStore : public SqlStore {
 public:
  NativeStore(std::unique_ptr<Engine> engine, TableNames tables);

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
  auth::Result<void> update_session_attributes(const auth::SessionId& id,
                                               const std::map<std::string, std::string>& attributes) override;
  auth::Result<void> touch(std::span<const auth::LastUse> uses) override;

  auth::Result<std::size_t> delete_session(const auth::SessionId& id) override;
  auth::Result<std::size_t> delete_family(const std::string& family) override;
  auth::Result<std::size_t> delete_sessions_of_user(const std::string& user_id) override;
  auth::Result<std::size_t> delete_other_sessions(const std::string& user_id, const std::string& keep_family) override;
  auth::Result<std::size_t> delete_all_sessions() override;
  auth::Result<std::size_t> delete_dead(auth::Timestamp before, auth::Milliseconds max_lifetime,
                                        std::size_t limit) override;
  auth::Result<std::size_t> delete_dead_sessions_of_user(const std::string& user_id, auth::Timestamp before,
                                                         auth::Milliseconds max_lifetime) override;

  auth::Result<void> create_user(const auth::NewUser& user) override;
  auth::Result<std::optional<auth::User>> find_user(const std::string& id) override;
  auth::Result<std::optional<auth::User>> find_user_by_username(const std::string& username) override;
  auth::Result<std::vector<auth::User>> all_users() override;
  auth::Result<std::size_t> update_user(const std::string& id, const auth::UserChange& change) override;
  auth::Result<bool> delete_user(const std::string& id) override;

  auth::Result<void> create_key(const auth::Key& key) override;
  auth::Result<std::optional<auth::Key>> find_key(const std::string& id) override;
  auth::Result<std::vector<auth::Key>> keys_of_user(const std::string& user_id) override;
  auth::Result<std::size_t> update_key_password(const std::string& id,
                                                const std::optional<std::string>& hashed_password) override;
  auth::Result<bool> rehash_key(const auth::Key& key, const std::string& hashed_password) override;
  auth::Result<void> delete_key(const std::string& id) override;
  auth::Result<bool> consume_key(const auth::Key& key) override;

 private:
  [[nodiscard]] auth::Result<void> insert_session(Database& database, const auth::SessionRow& row) const;
  [[nodiscard]] auth::Result<bool> insert_successor(Database& database, const auth::Rotation& rotation) const;
  [[nodiscard]] auth::Result<void> create_session_in(Database& database, const auth::SessionRow& row,
                                                     std::size_t max_per_user) const;
  [[nodiscard]] auth::Result<auth::RotationOutcome> rotate_in(Database& database, const auth::Rotation& rotation,
                                                              const std::optional<auth::Presentation>& first) const;
  [[nodiscard]] auth::Result<void> mark_parent(Database& database, const auth::Presentation& first) const;
  [[nodiscard]] auth::Result<void> write_presentation(Database& database, const auth::Presentation& first) const;

  const TableNames tables_;
  const NativeStatements sql_;
};

}  // namespace gatehouse::store::sql
