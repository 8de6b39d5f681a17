// A store whose n-th call fails, for tests of what stands on a store: "fail the n-th call, n = 1, 2, 3 …".
#pragma once

#include <cstddef>
#include <functional>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "auth/store.hpp"

namespace gatehouse::contract {

/// Passes every call on to `inner`, except those that are to fail: these never reach it. Thread-safe if `inner` is,
/// which must outlive this.
class FailingStore final : public auth::Store {
 public:
  explicit FailingStore(auth::Store& inner) : inner_(inner) {}

  /// Only the n-th call from now on fails (1 is the next one).
  void fail_nth(std::size_t n, auth::ErrorCode code) {
    plan({.first = n, .last = n, .only_writes = false, .code = code});
  }
  /// The n-th call from now on and every later one fails: the store went away in the middle.
  void fail_from_nth(std::size_t n, auth::ErrorCode code) { plan({.first = n, .only_writes = false, .code = code}); }
  /// Every call from now on fails.
  void fail_all(auth::ErrorCode code) { plan({.only_writes = false, .code = code}); }
  /// Every write from now on fails, reads are answered.
  void fail_writes(auth::ErrorCode code) { plan({.only_writes = true, .code = code}); }
  /// Every call from now on throws, as no store may: `thrower` does it.
  void throw_always(std::function<void()> thrower) {
    const std::scoped_lock lock(mutex_);
    thrower_ = std::move(thrower);
  }
  void fail_nothing() {
    const std::scoped_lock lock(mutex_);
    plan_.reset();
    thrower_ = nullptr;
  }
  /// The number of calls since this was made or told how to fail.
  [[nodiscard]] std::size_t calls() const {
    const std::scoped_lock lock(mutex_);
    return calls_;
  }

  auth::Result<std::optional<auth::SessionAndUser>> find_session(const auth::SessionId& id) override {
    return read([&] { return inner_.find_session(id); });
  }
  auth::Result<std::vector<auth::SessionAndUser>> find_sessions(std::span<const auth::SessionId> ids) override {
    return read([&] { return inner_.find_sessions(ids); });
  }
  auth::Result<std::optional<auth::RotatedRow>> find_rotated(const auth::SessionId& id) override {
    return read([&] { return inner_.find_rotated(id); });
  }
  auth::Result<std::vector<auth::SessionRow>> sessions_of_user(const std::string& user_id) override {
    return read([&] { return inner_.sessions_of_user(user_id); });
  }
  auth::Result<std::vector<auth::SessionRow>> all_sessions() override {
    return read([&] { return inner_.all_sessions(); });
  }

  auth::Result<void> create_session(const auth::SessionRow& row, std::size_t max_per_user) override {
    return write([&] { return inner_.create_session(row, max_per_user); });
  }
  auth::Result<void> replace_family(const std::string& family, const auth::SessionRow& row,
                                    std::size_t max_per_user) override {
    return write([&] { return inner_.replace_family(family, row, max_per_user); });
  }
  auth::Result<auth::RotationOutcome> rotate(const auth::Rotation& rotation,
                                             const std::optional<auth::Presentation>& first) override {
    return write([&] { return inner_.rotate(rotation, first); });
  }
  auth::Result<bool> extend(const auth::SessionId& id, auth::Timestamp old_active, auth::Timestamp new_active,
                            auth::Timestamp new_idle, auth::Timestamp now,
                            const std::optional<auth::Presentation>& first) override {
    return write([&] { return inner_.extend(id, old_active, new_active, new_idle, now, first); });
  }
  auth::Result<void> mark_presented(const auth::Presentation& first) override {
    return write([&] { return inner_.mark_presented(first); });
  }
  auth::Result<void> update_session_attributes(const auth::SessionId& id,
                                               const std::map<std::string, std::string>& attributes) override {
    return write([&] { return inner_.update_session_attributes(id, attributes); });
  }
  auth::Result<void> touch(std::span<const auth::LastUse> uses) override {
    return write([&] { return inner_.touch(uses); });
  }

  auth::Result<std::size_t> delete_session(const auth::SessionId& id) override {
    return write([&] { return inner_.delete_session(id); });
  }
  auth::Result<std::size_t> delete_family(const std::string& family) override {
    return write([&] { return inner_.delete_family(family); });
  }
  auth::Result<std::size_t> delete_sessions_of_user(const std::string& user_id) override {
    return write([&] { return inner_.delete_sessions_of_user(user_id); });
  }
  auth::Result<std::size_t> delete_other_sessions(const std::string& user_id, const std::string& keep_family) override {
    return write([&] { return inner_.delete_other_sessions(user_id, keep_family); });
  }
  auth::Result<std::size_t> delete_all_sessions() override {
    return write([&] { return inner_.delete_all_sessions(); });
  }
  auth::Result<std::size_t> delete_dead_sessions_of_user(const std::string& user_id, auth::Timestamp before,
                                                         auth::Milliseconds max_lifetime) override {
    return write([&] { return inner_.delete_dead_sessions_of_user(user_id, before, max_lifetime); });
  }
  auth::Result<std::size_t> delete_dead(auth::Timestamp before, auth::Milliseconds max_lifetime,
                                        std::size_t limit) override {
    return write([&] { return inner_.delete_dead(before, max_lifetime, limit); });
  }

  auth::Result<void> create_user(const auth::NewUser& user) override {
    return write([&] { return inner_.create_user(user); });
  }
  auth::Result<std::optional<auth::User>> find_user(const std::string& id) override {
    return read([&] { return inner_.find_user(id); });
  }
  auth::Result<std::optional<auth::User>> find_user_by_username(const std::string& username) override {
    return read([&] { return inner_.find_user_by_username(username); });
  }
  auth::Result<std::vector<auth::User>> all_users() override {
    return read([&] { return inner_.all_users(); });
  }
  auth::Result<std::size_t> update_user(const std::string& id, const auth::UserChange& change) override {
    return write([&] { return inner_.update_user(id, change); });
  }
  auth::Result<bool> delete_user(const std::string& id) override {
    return write([&] { return inner_.delete_user(id); });
  }

  auth::Result<void> create_key(const auth::Key& key) override {
    return write([&] { return inner_.create_key(key); });
  }
  auth::Result<std::optional<auth::Key>> find_key(const std::string& id) override {
    return read([&] { return inner_.find_key(id); });
  }
  auth::Result<std::vector<auth::Key>> keys_of_user(const std::string& user_id) override {
    return read([&] { return inner_.keys_of_user(user_id); });
  }
  auth::Result<bool> rehash_key(const auth::Key& key, const std::string& hashed_password) override {
    return write([&] { return inner_.rehash_key(key, hashed_password); });
  }
  auth::Result<std::size_t> update_key_password(const std::string& id,
                                                const std::optional<std::string>& hashed_password) override {
    return write([&] { return inner_.update_key_password(id, hashed_password); });
  }
  auth::Result<void> delete_key(const std::string& id) override {
    return write([&] { return inner_.delete_key(id); });
  }
  auth::Result<bool> consume_key(const auth::Key& key) override {
    return write([&] { return inner_.consume_key(key); });
  }

  auth::Result<auth::SchemaStatus> schema_status() override {
    return read([&] { return inner_.schema_status(); });
  }
  auth::Result<auth::SchemaStatus> migrate() override {
    return write([&] { return inner_.migrate(); });
  }

 private:
  struct Plan {
    std::size_t first = 1;
    std::size_t last = std::numeric_limits<std::size_t>::max();
    bool only_writes = false;
    auth::ErrorCode code = auth::ErrorCode::internal;
  };

  void plan(const Plan& plan) {
    const std::scoped_lock lock(mutex_);
    plan_ = plan;
    calls_ = 0;
  }
  std::optional<auth::Error> count(bool is_write) {
    const std::scoped_lock lock(mutex_);
    ++calls_;
    if (thrower_) thrower_();
    if (!plan_ || calls_ < plan_->first || calls_ > plan_->last || (plan_->only_writes && !is_write)) return {};
    return auth::Error{plan_->code, "a failing store"};
  }
  template <typename Call>
  auto pass(bool is_write, Call call) -> decltype(call()) {
    if (auto error = count(is_write)) return std::unexpected(std::move(*error));
    return call();
  }
  template <typename Call>
  auto read(Call call) -> decltype(call()) {
    return pass(false, call);
  }
  template <typename Call>
  auto write(Call call) -> decltype(call()) {
    return pass(true, call);
  }

  auth::Store& inner_;
  mutable std::mutex mutex_;
  // Guarded by mutex_:
  std::optional<Plan> plan_;
  std::function<void()> thrower_;
  std::size_t calls_ = 0;
};

}  // namespace gatehouse::contract
