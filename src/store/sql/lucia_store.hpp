// auth::Store on the tables of a Node application that uses Lucia 1.x or 2.x, over any SQL engine. They stay as they
// are: a session has no family (it is its own), no rotated ids, no time of its login, no address; a user has the
// columns that the application gave it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "store/sql/lucia_statements.hpp"
#include "store/sql/sql_store.hpp"
#include "store/table_names.hpp"

namespace gatehouse::store::sql {

/// Thread-safe. Fails as auth::Store says; besides with internal if the names of the tables cannot be used, and with
/// invalid_argument where these tables cannot hold what is asked for (rotate). Requires plain token storage and
/// Renewal::extend.
///
/// A user's name is the identifier of its key "username:…", or the column `username` where there is one. `name`,
/// `email` and `roles` are columns too, if they are there; `disabled` lets nobody in unless it is NULL, 0, false, no or
/// empty.
class LuciaStore final : public SqlStore {
 public:
  LuciaStore(std::unique_ptr<Engine> engine, const LuciaTables& tables);

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
  [[nodiscard]] auth::Result<void> create_session_in(Database& database, const auth::SessionRow& row,
                                                     std::size_t max_per_user) const;
  [[nodiscard]] auth::Result<void> insert_key(Database& database, const auth::Key& key) const;
  /// The columns of a user that there are to be written, what is set and cannot be is invalid_attribute.
  [[nodiscard]] auth::Result<void> update_user_in(Database& database, const std::string& id,
                                                  const auth::UserChange& change) const;
  [[nodiscard]] auth::Result<std::vector<std::string>> user_columns(Database& database) const;

  const LuciaTables tables_;
  const LuciaStatements sql_;
};

}  // namespace gatehouse::store::sql
