// The ports of auth/ as tests want them: a clock that is set, randomness that repeats, events that are kept, a store
// that counts and can be told to fail.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "auth/auth_request.hpp"
#include "auth/context.hpp"
#include "auth/events.hpp"
#include "auth/random.hpp"
#include "auth/time.hpp"
#include "store/memory/memory_store.hpp"

namespace gatehouse::auth::testing {

/// nullopt: it worked.
template <typename T>
std::optional<ErrorCode> error_of(const Result<T>& result) {
  return result ? std::nullopt : std::optional(result.error().code);
}

class FakeClock final : public Clock {
 public:
  Timestamp time{Milliseconds(1'800'000'000'000)};
  [[nodiscard]] Timestamp now() const override { return time; }
  void advance(Milliseconds span) { time += span; }
};

/// Different bytes at every call, the same ones in every run; not secret at all.
class FakeRandom final : public Random {
 public:
  bool is_broken = false;
  [[nodiscard]] Result<void> fill(std::span<std::byte> bytes) override {
    if (is_broken) return fail(ErrorCode::internal, "no randomness");
    for (std::byte& byte : bytes) {
      state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
      byte = static_cast<std::byte>(state_ >> 56U);
    }
    return {};
  }

 private:
  std::uint64_t state_ = 1;
};

class KeptEvents final : public Events {
 public:
  std::vector<EventKind> kinds;
  void report(const Event& event) override { kinds.push_back(event.kind); }
};

class FakeContext final : public Context {
 public:
  RequestView view{.id = "r1",
                   .method = "GET",
                   .scheme = "https",
                   .host = "app.example.org",
                   .server_port = 443,
                   .cookie = {},
                   .origin = {},
                   .sec_fetch_site = {},
                   .address = "192.0.2.7",
                   .device = "test"};
  std::vector<std::string> cookies;
  [[nodiscard]] const RequestView& request() const override { return view; }
  void set_session_cookie(std::string line) override { cookies.push_back(std::move(line)); }
};

/// MemoryStore that counts its calls and fails those it is told to.
class WatchedStore final : public Store {
 public:
  store::MemoryStore inner{{"city"}, {"country", "note"}};
  std::map<std::string, int> calls;
  std::map<std::string, ErrorCode> failures;
  /// Runs before a call of that name reaches the inner store: for races.
  std::map<std::string, std::function<void()>> before;

  [[nodiscard]] int total() const {
    int sum = 0;
    for (const auto& [name, count] : calls) sum += count;
    return sum;
  }

  Result<std::optional<SessionAndUser>> find_session(const SessionId& id) override {
    return seen("find_session", [&] { return inner.find_session(id); });
  }
  Result<std::vector<SessionAndUser>> find_sessions(std::span<const SessionId> ids) override {
    return seen("find_sessions", [&] { return inner.find_sessions(ids); });
  }
  Result<std::optional<RotatedRow>> find_rotated(const SessionId& id) override {
    return seen("find_rotated", [&] { return inner.find_rotated(id); });
  }
  Result<std::vector<SessionRow>> sessions_of_user(const std::string& id) override {
    return seen("sessions_of_user", [&] { return inner.sessions_of_user(id); });
  }
  Result<std::vector<SessionRow>> all_sessions() override {
    return seen("all_sessions", [&] { return inner.all_sessions(); });
  }
  Result<void> create_session(const SessionRow& row, std::size_t max) override {
    return seen("create_session", [&] { return inner.create_session(row, max); });
  }
  Result<void> replace_family(const std::string& family, const SessionRow& row, std::size_t max) override {
    return seen("replace_family", [&] { return inner.replace_family(family, row, max); });
  }
  Result<RotationOutcome> rotate(const Rotation& rotation, const std::optional<Presentation>& first) override {
    return seen("rotate", [&] { return inner.rotate(rotation, first); });
  }
  Result<bool> extend(const SessionId& id, Timestamp old_active, Timestamp new_active, Timestamp new_idle,
                      Timestamp now, const std::optional<Presentation>& first) override {
    return seen("extend", [&] { return inner.extend(id, old_active, new_active, new_idle, now, first); });
  }
  Result<void> mark_presented(const Presentation& first) override {
    return seen("mark_presented", [&] { return inner.mark_presented(first); });
  }
  Result<void> update_session_attributes(const SessionId& id,
                                         const std::map<std::string, std::string>& attributes) override {
    return seen("update_session_attributes", [&] { return inner.update_session_attributes(id, attributes); });
  }
  Result<void> touch(std::span<const LastUse> uses) override {
    return seen("touch", [&] { return inner.touch(uses); });
  }
  Result<std::size_t> delete_session(const SessionId& id) override {
    return seen("delete_session", [&] { return inner.delete_session(id); });
  }
  Result<std::size_t> delete_family(const std::string& family) override {
    return seen("delete_family", [&] { return inner.delete_family(family); });
  }
  Result<std::size_t> delete_sessions_of_user(const std::string& id) override {
    return seen("delete_sessions_of_user", [&] { return inner.delete_sessions_of_user(id); });
  }
  Result<std::size_t> delete_other_sessions(const std::string& id, const std::string& keep) override {
    return seen("delete_other_sessions", [&] { return inner.delete_other_sessions(id, keep); });
  }
  Result<std::size_t> delete_all_sessions() override {
    return seen("delete_all_sessions", [&] { return inner.delete_all_sessions(); });
  }
  Result<std::size_t> delete_dead_sessions_of_user(const std::string& id, Timestamp before_time,
                                                   Milliseconds max_lifetime) override {
    return seen("delete_dead_sessions_of_user",
                [&] { return inner.delete_dead_sessions_of_user(id, before_time, max_lifetime); });
  }
  Result<std::size_t> delete_dead(Timestamp before_time, Milliseconds max_lifetime, std::size_t limit) override {
    return seen("delete_dead", [&] { return inner.delete_dead(before_time, max_lifetime, limit); });
  }
  Result<void> create_user(const NewUser& user) override {
    return seen("create_user", [&] { return inner.create_user(user); });
  }
  Result<std::optional<User>> find_user(const std::string& id) override {
    return seen("find_user", [&] { return inner.find_user(id); });
  }
  Result<std::optional<User>> find_user_by_username(const std::string& name) override {
    return seen("find_user_by_username", [&] { return inner.find_user_by_username(name); });
  }
  Result<std::vector<User>> all_users() override {
    return seen("all_users", [&] { return inner.all_users(); });
  }
  Result<std::size_t> update_user(const std::string& id, const UserChange& change) override {
    return seen("update_user", [&] { return inner.update_user(id, change); });
  }
  Result<bool> delete_user(const std::string& id) override {
    return seen("delete_user", [&] { return inner.delete_user(id); });
  }
  Result<void> create_key(const Key& key) override {
    return seen("create_key", [&] { return inner.create_key(key); });
  }
  Result<std::optional<Key>> find_key(const std::string& id) override {
    return seen("find_key", [&] { return inner.find_key(id); });
  }
  Result<std::vector<Key>> keys_of_user(const std::string& id) override {
    return seen("keys_of_user", [&] { return inner.keys_of_user(id); });
  }
  Result<bool> rehash_key(const Key& key, const std::string& hash) override {
    return seen("rehash_key", [&] { return inner.rehash_key(key, hash); });
  }
  Result<std::size_t> update_key_password(const std::string& id, const std::optional<std::string>& hash) override {
    return seen("update_key_password", [&] { return inner.update_key_password(id, hash); });
  }
  Result<void> delete_key(const std::string& id) override {
    return seen("delete_key", [&] { return inner.delete_key(id); });
  }
  Result<bool> consume_key(const Key& key) override {
    return seen("consume_key", [&] { return inner.consume_key(key); });
  }
  Result<SchemaStatus> schema_status() override {
    return seen("schema_status", [&] { return inner.schema_status(); });
  }
  Result<SchemaStatus> migrate() override {
    return seen("migrate", [&] { return inner.migrate(); });
  }

 private:
  template <typename Call>
  std::invoke_result_t<Call> seen(const std::string& name, Call call) {
    ++calls[name];
    if (const auto hook = before.find(name); hook != before.end()) {
      const auto run = hook->second;
      before.erase(hook);
      run();
    }
    if (const auto failure = failures.find(name); failure != failures.end()) return fail(failure->second, "told to");
    return call();
  }
};

/// One user, one Auth, everything that can be turned.
struct World {
  explicit World(AuthOptions with = options()) : auth(std::move(with), store, clock, random, events) {
    User user;
    user.id = "u1";
    user.username = "alice";
    std::ignore = store.inner.create_user({user, Key{"username:alice", "u1", std::nullopt}});
  }

  static AuthOptions options() {
    AuthOptions options;
    options.periods = {std::chrono::hours(24), std::chrono::days(14), std::chrono::days(90), std::chrono::seconds(10)};
    return options;
  }
  static AuthOptions extending() {
    AuthOptions with = options();
    with.renewal = Renewal::extend;
    return with;
  }

  Session sign_in() { return *auth.create_session("u1", {"192.0.2.1", "browser", {{"country", ""}, {"note", ""}}}); }
  void make_idle() { clock.advance(std::chrono::hours(25)); }
  void present(const SessionToken& token) { context.view.cookie = "__Host-session=" + token.reveal(); }
  [[nodiscard]] std::size_t live_rows() { return store.inner.all_sessions()->size(); }

  WatchedStore store;
  FakeClock clock;
  FakeRandom random;
  KeptEvents events;
  FakeContext context;
  Auth auth;
};

}  // namespace gatehouse::auth::testing
