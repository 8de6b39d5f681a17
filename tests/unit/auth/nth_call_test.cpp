// The store fails at the n-th call of a use case, n = 1, 2, 3 … until none is left to fail: each ends refused or done,
// all rows are those from before or those from after, and the next try succeeds. How a request looks to its visitor
// then is in tests/unit/gateway/nth_call_test.cpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <functional>

#include "auth/logout.hpp"
#include "contract/failing_store.hpp"
#include "contract/rows.hpp"
#include "fakes.hpp"

namespace gatehouse::auth {
namespace {

using contract::FailingStore;
using contract::RowReader;
using contract::Rows;
using testing::FakeRandom;
using ::testing::IsEmpty;
using testing::World;

constexpr std::size_t kMoreCallsThanAnyUseCaseMakes = 50;
constexpr std::array kFailures{ErrorCode::store_unavailable, ErrorCode::store_read_only, ErrorCode::store_not_migrated,
                               ErrorCode::deadline_exceeded, ErrorCode::capacity,        ErrorCode::internal};

/// A world in which the calls of `auth` can fail; what `world.auth` does, never.
struct Shaky {
  explicit Shaky(const AuthOptions& options)
      : world(options), store(world.store), auth(options, store, world.clock, world.random, world.events) {}

  Session sign_in_and_idle() {
    Session session = world.sign_in();
    world.make_idle();
    return session;
  }
  /// Returns the successor.
  Session rotate(const Session& old) { return (*world.auth.renew(*world.auth.find(old.token)))->session; }

  World world;
  FailingStore store;
  Auth auth;
};

/// What is tried; true if it was done, false if it was refused for the store's failure.
using Try = std::function<bool()>;

struct UseCase {
  std::string name;
  std::function<Try(Shaky&)> prepare;
  /// Somebody with a session is let in though nothing can be written.
  bool can_do_without_writes = false;
  AuthOptions options = World::options();
};

void PrintTo(const UseCase& use_case, std::ostream* out) {
  *out << use_case.name;
}

// ── what is tried
// ─────────────────────────────────────────────────────────────────────────────────────────────────────

/// A request with that cookie. It must find its user, if it is not refused.
Try validate(Shaky& shaky, const SessionToken& token) {
  shaky.world.present(token);
  return [&shaky] {
    shaky.world.context.cookies.clear();
    AuthRequest request(shaky.auth, shaky.world.context);
    const auto both = request.validate_user();
    const auto session = request.validate();
    EXPECT_EQ(both.has_value(), session.has_value());
    if (!both) {
      EXPECT_THAT(shaky.world.context.cookies, IsEmpty());
      EXPECT_EQ(both.error().code, session.error().code) << "the same failure at every call";
      return false;
    }
    EXPECT_TRUE(*both && *session) << "a failure is never taken for \"no session\"";
    return true;
  };
}

Try validate_active(Shaky& shaky) {
  return validate(shaky, shaky.world.sign_in().token);
}
Try validate_idle(Shaky& shaky) {
  return validate(shaky, shaky.sign_in_and_idle().token);
}
Try validate_first_presentation(Shaky& shaky) {
  return validate(shaky, shaky.rotate(shaky.sign_in_and_idle()).token);
}
Try validate_idle_first_presentation(Shaky& shaky) {
  const Session successor = shaky.rotate(shaky.sign_in_and_idle());
  shaky.world.make_idle();
  return validate(shaky, successor.token);
}
Try validate_old_token(Shaky& shaky) {
  const Session old = shaky.sign_in_and_idle();
  std::ignore = shaky.rotate(old);
  return validate(shaky, old.token);
}

Try create_session(Shaky& shaky) {
  std::ignore = shaky.world.sign_in();
  return [&shaky] { return shaky.auth.create_session("u1", {}).has_value(); };
}
Try replace_session(Shaky& shaky) {
  std::ignore = shaky.world.sign_in();  // on another device
  const Session old = shaky.sign_in_and_idle();
  std::ignore = shaky.rotate(old);
  return [&shaky, old] { return shaky.auth.replace_session(old.token, "u1", {}).has_value(); };
}
Try invalidate_session(Shaky& shaky) {
  std::ignore = shaky.world.sign_in();
  const Session old = shaky.sign_in_and_idle();
  std::ignore = shaky.rotate(old);
  return [&shaky, old] { return shaky.auth.invalidate_session(old.token).has_value(); };
}

Try log_out(Shaky& shaky, bool all) {
  std::ignore = shaky.world.sign_in();
  const Session old = shaky.sign_in_and_idle();
  std::ignore = shaky.rotate(old);
  shaky.world.present(old.token);
  shaky.world.context.view.method = "POST";
  shaky.world.context.view.origin = "https://app.example.org";
  return [&shaky, all] {
    shaky.world.context.cookies.clear();
    LogoutForm form;
    form.all = all;
    const http::Response answer = handle_logout_requests(shaky.auth)(shaky.world.context, form);
    const bool is_done = answer.head.status == 303;
    EXPECT_EQ(answer.head.status, is_done ? 303 : 503);
    EXPECT_EQ(shaky.world.context.cookies.size(), is_done ? 1U : 0U);
    return is_done;
  };
}
Try log_out_once(Shaky& shaky) {
  return log_out(shaky, false);
}
Try log_out_everywhere(Shaky& shaky) {
  return log_out(shaky, true);
}

User bob() {
  User user;
  user.username = "bob";
  user.roles = {"staff"};
  return user;
}

Try create_user(Shaky& shaky) {
  return [&shaky] { return shaky.auth.create_user(bob(), "correct horse battery").has_value(); };
}
AuthOptions at_most_two() {
  AuthOptions options = World::options();
  options.max_per_user = 2;
  return options;
}

std::vector<UseCase> use_cases() {
  return {
      {"Validate", validate_active},
      {"Rotate", validate_idle, true},
      {"Extend", validate_idle, true, World::extending()},
      {"FirstPresentation", validate_first_presentation, true},
      {"RotateAFirstPresentation", validate_idle_first_presentation, true},
      {"OldToken", validate_old_token},
      {"CreateSession", create_session},
      {"ReplaceSession", replace_session},
      {"ReplaceSessionBeyondMaxPerUser", replace_session, false, at_most_two()},
      {"InvalidateSession", invalidate_session},
      {"Logout", log_out_once},
      {"LogoutEverywhere", log_out_everywhere},
      {"CreateUser", create_user},
  };
}

// ── the loop
// ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/// A use case in a world of its own; every try draws the same randomness.
class Attempt {
 public:
  explicit Attempt(const UseCase& use_case) : shaky(use_case.options), rows_(shaky.world.store.inner) {
    std::ignore = rows_.read();
    try_ = use_case.prepare(shaky);
    for (const Presented& token : presented()) rows_.expect(token->id(TokenStorage::sha256));
  }

  bool make() {
    shaky.world.random = FakeRandom();
    std::array<std::byte, 4096> used_before{};
    std::ignore = shaky.world.random.fill(used_before);
    return try_();
  }
  Rows rows() { return rows_.read(); }

  Shaky shaky;

 private:
  using Presented = std::optional<SessionToken>;
  [[nodiscard]] std::vector<Presented> presented() const {
    std::vector<Presented> tokens;
    for (const std::string& value : cookie_values(shaky.world.context.view.cookie, "__Host-session")) {
      tokens.push_back(SessionToken::parse(value, TokenAlphabet::base36));
    }
    return tokens;
  }

  RowReader rows_;
  Try try_;
};

class NthCallOfAuth : public ::testing::TestWithParam<UseCase> {
 protected:
  NthCallOfAuth() {
    Attempt undisturbed(GetParam());
    before_ = undisturbed.rows();
    EXPECT_TRUE(undisturbed.make());
    after_ = undisturbed.rows();
  }

  void expect_refused_or_done(bool is_done, const Rows& rows) const {
    const bool is_unwritten = rows == before_ && (!is_done || GetParam().can_do_without_writes);
    const bool is_written = rows == after_;
    EXPECT_TRUE(is_unwritten || is_written) << (is_done ? "done: " : "refused: ") << ::testing::PrintToString(rows);
  }

  /// `plan` tells the store how to fail from its n-th call. Returns the first n at which nothing was left to fail.
  std::size_t fail_each(const std::function<void(FailingStore&, std::size_t)>& plan) {
    for (std::size_t n = 1; n < kMoreCallsThanAnyUseCaseMakes; ++n) {
      SCOPED_TRACE("call " + std::to_string(n));
      Attempt attempt(GetParam());
      plan(attempt.shaky.store, n);
      const bool is_done = attempt.make();
      const bool was_hit = attempt.shaky.store.calls() >= n;
      expect_refused_or_done(is_done, attempt.rows());
      attempt.shaky.store.fail_nothing();
      if (attempt.rows() == before_) {
        EXPECT_TRUE(attempt.make()) << "the next try";
      }
      EXPECT_EQ(attempt.rows(), after_) << "the next try";
      if (!was_hit) return n;
    }
    ADD_FAILURE() << "there is always another call";
    return 0;
  }

 private:
  Rows before_;
  Rows after_;
};

TEST_P(NthCallOfAuth, FailsAlone) {
  for (const ErrorCode code : kFailures) {
    SCOPED_TRACE(name(code));
    EXPECT_GT(fail_each([&](FailingStore& store, std::size_t n) { store.fail_nth(n, code); }), 1U);
  }
}

TEST_P(NthCallOfAuth, FailsWithAllThatFollow) {
  for (const ErrorCode code : kFailures) {
    SCOPED_TRACE(name(code));
    EXPECT_GT(fail_each([&](FailingStore& store, std::size_t n) { store.fail_from_nth(n, code); }), 1U);
  }
}

INSTANTIATE_TEST_SUITE_P(Of, NthCallOfAuth, ::testing::ValuesIn(use_cases()),
                         [](const ::testing::TestParamInfo<UseCase>& param) { return param.param.name; });

// The one write of a login that it can do without.
TEST(NthCallOfUseKey, LetsNobodyInWhoWasNotReadAndEverybodyWhoseNewHashWasNotWritten) {
  const std::string password = "correct horse battery";
  FakeRandom random;
  const std::string old_hash = *hash_password(password, HashScheme::lucia_scrypt, random);
  for (std::size_t n = 1; n <= 4; ++n) {
    SCOPED_TRACE("call " + std::to_string(n));
    Shaky shaky(World::options());
    ASSERT_TRUE(shaky.world.store.inner.update_key_password("username:alice", old_hash));
    shaky.store.fail_nth(n, ErrorCode::store_unavailable);
    const auto user = shaky.auth.use_key(kUsernameProvider, "alice", password);
    EXPECT_EQ(shaky.store.calls(), std::min<std::size_t>(n, 3)) << "key, user, new hash";
    EXPECT_EQ(user.has_value(), n > 2);
    if (!user) {
      EXPECT_EQ(user.error().code, ErrorCode::store_unavailable) << "and not a wrong password";
    }
    const auto stored = (*shaky.world.store.inner.find_key("username:alice"))->hashed_password;
    EXPECT_EQ(*stored == old_hash, n <= 3);
    shaky.store.fail_nothing();
    EXPECT_TRUE(shaky.auth.use_key(kUsernameProvider, "alice", password)) << "the next try";
  }
}

}  // namespace
}  // namespace gatehouse::auth
