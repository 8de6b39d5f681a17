// A store that forgets: for tests and for programs that embed the library. One mutex over a few maps; it also is
// the shortest answer to what the contract in auth/store.hpp means.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "auth/store.hpp"

namespace gatehouse::store {

/// Thread-safe. Migrated from the start; never fails for reasons of its environment.
class MemoryStore final : public auth::Store {
 public:
  /// The further columns of the user and of the session table; they read "" where nothing was written.
  explicit MemoryStore(std::set<std::string> user_columns = {}, std::set<std::string> session_columns = {});

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
  auth::Result<std::size_t> delete_dead_sessions_of_user(const std::string& user_id, auth::Timestamp before,
                                                         auth::Milliseconds max_lifetime) override;
  auth::Result<std::size_t> delete_dead(auth::Timestamp before, auth::Milliseconds max_lifetime,
                                        std::size_t limit) override;

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

  auth::Result<auth::SchemaStatus> schema_status() override;
  auth::Result<auth::SchemaStatus> migrate() override;

 private:
  using Sessions = std::map<auth::SessionId, auth::SessionRow>;

  // Each of these requires that mutex_ is held.
  [[nodiscard]] std::optional<auth::SessionAndUser> with_user(const auth::SessionId& id) const;
  [[nodiscard]] const auth::User* user_named(const std::string& username) const;
  void note_presentation(const auth::Presentation& first);
  auth::Result<void> insert(const auth::SessionRow& row, std::size_t max_per_user);
  std::size_t end_family(const std::string& family);
  void end_oldest_others(const auth::SessionRow& newest, std::size_t keep);
  template <typename Condition>
  std::size_t end_families_where(Condition condition);

  const std::set<std::string> user_columns_;
  const std::set<std::string> session_columns_;

  std::mutex mutex_;
  // Guarded by mutex_:
  Sessions sessions_;
  std::map<auth::SessionId, auth::RotatedRow> rotated_;
  std::map<std::string, auth::User> users_;
  std::map<std::string, auth::Key> keys_;
};

}  // namespace gatehouse::store
