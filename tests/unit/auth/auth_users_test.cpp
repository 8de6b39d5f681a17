// Auth's verbs for users and keys, and who gets past a key. Where a test says Lucia did otherwise, facts on Lucia tell
// when it was seen doing so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <thread>

#include "auth/auth.hpp"
#include "fakes.hpp"
#include "without_memory.hpp"

namespace gatehouse::auth {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;
using testing::World;

constexpr auto kPassword = "correct horse battery";

User named(std::string username) {
  User user;
  user.username = std::move(username);
  return user;
}

NewKey email_key(std::string address, std::optional<std::string> password = {}) {
  return {"email", std::move(address), std::move(password)};
}

// ── users ────────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(AuthCreateUser, WithoutAKeyHasNone) {
  World world;
  const auto created = world.auth.create_user(named("bob"), std::nullopt);
  ASSERT_TRUE(created);
  EXPECT_EQ(created->id.size(), 15U);
  EXPECT_EQ(created->id.find_first_not_of(kBase36), std::string::npos);
  EXPECT_EQ(created->created_at, world.clock.now());
  EXPECT_EQ(world.auth.get_user(created->id)->username, "bob");
  EXPECT_THAT(*world.auth.get_all_user_keys(created->id), IsEmpty());
}

TEST(AuthCreateUser, KeepsAnIdThatIsGiven) {
  World world;
  User user = named("bob");
  user.id = "from-node";
  EXPECT_EQ(world.auth.create_user(user, email_key("bob@example.org"))->id, "from-node");
  EXPECT_EQ(world.auth.get_key("email", "bob@example.org")->user_id, "from-node");
}

TEST(AuthCreateUser, ADuplicateNameChangesNothing) {
  World world;
  EXPECT_EQ(error_of(world.auth.create_user(named("alice"), std::nullopt)), ErrorCode::duplicate_user);
  EXPECT_EQ(world.store.inner.all_users()->size(), 1U);
}

// Lucia 1 takes every duplicate for one of the key.
TEST(AuthCreateUser, ADuplicateIdIsNotADuplicateKey) {
  World world;
  User again = named("bob");
  again.id = "u1";
  EXPECT_EQ(error_of(world.auth.create_user(again, username_key("bob", {}))), ErrorCode::duplicate_user);
  EXPECT_EQ(error_of(world.auth.get_key("username", "bob")), ErrorCode::invalid_key_id);
}

// Lucia 1 leaves the user behind.
TEST(AuthCreateUser, ADuplicateKeyLeavesNoUserBehind) {
  World world;
  EXPECT_EQ(error_of(world.auth.create_user(named("bob"), username_key("alice", {}))), ErrorCode::duplicate_key_id);
  EXPECT_THAT(*world.store.inner.all_users(), SizeIs(1));
  EXPECT_EQ(world.auth.get_key("username", "alice")->user_id, "u1");
}

TEST(AuthCreateUser, AColumnThatIsNotThereIsRefused) {
  World world;
  User odd = named("bob");
  odd.attributes["country"] = "x";
  EXPECT_EQ(error_of(world.auth.create_user(odd, username_key("bob", {}))), ErrorCode::invalid_attribute);
  EXPECT_EQ(error_of(world.auth.get_key("username", "bob")), ErrorCode::invalid_key_id);
}

TEST(AuthCreateUser, WithoutRandomnessNobodyIsMade) {
  World world;
  world.random.is_broken = true;
  EXPECT_EQ(error_of(world.auth.create_user(named("bob"), std::nullopt)), ErrorCode::internal);
  User given = named("bob");
  given.id = "u2";
  EXPECT_EQ(error_of(world.auth.create_user(given, username_key("bob", kPassword))), ErrorCode::internal);
  EXPECT_THAT(*world.store.inner.all_users(), SizeIs(1));
}

TEST(AuthGetUser, UnknownIsAnErrorAndAFailureIsAnother) {
  World world;
  EXPECT_EQ(world.auth.get_user("u1")->username, "alice");
  EXPECT_EQ(error_of(world.auth.get_user("nobody")), ErrorCode::invalid_user_id);
  world.store.failures["find_user"] = ErrorCode::store_unavailable;
  EXPECT_EQ(error_of(world.auth.get_user("u1")), ErrorCode::store_unavailable);
}

TEST(AuthUpdateUser, ReturnsTheUserAsItIsThen) {
  World world;
  UserChange change;
  change.email = "alice@example.org";
  change.attributes["city"] = "Bern";
  const auto changed = world.auth.update_user_attributes("u1", change);
  ASSERT_TRUE(changed);
  EXPECT_EQ(changed->username, "alice");
  EXPECT_EQ(changed->email, "alice@example.org");
  EXPECT_THAT(changed->attributes, ElementsAre(Pair("city", "Bern")));
  EXPECT_EQ(*changed, *world.auth.get_user("u1"));
}

// Lucia 2 makes a statement of it that SQL does not know.
TEST(AuthUpdateUser, WithNothingChangesNothing) {
  World world;
  const auto before = world.auth.get_user("u1");
  EXPECT_EQ(*world.auth.update_user_attributes("u1", {}), *before);
}

TEST(AuthUpdateUser, UnknownTakenAndMissingAreErrors) {
  World world;
  ASSERT_TRUE(world.auth.create_user(named("bob"), std::nullopt));
  EXPECT_EQ(error_of(world.auth.update_user_attributes("nobody", {})), ErrorCode::invalid_user_id);
  UserChange taken;
  taken.username = "bob";
  EXPECT_EQ(error_of(world.auth.update_user_attributes("u1", taken)), ErrorCode::duplicate_user);
  UserChange missing;
  missing.attributes["country"] = "x";
  EXPECT_EQ(error_of(world.auth.update_user_attributes("u1", missing)), ErrorCode::invalid_attribute);
}

TEST(AuthDeleteUser, TakesKeysAndSessionsAndAnUnknownOneIsNoError) {
  World world;
  const Session session = world.sign_in();
  ASSERT_TRUE(world.auth.create_key("u1", email_key("a@example.org"), 1h));
  EXPECT_TRUE(*world.auth.delete_user("u1"));
  EXPECT_FALSE(*world.auth.delete_user("u1"));
  EXPECT_EQ(error_of(world.auth.get_session(session.token)), ErrorCode::invalid_session_id);
  EXPECT_EQ(error_of(world.auth.get_key("username", "alice")), ErrorCode::invalid_key_id);
  EXPECT_EQ(error_of(world.auth.use_key("email", "a@example.org", std::nullopt)), ErrorCode::invalid_key_id);
  EXPECT_EQ(world.live_rows(), 0U);
}

// ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(AuthKeys, AreCreatedReadListedAndDeleted) {
  World world;
  const auto created = world.auth.create_key("u1", email_key("a:b@example.org", kPassword));
  ASSERT_TRUE(created);
  EXPECT_EQ(created->provider_id(), "email");
  EXPECT_EQ(created->provider_user_id(), "a:b@example.org") << "only the first colon divides";
  EXPECT_FALSE(created->expires);
  EXPECT_EQ(*world.auth.get_key("email", "a:b@example.org"), *created);
  EXPECT_THAT(*world.auth.get_all_user_keys("u1"), SizeIs(2));
  EXPECT_TRUE(world.auth.delete_key("email", "a:b@example.org"));
  EXPECT_TRUE(world.auth.delete_key("email", "a:b@example.org")) << "deleting nothing is no error";
  EXPECT_EQ(error_of(world.auth.get_key("email", "a:b@example.org")), ErrorCode::invalid_key_id);
  EXPECT_THAT(*world.auth.get_all_user_keys("u1"), SizeIs(1));
}

TEST(AuthKeys, UnknownUserAndDuplicateAreErrorsAndNothingIsWritten) {
  World world;
  EXPECT_EQ(error_of(world.auth.create_key("nobody", email_key("x"))), ErrorCode::invalid_user_id);
  EXPECT_EQ(error_of(world.auth.get_all_user_keys("nobody")), ErrorCode::invalid_user_id);
  EXPECT_EQ(error_of(world.auth.create_key("u1", username_key("alice", kPassword))), ErrorCode::duplicate_key_id);
  EXPECT_EQ(world.auth.get_key("username", "alice")->hashed_password, std::nullopt);
  EXPECT_EQ(error_of(world.auth.get_key("email", "x")), ErrorCode::invalid_key_id);
}

// "a:b" of provider "x" and "b" of provider "x:a" would be one key.
TEST(AuthKeys, AProviderIdWithAColonOrWithoutALetterIsTheCallersMistakeEverywhere) {
  World world;
  for (const std::string provider : {"", ":", "a:b", "username:", ":username"}) {
    const NewKey key{provider, "alice", std::nullopt};
    const auto mistake = std::optional(ErrorCode::invalid_argument);
    EXPECT_EQ(error_of(world.auth.create_user(named("bob"), key)), mistake) << provider;
    EXPECT_EQ(error_of(world.auth.create_key("u1", key)), mistake) << provider;
    EXPECT_EQ(error_of(world.auth.get_key(provider, "alice")), mistake) << provider;
    EXPECT_EQ(error_of(world.auth.use_key(provider, "alice", std::nullopt)), mistake) << provider;
    EXPECT_EQ(error_of(world.auth.use_key(provider, "alice", "x")), mistake) << provider;
    EXPECT_EQ(error_of(world.auth.update_key_password(provider, "alice", std::nullopt)), mistake) << provider;
    EXPECT_EQ(error_of(world.auth.delete_key(provider, "alice")), mistake) << provider;
  }
  EXPECT_THAT(*world.store.inner.all_users(), SizeIs(1));
  EXPECT_THAT(*world.auth.get_all_user_keys("u1"), SizeIs(1));
}

// Lucia 1 stores NULL for it, and then any password fits.
TEST(AuthKeys, AnEmptyPasswordIsRefusedWhereverItIsSet) {
  World world;
  const auto mistake = std::optional(ErrorCode::invalid_argument);
  EXPECT_EQ(error_of(world.auth.create_user(named("bob"), username_key("bob", ""))), mistake);
  EXPECT_EQ(error_of(world.auth.create_key("u1", email_key("x", ""))), mistake);
  EXPECT_EQ(error_of(world.auth.update_key_password("username", "alice", "")), mistake);
  EXPECT_THAT(*world.store.inner.all_users(), SizeIs(1));
  EXPECT_EQ(error_of(world.auth.get_key("email", "x")), ErrorCode::invalid_key_id);
}

TEST(AuthKeys, AnOverlongPasswordIsRefusedWhereverItIsSet) {
  World world;
  const std::string overlong(kMaxPasswordBytes + 1, 'x');
  const auto refused = std::optional(ErrorCode::invalid_password);
  EXPECT_EQ(error_of(world.auth.create_user(named("bob"), username_key("bob", overlong))), refused);
  EXPECT_EQ(error_of(world.auth.create_key("u1", email_key("x", overlong))), refused);
  EXPECT_EQ(error_of(world.auth.update_key_password("username", "alice", overlong)), refused);
  EXPECT_THAT(*world.store.inner.all_users(), SizeIs(1));
}

TEST(AuthKeys, ANewPasswordReplacesTheOldOneAndNoneLetsNobodyIn) {
  World world;
  ASSERT_TRUE(world.auth.update_key_password("username", "alice", kPassword));
  ASSERT_TRUE(world.auth.update_key_password("username", "alice", "another password"));
  EXPECT_FALSE(world.auth.use_key("username", "alice", kPassword));
  EXPECT_TRUE(world.auth.use_key("username", "alice", "another password"));
  ASSERT_TRUE(world.auth.update_key_password("username", "alice", std::nullopt));
  EXPECT_FALSE(world.auth.use_key("username", "alice", "another password"));
  EXPECT_TRUE(world.auth.use_key("username", "alice", std::nullopt));
}

// Lucia since 0.5 leaves them alive.
TEST(AuthKeys, ANewPasswordEndsTheUsersSessions) {
  World world;
  for (const std::optional<std::string>& password : {std::optional<std::string>("another password"), {}}) {
    const Session session = world.sign_in();
    EXPECT_EQ(world.auth.update_key_password("username", "alice", password).value(), 1U);
    EXPECT_FALSE(world.auth.find(session.token)->found);
  }
  EXPECT_EQ(error_of(world.auth.update_key_password("username", "nobody", "x")), ErrorCode::invalid_key_id);
}

// ── a key that is used ───────────────────────────────────────────────────────────────────────────────────────────────

TEST(AuthUseKey, TheRightPasswordGivesTheUserAndNothingElseDoes) {
  World world;
  User bob;
  bob.username = "bob";
  const auto created = world.auth.create_user(bob, username_key("bob", "correct horse battery"));
  ASSERT_TRUE(created);
  EXPECT_EQ(created->id.size(), 15U);
  const auto user = world.auth.use_key("username", "bob", "correct horse battery");
  ASSERT_TRUE(user);
  EXPECT_EQ(user->user, *world.auth.get_user(created->id));
  EXPECT_EQ(user->key.provider_id(), "username");
  EXPECT_EQ(user->key.provider_user_id(), "bob");
  EXPECT_EQ(user->key.user_id, created->id);
  EXPECT_EQ(world.auth.use_key("username", "bob", "correct horse battery ").error().code, ErrorCode::invalid_password);
  EXPECT_EQ(world.auth.use_key("username", "bob", "").error().code, ErrorCode::invalid_password);
  EXPECT_EQ(world.auth.use_key("username", "bob", std::nullopt).error().code, ErrorCode::invalid_password);
  EXPECT_EQ(world.auth.use_key("username", "Bob", "correct horse battery").error().code, ErrorCode::invalid_key_id);
  EXPECT_EQ(world.auth.use_key("username", "bob", std::string(5000, 'x')).error().code, ErrorCode::invalid_password);
}

TEST(AuthUseKey, AKeyWithoutAUsableHashLetsNobodyIn) {
  World world;
  for (const std::optional<std::string>& stored :
       std::vector<std::optional<std::string>>{std::nullopt, "", "garbage", "s2:x", "$2a$10$abc"}) {
    ASSERT_TRUE(world.store.inner.update_key_password("username:alice", stored));
    EXPECT_FALSE(world.auth.use_key("username", "alice", ""));
    EXPECT_FALSE(world.auth.use_key("username", "alice", "garbage"));
  }
}

TEST(AuthUseKey, ADisabledUserIsRefusedLikeAnUnknownOne) {
  World world;
  ASSERT_TRUE(world.auth.update_key_password("username", "alice", "correct horse battery"));
  ASSERT_TRUE(world.auth.set_disabled("u1", true));
  EXPECT_EQ(world.auth.use_key("username", "alice", "correct horse battery").error().code, ErrorCode::invalid_key_id);
}

TEST(AuthUseKey, AnOldHashIsReplacedAtLoginUnlessTheProfileIsLucia) {
  for (const bool rehashes : {true, false}) {
    AuthOptions options = World::options();
    options.rehash_on_login = rehashes;
    World world(options);
    const std::string old = *hash_password("correct horse", HashScheme::lucia_scrypt, world.random);
    ASSERT_TRUE(world.store.inner.update_key_password("username:alice", old));
    ASSERT_TRUE(world.auth.use_key("username", "alice", "correct horse"));
    const auto stored = (*world.store.inner.find_key("username:alice"))->hashed_password;
    EXPECT_EQ(stored->starts_with("$argon2id$"), rehashes);
    EXPECT_TRUE(world.auth.use_key("username", "alice", "correct horse"));
  }
}

TEST(AuthUseKey, AStoreFailureIsNeverAWrongPassword) {
  World world;
  ASSERT_TRUE(world.auth.update_key_password("username", "alice", "correct horse battery"));
  for (const char* call : {"find_key", "find_user"}) {
    world.store.failures = {{call, ErrorCode::store_unavailable}};
    EXPECT_EQ(world.auth.use_key("username", "alice", "correct horse battery").error().code,
              ErrorCode::store_unavailable);
  }
}

TEST(AuthUseKey, APasswordNeverFitsAKeyWithoutOne) {
  World world;
  EXPECT_EQ(error_of(world.auth.use_key("username", "alice", "anything")), ErrorCode::invalid_password)
      << "Lucia 1 lets anybody in";
  EXPECT_EQ(error_of(world.auth.use_key("username", "alice", "")), ErrorCode::invalid_password);
  const auto used = world.auth.use_key("username", "alice", std::nullopt);
  ASSERT_TRUE(used);
  EXPECT_EQ(used->user.username, "alice");
}

TEST(AuthUseKey, NoPasswordFitsOnlyAHashThatIsNotThere) {
  World world;
  for (const std::string stored : {"", "garbage", "s2:x"}) {
    ASSERT_TRUE(world.store.inner.update_key_password("username:alice", stored));
    EXPECT_EQ(error_of(world.auth.use_key("username", "alice", std::nullopt)), ErrorCode::invalid_password) << stored;
  }
  EXPECT_EQ(error_of(world.auth.use_key("username", "nobody", std::nullopt)), ErrorCode::invalid_key_id);
  ASSERT_TRUE(world.store.inner.update_key_password("username:alice", std::nullopt));
  ASSERT_TRUE(world.auth.set_disabled("u1", true));
  EXPECT_EQ(error_of(world.auth.use_key("username", "alice", std::nullopt)), ErrorCode::invalid_key_id);
}

TEST(AuthUseKey, AnEmptyPasswordFitsNothingNotEvenItsOwnHash) {
  World world;
  const std::string of_nothing = *hash_password("", HashScheme::argon2id, world.random);
  ASSERT_TRUE(world.store.inner.update_key_password("username:alice", of_nothing));
  EXPECT_EQ(error_of(world.auth.use_key("username", "alice", "")), ErrorCode::invalid_password);
}

// Lucia calls these outdated or wrong.
TEST(AuthUseKey, ABcryptHashLogsInAndIsReplacedUnlessTheProfileIsLucia) {
  const std::string stored = "$2y$05$35jm1hLpnJzEv9RXzaTf4uVKhlh7y.NC4suXDJBsrW82t2E6xqsIK";
  for (const bool rehashes : {true, false}) {
    AuthOptions options = World::options();
    options.rehash_on_login = rehashes;
    World world(options);
    ASSERT_TRUE(world.store.inner.update_key_password("username:alice", stored));
    ASSERT_TRUE(world.auth.use_key("username", "alice", "correct horse"));
    EXPECT_EQ(world.auth.get_key("username", "alice")->hashed_password != stored, rehashes);
    EXPECT_TRUE(world.auth.use_key("username", "alice", "correct horse"));
  }
}

// Whoever changes the password while somebody signs in with the old one must not find the old one back.
TEST(AuthUseKey, ARehashDoesNotUndoAPasswordChangedMeanwhile) {
  World world;
  const std::string old = *hash_password("old password", HashScheme::lucia_scrypt, world.random);
  const std::string fresh = *hash_password("new password", HashScheme::argon2id, world.random);
  ASSERT_TRUE(world.store.inner.update_key_password("username:alice", old));
  world.store.before["find_user"] = [&] {
    std::ignore = world.store.inner.update_key_password("username:alice", fresh);
  };
  EXPECT_EQ(error_of(world.auth.use_key("username", "alice", "old password")), ErrorCode::invalid_password);
  EXPECT_EQ(world.auth.get_key("username", "alice")->hashed_password, fresh);
  EXPECT_EQ(world.store.calls["rehash_key"], 1);
}

TEST(AuthUseKey, OfTwoLoginsThatHashAnewBothSucceedAndAreConfirmed) {
  World world;
  const std::string old = *hash_password(kPassword, HashScheme::lucia_scrypt, world.random);
  ASSERT_TRUE(world.store.inner.update_key_password("username:alice", old));
  std::optional<Result<KeyUser>> other;
  world.store.before["rehash_key"] = [&] { other = world.auth.use_key("username", "alice", kPassword); };
  const auto used = world.auth.use_key("username", "alice", kPassword);
  ASSERT_TRUE(used);
  ASSERT_TRUE(other && *other);
  EXPECT_EQ(used->key, *world.auth.get_key("username", "alice"));
  EXPECT_EQ((*other)->key, used->key);
  EXPECT_EQ(world.auth.confirm_key(used->key), true);
}

TEST(AuthUseKey, AKeyThatIsReplacedBeforeItIsHashedAnewIsNotThatKey) {
  for (const bool is_anothers : {false, true}) {
    World world;
    const std::string old = *hash_password(kPassword, HashScheme::lucia_scrypt, world.random);
    ASSERT_TRUE(world.store.inner.update_key_password("username:alice", old));
    const std::string other = world.auth.create_user(named("bob"), std::nullopt)->id;
    world.store.before["rehash_key"] = [&] {
      ASSERT_TRUE(world.store.inner.delete_key("username:alice"));
      const Key anothers{"username:alice", other, old};
      ASSERT_TRUE(!is_anothers || world.store.inner.create_key(anothers));
    };
    EXPECT_EQ(error_of(world.auth.use_key("username", "alice", kPassword)), ErrorCode::invalid_key_id);
  }
}

TEST(AuthUseKeyDeathTest, AHashThatNothingCanVerifyCostsOneAllTheSame) {
  if (!testing::can_limit_memory()) GTEST_SKIP();
  World world;
  ASSERT_FALSE(world.auth.use_key("username", "nobody", kPassword))
      << "makes the hash that strangers are compared with";
  for (const char* stored : {"", "garbage", "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$"}) {
    ASSERT_TRUE(world.store.inner.update_key_password("username:alice", stored));
    EXPECT_EXIT(
        testing::exit_by_check_without_memory([&] { return world.auth.use_key("username", "alice", kPassword); }),
        ::testing::ExitedWithCode(0), "")
        << stored;
  }
}

// ── a login that is confirmed ────────────────────────────────────────────────────────────────────────────────────────

TEST(AuthConfirmKey, IsTrueWhileNothingHasChangedAndChangesNothing) {
  World world;
  ASSERT_TRUE(world.auth.update_key_password("username", "alice", kPassword));
  const auto used = world.auth.use_key("username", "alice", kPassword);
  const Session session = world.sign_in();
  EXPECT_EQ(world.auth.confirm_key(used->key), true);
  EXPECT_EQ(world.auth.confirm_key(used->key), true);
  EXPECT_EQ(world.store.calls["rehash_key"], 2) << "a write, which waits for another's";
  EXPECT_EQ(*world.auth.get_key("username", "alice"), used->key);
  EXPECT_TRUE(world.auth.get_session(session.token));
}

TEST(AuthConfirmKey, AHashMadeAnewByItsOwnLoginIsConfirmed) {
  World world;
  const std::string old = *hash_password(kPassword, HashScheme::lucia_scrypt, world.random);
  for (const bool is_writable : {true, false}) {
    ASSERT_TRUE(world.store.inner.update_key_password("username:alice", old));
    if (!is_writable) world.store.failures["rehash_key"] = ErrorCode::store_unavailable;
    const auto used = world.auth.use_key("username", "alice", kPassword);
    ASSERT_TRUE(used);
    world.store.failures.clear();
    EXPECT_EQ(used->key, *world.auth.get_key("username", "alice"));
    EXPECT_EQ(world.auth.confirm_key(used->key), true);
  }
}

// The change ends the sessions that are there; this one is written a moment later.
TEST(AuthConfirmKey, APasswordChangedBetweenTheLookAndTheSessionIsSeen) {
  for (const std::optional<std::string>& changed : {std::optional<std::string>("another"), {}}) {
    World world;
    ASSERT_TRUE(world.auth.update_key_password("username", "alice", kPassword));
    world.store.before["create_session"] = [&] {
      ASSERT_TRUE(world.auth.update_key_password("username", "alice", changed));
    };
    const auto used = world.auth.use_key("username", "alice", kPassword);
    std::ignore = world.sign_in();
    EXPECT_EQ(world.live_rows(), 1U) << "it has outlived the change";
    EXPECT_EQ(world.auth.confirm_key(used->key), false);
  }
}

TEST(AuthConfirmKey, ADisabledOrDeletedUserAndAKeyThatIsGoneAreSeen) {
  const auto disable = [](World& world) { ASSERT_TRUE(world.auth.set_disabled("u1", true)); };
  const auto remove_user = [](World& world) { ASSERT_TRUE(world.auth.delete_user("u1")); };
  const auto remove_key = [](World& world) { ASSERT_TRUE(world.auth.delete_key("username", "alice")); };
  for (const std::function<void(World&)>& change :
       {std::function<void(World&)>(disable), {remove_user}, {remove_key}}) {
    for (const std::optional<std::string>& password : {std::optional<std::string>(kPassword), {}}) {
      World world;
      ASSERT_TRUE(world.auth.update_key_password("username", "alice", password));
      const auto used = world.auth.use_key("username", "alice", password);
      ASSERT_TRUE(used);
      change(world);
      EXPECT_EQ(world.auth.confirm_key(used->key), false);
    }
  }
}

TEST(AuthConfirmKey, AKeyWithoutAPasswordIsConfirmedUntilItHasOne) {
  World world;
  const auto used = world.auth.use_key("username", "alice", std::nullopt);
  EXPECT_EQ(world.auth.confirm_key(used->key), true);
  EXPECT_EQ(world.auth.get_key("username", "alice")->hashed_password, std::nullopt);
  ASSERT_TRUE(world.auth.update_key_password("username", "alice", kPassword));
  EXPECT_EQ(world.auth.confirm_key(used->key), false);
}

TEST(AuthConfirmKey, ASingleUseKeyThatIsUsedUpIsConfirmedWhileItsUserIsNotDisabled) {
  World world;
  ASSERT_TRUE(world.auth.create_key("u1", email_key("alice", kPassword), 1h));
  const auto used = world.auth.use_key("email", "alice", kPassword);
  ASSERT_TRUE(used);
  EXPECT_EQ(world.auth.confirm_key(used->key), true);
  ASSERT_TRUE(world.auth.set_disabled("u1", true));
  EXPECT_EQ(world.auth.confirm_key(used->key), false);
}

// ── single-use keys ──────────────────────────────────────────────────────────────────────────────────────────────────

TEST(AuthSingleUseKey, IsGoneAfterOneUse) {
  World world;
  const auto created = world.auth.create_key("u1", email_key("reset"), 1h);
  ASSERT_TRUE(created);
  EXPECT_EQ(created->expires, world.clock.now() + 1h);
  EXPECT_FALSE(created->is_expired(world.clock.now())) << "Lucia 1 says that every new one is expired";
  EXPECT_EQ(*world.auth.get_key("email", "reset"), *created);
  const auto used = world.auth.use_key("email", "reset", std::nullopt);
  ASSERT_TRUE(used);
  EXPECT_EQ(used->key, *created);
  EXPECT_EQ(used->user.id, "u1");
  EXPECT_EQ(error_of(world.auth.use_key("email", "reset", std::nullopt)), ErrorCode::invalid_key_id);
  EXPECT_EQ(error_of(world.auth.get_key("email", "reset")), ErrorCode::invalid_key_id);
}

TEST(AuthSingleUseKey, AWrongPasswordDoesNotBurnItAndTheRightOneDoes) {
  World world;
  ASSERT_TRUE(world.auth.create_key("u1", email_key("code", "123456"), 1h));
  EXPECT_EQ(error_of(world.auth.use_key("email", "code", "123457")), ErrorCode::invalid_password);
  EXPECT_EQ(error_of(world.auth.use_key("email", "code", std::nullopt)), ErrorCode::invalid_password);
  EXPECT_TRUE(world.auth.use_key("email", "code", "123456"));
  EXPECT_EQ(error_of(world.auth.use_key("email", "code", "123456")), ErrorCode::invalid_key_id);
}

TEST(AuthSingleUseKey, TheLastMillisecondStillCountsAndAnExpiredOneIsDeleted) {
  World world;
  ASSERT_TRUE(world.auth.create_key("u1", email_key("a"), 1h));
  ASSERT_TRUE(world.auth.create_key("u1", email_key("b"), 1h));
  world.clock.advance(1h);
  EXPECT_TRUE(world.auth.use_key("email", "a", std::nullopt));
  world.clock.advance(1ms);
  EXPECT_TRUE(world.auth.get_key("email", "b")->is_expired(world.clock.now()));
  EXPECT_THAT(*world.auth.get_all_user_keys("u1"), SizeIs(2)) << "expired ones too";
  EXPECT_EQ(error_of(world.auth.use_key("email", "b", std::nullopt)), ErrorCode::expired_key);
  EXPECT_EQ(error_of(world.auth.use_key("email", "b", std::nullopt)), ErrorCode::invalid_key_id);
}

TEST(AuthSingleUseKey, ExpiredAndAWrongPasswordIsAWrongPasswordAndTheKeyStays) {
  World world;
  ASSERT_TRUE(world.auth.create_key("u1", email_key("code", "123456"), 1h));
  world.clock.advance(2h);
  EXPECT_EQ(error_of(world.auth.use_key("email", "code", "000000")), ErrorCode::invalid_password);
  EXPECT_TRUE(world.auth.get_key("email", "code"));
  EXPECT_EQ(error_of(world.auth.use_key("email", "code", "123456")), ErrorCode::expired_key);
  EXPECT_FALSE(world.auth.get_key("email", "code"));
}

TEST(AuthSingleUseKey, OfADisabledUserIsRefusedAndKept) {
  World world;
  ASSERT_TRUE(world.auth.create_key("u1", email_key("invite"), 1h));
  ASSERT_TRUE(world.auth.set_disabled("u1", true));
  EXPECT_EQ(error_of(world.auth.use_key("email", "invite", std::nullopt)), ErrorCode::invalid_key_id);
  ASSERT_TRUE(world.auth.set_disabled("u1", false));
  EXPECT_TRUE(world.auth.use_key("email", "invite", std::nullopt));
}

TEST(AuthSingleUseKey, WhoIsLateGetsWhatAnUnknownKeyGets) {
  World world;
  ASSERT_TRUE(world.auth.create_key("u1", email_key("invite"), 1h));
  const Key key = *world.auth.get_key("email", "invite");
  world.store.before["consume_key"] = [&] { std::ignore = world.store.inner.consume_key(key); };
  EXPECT_EQ(error_of(world.auth.use_key("email", "invite", std::nullopt)), ErrorCode::invalid_key_id);
}

TEST(AuthSingleUseKey, ThatCannotBeDeletedLetsNobodyIn) {
  World world;
  ASSERT_TRUE(world.auth.create_key("u1", email_key("invite"), 1h));
  world.store.failures["consume_key"] = ErrorCode::store_read_only;
  EXPECT_EQ(error_of(world.auth.use_key("email", "invite", std::nullopt)), ErrorCode::store_read_only);
  world.clock.advance(2h);
  EXPECT_EQ(error_of(world.auth.use_key("email", "invite", std::nullopt)), ErrorCode::store_read_only);
}

TEST(AuthSingleUseKey, WithoutAnyTimeToUseItIsTheCallersMistakeAndForEverIsNot) {
  World world;
  for (const std::int64_t time : {std::int64_t{0}, std::int64_t{-1}}) {
    EXPECT_EQ(error_of(world.auth.create_key("u1", email_key("x"), Milliseconds(time))), ErrorCode::invalid_argument);
  }
  EXPECT_EQ(world.auth.create_key("u1", email_key("x"), Milliseconds::max())->expires, Timestamp::max());
  EXPECT_TRUE(world.auth.use_key("email", "x", std::nullopt));
}

// Lucia reads, then deletes without looking: of 4 at once, 2 to 4 succeed.
TEST(AuthSingleUseKey, OfTwoHundredAtOnceOneUsesIt) {
  constexpr int kCallers = 200;
  store::MemoryStore store;
  const testing::FakeClock clock;
  SystemRandom random;
  testing::KeptEvents events;
  Auth auth(World::options(), store, clock, random, events);
  const User user = *auth.create_user(named("alice"), std::nullopt);
  ASSERT_TRUE(auth.create_key(user.id, email_key("invite"), 1h));
  std::barrier start(kCallers);
  std::atomic<int> wins = 0;
  std::atomic<int> late = 0;
  std::vector<std::jthread> threads;
  threads.reserve(kCallers);
  for (int i = 0; i < kCallers; ++i) {
    threads.emplace_back([&] {
      start.arrive_and_wait();
      const auto used = auth.use_key("email", "invite", std::nullopt);
      ++(used ? wins : late);
      if (!used) {
        EXPECT_EQ(used.error().code, ErrorCode::invalid_key_id);
      }
    });
  }
  threads.clear();
  EXPECT_EQ(wins, 1);
  EXPECT_EQ(late, kCallers - 1);
}

}  // namespace
}  // namespace gatehouse::auth
