// The store fails at the n-th call of a use case, n = 1, 2, 3 … until none is left to fail: each ends refused or done,
// all rows are those from before or those from after, and the next try succeeds. How a request looks to its visitor
// then is in tests/unit/gateway/nth_call_test.cpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
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
    may_be_rotated.push_back(session.row.id);
    return session;
  }
  /// Returns the successor.
  Session rotate(const Session& old) { return (*world.auth.renew(*world.auth.find(old.token)))->session; }

  World world;
  FailingStore store;
  Auth auth;
  std::vector<SessionId> may_be_rotated;
  /// What the store has been told to fail with.
  std::optional<ErrorCode> failure;
};

/// What is tried; true if it was done, false if it was refused for the store's failure.
using Try = std::function<bool()>;

/// A verb is done, or it fails with what the store failed with.
template <typename T>
bool is_done(const Shaky& shaky, const Result<T>& result) {
  if (!result) {
    EXPECT_EQ(result.error().code, shaky.failure) << "the error is the store's";
  }
  return result.has_value();
}

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
  return [&shaky] { return is_done(shaky, shaky.auth.create_session("u1", {})); };
}
Try replace_session(Shaky& shaky) {
  std::ignore = shaky.world.sign_in();  // on another device
  const Session old = shaky.sign_in_and_idle();
  std::ignore = shaky.rotate(old);
  return [&shaky, old] { return is_done(shaky, shaky.auth.replace_session(old.token, "u1", {})); };
}
Try invalidate_session(Shaky& shaky) {
  std::ignore = shaky.world.sign_in();
  const Session old = shaky.sign_in_and_idle();
  std::ignore = shaky.rotate(old);
  return [&shaky, old] { return is_done(shaky, shaky.auth.invalidate_session(old.token)); };
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
  return
      [&shaky] { return is_done(shaky, shaky.auth.create_user(bob(), username_key("bob", "correct horse battery"))); };
}
Try create_user_without_key(Shaky& shaky) {
  return [&shaky] { return is_done(shaky, shaky.auth.create_user(bob(), std::nullopt)); };
}

// ── the other verbs, each by what it is called with ──────────────────────────────────────────────────────────────────

constexpr auto kSingleUse = "single-use";

/// A verb that needs nothing but the user.
template <typename Verb>
std::function<Try(Shaky&)> of_user(Verb verb) {
  return [verb](Shaky& shaky) -> Try {
    std::ignore = shaky.world.sign_in();
    std::ignore = shaky.sign_in_and_idle();
    std::ignore = shaky.world.auth.create_key("u1", {"email", "alice", std::nullopt});
    std::ignore = shaky.world.auth.create_key("u1", {"email", kSingleUse, std::nullopt}, std::chrono::hours(1));
    return [&shaky, verb] { return is_done(shaky, verb(shaky.auth)); };
  };
}

/// A verb that is given the token of a session: active, idle, or a successor that nobody has presented yet.
enum class Presented { active, idle, successor, idle_successor, rotated };
SessionToken present(Shaky& shaky, Presented what) {
  std::ignore = shaky.world.sign_in();  // on another device
  if (what == Presented::active) return shaky.world.sign_in().token;
  const Session old = shaky.sign_in_and_idle();
  if (what == Presented::idle) return old.token;
  const Session successor = shaky.rotate(old);
  if (what == Presented::idle_successor) shaky.world.make_idle();
  return what == Presented::rotated ? old.token : successor.token;
}
template <typename Verb>
std::function<Try(Shaky&)> of_token(Presented what, Verb verb) {
  return [what, verb](Shaky& shaky) -> Try {
    const SessionToken token = present(shaky, what);
    return [&shaky, token, verb] { return is_done(shaky, verb(shaky.auth, token)); };
  };
}

/// A rotated token that comes back after its grace: no session, and its family must end before anybody says so.
Try validate_reused(Shaky& shaky) {
  const Session old = shaky.sign_in_and_idle();
  std::ignore = shaky.world.auth.settle(*shaky.world.auth.find(shaky.rotate(old).token));
  shaky.world.clock.advance(std::chrono::seconds(11));
  return [&shaky, old] {
    const auto session = shaky.auth.validate_session(old.token);
    EXPECT_FALSE(session);
    const bool is_refused_for_good = session.error().code == ErrorCode::invalid_session_id;
    return is_refused_for_good || is_done(shaky, session);
  };
}

std::function<Try(Shaky&)> bearer(Presented what) {
  return [what](Shaky& shaky) -> Try {
    shaky.world.context.view.authorization = "Bearer " + present(shaky, what).reveal();
    return [&shaky] {
      AuthRequest request(shaky.auth, shaky.world.context);
      const auto found = request.validate_bearer_token();
      EXPECT_TRUE(!found || *found) << "a failure is never taken for \"no session\"";
      EXPECT_THAT(shaky.world.context.cookies, IsEmpty());
      return is_done(shaky, found);
    };
  };
}

Try use_password(Shaky& shaky) {
  // Quickly checked: the reference argon2's own test hash.
  std::ignore = shaky.world.store.inner.update_key_password(
      "username:alice", "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4");
  return [&shaky] { return is_done(shaky, shaky.auth.use_key(kUsernameProvider, "alice", "password")); };
}
Try confirm_key(Shaky& shaky) {
  std::ignore = shaky.world.store.inner.update_key_password("username:alice", "hashed");
  const Key key = **shaky.world.store.inner.find_key("username:alice");
  return [&shaky, key] {
    const auto confirmed = shaky.auth.confirm_key(key);
    EXPECT_TRUE(!confirmed || *confirmed) << "a failure is never taken for a change";
    return is_done(shaky, confirmed);
  };
}
Try use_expired_key(Shaky& shaky) {
  std::ignore = shaky.world.auth.create_key("u1", {"email", kSingleUse, std::nullopt}, std::chrono::hours(1));
  shaky.world.clock.advance(std::chrono::hours(2));
  return [&shaky] {
    const auto used = shaky.auth.use_key("email", kSingleUse, std::nullopt);
    EXPECT_FALSE(used);
    return used.error().code == ErrorCode::expired_key || is_done(shaky, used);
  };
}

Try sweep(Shaky& shaky) {
  std::ignore = shaky.rotate(shaky.sign_in_and_idle());
  shaky.world.clock.advance(std::chrono::days(20));
  std::ignore = shaky.world.sign_in();
  return [&shaky] { return is_done(shaky, shaky.auth.sweep(100, Milliseconds(0))); };
}
Try delete_dead(Shaky& shaky) {
  std::ignore = shaky.world.sign_in();
  shaky.world.clock.advance(std::chrono::days(20));
  std::ignore = shaky.world.sign_in();
  return [&shaky] { return is_done(shaky, shaky.auth.delete_dead_user_sessions("u1")); };
}

UserChange new_email() {
  UserChange change;
  change.email = "alice@example.org";
  return change;
}

AuthOptions quick_hashes() {
  AuthOptions options = World::options();
  options.rehash_on_login = false;
  return options;
}

std::vector<UseCase> verbs() {
  const auto get_session = [](Auth& auth, const SessionToken& token) { return auth.get_session(token); };
  const auto get_session_user = [](Auth& auth, const SessionToken& token) { return auth.get_session_user(token); };
  const auto validate_session = [](Auth& auth, const SessionToken& token) { return auth.validate_session(token); };
  const auto validate_session_user = [](Auth& auth, const SessionToken& token) {
    return auth.validate_session_user(token);
  };
  const auto renew_session = [](Auth& auth, const SessionToken& token) { return auth.renew_session(token); };
  const auto set_note = [](Auth& auth, const SessionToken& token) {
    return auth.update_session_attributes(token, {{"note", "new"}});
  };
  const auto end_others = [](Auth& auth, const SessionToken& token) {
    return auth.invalidate_other_sessions("u1", token);
  };
  const auto owner = [](Auth& auth, const SessionToken& token) { return auth.owner_of(token); };
  return {
      {"GetSession", of_token(Presented::idle, get_session)},
      {"GetSessionFirstPresented", of_token(Presented::successor, get_session), true},
      {"GetSessionUser", of_token(Presented::rotated, get_session_user)},
      {"ValidateSession", of_token(Presented::idle, validate_session), true},
      {"ValidateSessionExtending", of_token(Presented::idle, validate_session), true, World::extending()},
      {"ValidateSessionUser", of_token(Presented::idle_successor, validate_session_user), true},
      {"ValidateReusedToken", validate_reused},
      {"RenewSession", of_token(Presented::active, renew_session)},
      {"RenewSessionExtending", of_token(Presented::active, renew_session), false, World::extending()},
      {"RenewSessionFirstPresented", of_token(Presented::successor, renew_session)},
      {"UpdateSessionAttributes", of_token(Presented::idle, set_note)},
      {"UpdateSessionAttributesOfARotatedToken", of_token(Presented::rotated, set_note)},
      {"InvalidateOtherSessions", of_token(Presented::rotated, end_others)},
      {"OwnerOf", of_token(Presented::rotated, owner)},
      {"GetAllUserSessions", of_user([](Auth& auth) { return auth.get_all_user_sessions("u1"); })},
      {"InvalidateAllUserSessions", of_user([](Auth& auth) { return auth.invalidate_all_user_sessions("u1"); })},
      {"DeleteDeadUserSessions", delete_dead},
      {"Sweep", sweep},
      {"BearerActive", bearer(Presented::active)},
      {"BearerIdle", bearer(Presented::idle), true},
      {"BearerRotated", bearer(Presented::rotated)},
      {"CreateUserWithoutKey", create_user_without_key},
      {"GetUser", of_user([](Auth& auth) { return auth.get_user("u1"); })},
      {"UpdateUserAttributes", of_user([](Auth& auth) { return auth.update_user_attributes("u1", new_email()); })},
      {"SetDisabled", of_user([](Auth& auth) { return auth.set_disabled("u1", true); })},
      {"DeleteUser", of_user([](Auth& auth) { return auth.delete_user("u1"); })},
      {"CreateKey", of_user([](Auth& auth) { return auth.create_key("u1", {"x", "y", std::nullopt}); })},
      {"CreateSingleUseKey",
       of_user([](Auth& auth) { return auth.create_key("u1", {"x", "y", std::nullopt}, Milliseconds(1)); })},
      {"GetKey", of_user([](Auth& auth) { return auth.get_key("email", "alice"); })},
      {"GetAllUserKeys", of_user([](Auth& auth) { return auth.get_all_user_keys("u1"); })},
      {"UseKey", use_password, false, quick_hashes()},
      {"ConfirmKey", confirm_key},
      {"ConfirmKeyWithoutPassword",
       of_user([](Auth& auth) { return auth.confirm_key({"username:alice", "u1", std::nullopt}); })},
      {"UseSingleUseKey", of_user([](Auth& auth) { return auth.use_key("email", kSingleUse, std::nullopt); })},
      {"UseExpiredKey", use_expired_key},
      {"UpdateKeyPassword", of_user([](Auth& auth) { return auth.update_key_password("email", "alice", "new"); })},
      {"DeleteKey", of_user([](Auth& auth) { return auth.delete_key("email", "alice"); })},
  };
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
    try_ = use_case.prepare(shaky);
    std::ignore = rows_.read();
    for (const SessionId& id : shaky.may_be_rotated) rows_.expect(id);
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

  void expect_refused_or_done(bool was_done, const Rows& rows) const {
    const bool is_unwritten = rows == before_ && (!was_done || GetParam().can_do_without_writes);
    const bool is_written = rows == after_;
    EXPECT_TRUE(is_unwritten || is_written) << (was_done ? "done: " : "refused: ") << ::testing::PrintToString(rows);
  }

  /// `plan` tells the store how to fail from its n-th call. Returns the first n at which nothing was left to fail.
  std::size_t fail_each(ErrorCode code, const std::function<void(FailingStore&, std::size_t)>& plan) {
    for (std::size_t n = 1; n < kMoreCallsThanAnyUseCaseMakes; ++n) {
      SCOPED_TRACE("call " + std::to_string(n));
      Attempt attempt(GetParam());
      plan(attempt.shaky.store, n);
      attempt.shaky.failure = code;
      const bool was_done = attempt.make();
      const bool was_hit = attempt.shaky.store.calls() >= n;
      expect_refused_or_done(was_done, attempt.rows());
      if (!was_done) {
        EXPECT_THAT(attempt.shaky.world.context.cookies, IsEmpty());
      }
      attempt.shaky.store.fail_nothing();
      attempt.shaky.failure.reset();
      if (attempt.rows() == before_ || attempt.rows() != after_) {
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
    EXPECT_GT(fail_each(code, [&](FailingStore& store, std::size_t n) { store.fail_nth(n, code); }), 1U);
  }
}

TEST_P(NthCallOfAuth, FailsWithAllThatFollow) {
  for (const ErrorCode code : kFailures) {
    SCOPED_TRACE(name(code));
    EXPECT_GT(fail_each(code, [&](FailingStore& store, std::size_t n) { store.fail_from_nth(n, code); }), 1U);
  }
}

INSTANTIATE_TEST_SUITE_P(OfVerb, NthCallOfAuth, ::testing::ValuesIn(verbs()),
                         [](const ::testing::TestParamInfo<UseCase>& param) { return param.param.name; });
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
