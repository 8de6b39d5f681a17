// What auth/store.hpp promises, sentence by sentence, as tests that every store runs. Lucia's adapter tests are among
// them, in a form that can fail.
//
// To put a store under it: derive a StoreHarness, include this header in one .cpp of a test program and write
// INSTANTIATE_TEST_SUITE_P(YourEngine, StoreContract, testing::Values(&make_your_harness)).
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "auth/store.hpp"

namespace gatehouse::contract {

using auth::ErrorCode;
using auth::Key;
using auth::Milliseconds;
using auth::NewUser;
using auth::Presentation;
using auth::Result;
using auth::Rotation;
using auth::RotationOutcome;
using auth::SessionId;
using auth::SessionRow;
using auth::Timestamp;
using auth::User;

/// A fresh, migrated, empty store whose user table has the further columns `city` and `team`, its session table
/// `country` and `note` (text, NULL by default).
class StoreHarness {
 public:
  virtual ~StoreHarness() = default;
  [[nodiscard]] virtual auth::Store& store() = 0;
  /// The same rows as another process sees them: an own object, if the engine has rows outside of it.
  [[nodiscard]] virtual auth::Store& other_process() = 0;
  /// What the tables keep of a row that is written.
  [[nodiscard]] virtual SessionRow kept(SessionRow row) const { return row; }
  [[nodiscard]] virtual User kept(User row) const { return row; }
};

using MakeHarness = std::unique_ptr<StoreHarness> (*)();

inline Timestamp at(std::int64_t milliseconds) {
  return Timestamp(Milliseconds(milliseconds));
}

/// Unwraps what must have worked; a failure ends the test.
template <typename T>
T value_of(Result<T> result) {
  if (!result) throw std::runtime_error(std::string(name(result.error().code)) + ": " + result.error().detail);
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

/// Unwraps what must be there.
template <typename T>
T present(Result<std::optional<T>> result) {
  std::optional<T> found = value_of(std::move(result));
  if (!found) throw std::runtime_error("absent");
  return std::move(*found);
}

template <typename T>
std::optional<ErrorCode> error_of(const Result<T>& result) {
  return result ? std::nullopt : std::optional(result.error().code);
}

inline User user(const std::string& id) {
  return {.id = id,
          .username = "name-of-" + id,
          .name = "Name of " + id,
          .email = id + "@example.org",
          .roles = {"admin", "ops"},
          .disabled = false,
          .created_at = at(1'700'000'000'123),
          .attributes = {{"city", "Zürich"}, {"team", "night"}}};
}

inline Key key(const std::string& identifier, const std::string& user_id) {
  return {.id = "username:" + identifier, .user_id = user_id, .hashed_password = "hash-of-" + identifier};
}

inline SessionRow session(const std::string& id, const std::string& user_id, std::int64_t created = 1'000'000) {
  return {.id = SessionId(id),
          .user_id = user_id,
          .active_expires = at(created + 1'000),
          .idle_expires = at(created + 5'000),
          .created_at = at(created),
          .family = "family-of-" + id,
          .parent = std::nullopt,
          .last_used_at = at(created),
          .address = "2001:db8::1",
          .device = "Mozilla/5.0 (\"quoted\"; 'quoted')",
          .attributes = {{"country", "Österreich"}, {"note", "of " + id}}};
}

/// A key that can be used once.
inline Key single_use_key(const std::string& identifier, const std::string& user_id) {
  Key made = key(identifier, user_id);
  made.expires = at(1'900'000'000'123);
  return made;
}

/// The rotation of `old` into a session of that id.
inline Rotation rotation(const SessionRow& old, const std::string& successor_id) {
  SessionRow successor = old;
  successor.id = SessionId(successor_id);
  successor.parent = old.id;
  successor.active_expires += Milliseconds(2'000);
  successor.idle_expires += Milliseconds(2'000);
  Rotation made{.old_id = old.id, .nonce = {}, .successor = successor, .rotated_at = at(1'002'000)};
  for (std::size_t i = 0; i < made.nonce.size(); ++i) made.nonce.at(i) = static_cast<std::byte>(i * 9);
  return made;
}

class StoreContract : public testing::TestWithParam<MakeHarness> {
 protected:
  auth::Store& store() { return harness_->store(); }
  auth::Store& other_process() { return harness_->other_process(); }

  [[nodiscard]] auto kept(const auto& row) const { return harness_->kept(row); }

  void create(const User& row) { value_of(store().create_user({.user = row, .key = std::nullopt})); }
  void create(const SessionRow& row) { value_of(store().create_session(row, 0)); }
  void create(const Key& row) { value_of(store().create_key(row)); }
  /// A user and one session of theirs.
  SessionRow create_login(const std::string& user_id, const std::string& session_id) {
    create(user(user_id));
    create(session(session_id, user_id));
    return kept(session(session_id, user_id));
  }

  bool is_live(const std::string& id) { return value_of(store().find_session(SessionId(id))).has_value(); }
  bool is_rotated(const std::string& id) { return value_of(store().find_rotated(SessionId(id))).has_value(); }
  SessionRow row(const std::string& id) { return present(store().find_session(SessionId(id))).session; }
  auth::RotatedRow rotated_row(const std::string& id) { return present(store().find_rotated(SessionId(id))); }

  static std::vector<std::string> ids(const std::vector<SessionRow>& rows) {
    std::vector<std::string> texts;
    texts.reserve(rows.size());
    for (const SessionRow& row : rows) texts.push_back(row.id.text());
    return texts;
  }
  std::vector<std::string> live() { return ids(value_of(store().all_sessions())); }

 private:
  std::unique_ptr<StoreHarness> harness_ = GetParam()();
};

/// What only our own tables can keep, Lucia's cannot: families, rotated ids, times of logins and of the last use.
class NativeContract : public StoreContract {};

/// What Lucia 2.x's tables cannot keep.
class SingleUseKeyContract : public StoreContract {};

/// The first vowel with an accent, which a collation folds away; the id itself if it has none.
inline std::string accented(std::string id) {
  constexpr std::string_view kVowels = "aeiou";
  constexpr std::array kAccented{"à", "é", "ì", "ó", "ú"};
  const std::size_t at = id.find_first_of(kVowels);
  return at == std::string::npos ? id : id.replace(at, 1, kAccented.at(kVowels.find(id[at])));
}

/// Spellings that a collation, a trimming column or a C string would take for `id`.
inline std::vector<std::string> lookalikes(const std::string& id) {
  std::string upper = id;
  std::ranges::transform(upper, upper.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return {upper,
          id + " ",
          " " + id,
          id + "\t",
          id + std::string(1, '\0'),
          id.substr(0, id.size() - 1),
          id + "%",
          "%",
          "_",
          "",
          "0",
          accented(id),
          id + "\xff"};
}

inline std::vector<std::string> hostile_texts() {
  return {"' OR 1=1 --", "\"", "\\", std::string(4096, 'x'), std::string("\0x", 2), "\xc3\x28", "é", "?1", "NULL"};
}

// ── sessions: reads
// ───────────────────────────────────────────────────────────────────────────────────────────────────

TEST_P(StoreContract, FindSessionBringsTheWholeRowAndItsUser) {
  create(user("u1"));
  SessionRow made = session("s1", "u1");
  made.parent = SessionId("an-older-id");
  create(made);
  const auto found = present(store().find_session(SessionId("s1")));
  EXPECT_EQ(found.session, kept(made));
  EXPECT_EQ(found.user, kept(user("u1")));
}

TEST_P(StoreContract, UnknownIdsAreAbsentAndNoError) {
  create_login("u1", "s1");
  EXPECT_EQ(value_of(store().find_session(SessionId("s2"))), std::nullopt);
  EXPECT_EQ(value_of(store().find_rotated(SessionId("s1"))), std::nullopt);
  EXPECT_EQ(value_of(store().find_user("u2")), std::nullopt);
  EXPECT_EQ(value_of(store().find_user_by_username("u1")), std::nullopt);
  EXPECT_EQ(value_of(store().find_key("username:u1")), std::nullopt);
  EXPECT_TRUE(value_of(store().sessions_of_user("u2")).empty());
  EXPECT_TRUE(value_of(store().keys_of_user("u1")).empty());
}

TEST_P(StoreContract, AnEmptyStoreHasNothing) {
  EXPECT_TRUE(value_of(store().all_sessions()).empty());
  EXPECT_TRUE(value_of(store().all_users()).empty());
}

TEST_P(StoreContract, ASessionOfADisabledUserIsReturnedAsSuch) {
  User disabled = user("u1");
  disabled.disabled = true;
  create(disabled);
  create(session("s1", "u1"));
  EXPECT_TRUE(present(store().find_session(SessionId("s1"))).user.disabled);
}

TEST_P(NativeContract, IdsAreComparedByteForByte) {
  create_login("abc123", "def456");
  create(key("ghi789", "abc123"));
  value_of(store().rotate(rotation(row("def456"), "jko012"), {}));
  for (const std::string& id : lookalikes("jko012")) EXPECT_FALSE(is_live(id)) << id;
  for (const std::string& id : lookalikes("def456")) EXPECT_FALSE(is_rotated(id)) << id;
  for (const std::string& id : lookalikes("abc123")) EXPECT_FALSE(value_of(store().find_user(id))) << id;
  for (const std::string& id : lookalikes("username:ghi789")) EXPECT_FALSE(value_of(store().find_key(id))) << id;
  for (const std::string& text : lookalikes("name-of-abc123")) {
    EXPECT_FALSE(value_of(store().find_user_by_username(text))) << text;
  }
}

TEST_P(NativeContract, LookalikesOfAnIdDeleteNothing) {
  create_login("abc123", "def456");
  create(key("ghi789", "abc123"));
  for (const std::string& id : lookalikes("def456")) EXPECT_EQ(value_of(store().delete_session(SessionId(id))), 0U);
  for (const std::string& id : lookalikes("family-of-def456")) EXPECT_EQ(value_of(store().delete_family(id)), 0U);
  for (const std::string& id : lookalikes("abc123")) EXPECT_FALSE(value_of(store().delete_user(id)));
  for (const std::string& id : lookalikes("username:ghi789")) value_of(store().delete_key(id));
  EXPECT_TRUE(is_live("def456"));
  EXPECT_TRUE(value_of(store().find_key("username:ghi789")));
}

TEST_P(StoreContract, HostileTextsAreAbsentAndNoError) {
  create_login("u1", "s1");
  for (const std::string& text : hostile_texts()) {
    EXPECT_FALSE(is_live(text)) << text;
    EXPECT_FALSE(is_rotated(text)) << text;
    EXPECT_FALSE(value_of(store().find_user(text))) << text;
    EXPECT_FALSE(value_of(store().find_user_by_username(text))) << text;
    EXPECT_FALSE(value_of(store().find_key(text))) << text;
    EXPECT_TRUE(value_of(store().find_sessions(std::vector{SessionId(text)})).empty()) << text;
  }
}

TEST_P(StoreContract, TextsComeBackAsTheyWentIn) {
  User odd = user("u1");
  odd.name = "Zoë \"Z\" O'Neil \\ %s 😀";
  odd.email = "";
  odd.attributes["city"] = "'); DROP TABLE user; --";
  create(odd);
  SessionRow made = session("s1", "u1");
  made.device = std::string(250, 'd') + "é";
  made.address = "";
  create(made);
  const auto found = present(store().find_session(SessionId("s1")));
  EXPECT_EQ(found.user, kept(odd));
  EXPECT_EQ(found.session, kept(made));
}

TEST_P(StoreContract, FindSessionsLeavesOutUnknownIds) {
  create_login("u1", "s1");
  create_login("u2", "s2");
  auto found = value_of(store().find_sessions(std::vector{SessionId("s2"), SessionId("none"), SessionId("s1")}));
  std::ranges::sort(found, {}, [](const auth::SessionAndUser& one) { return one.session.id; });
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0], (auth::SessionAndUser{kept(session("s1", "u1")), kept(user("u1"))}));
  EXPECT_EQ(found[1], (auth::SessionAndUser{kept(session("s2", "u2")), kept(user("u2"))}));
}

TEST_P(StoreContract, FindSessionsOfNothingIsNothing) {
  EXPECT_TRUE(value_of(store().find_sessions({})).empty());
}

TEST_P(StoreContract, FindSessionsTakesHundredsOfIdsAndAnswersEachOnce) {
  create(user("u1"));
  std::vector<SessionId> asked;
  asked.reserve(600);
  for (int i = 0; i < 10; ++i) create(session("s" + std::to_string(i), "u1"));
  for (int i = 0; i < 300; ++i) asked.emplace_back("s" + std::to_string(i));
  for (int i = 0; i < 300; ++i) asked.emplace_back("s3");
  std::vector<std::string> found;
  found.reserve(asked.size());
  for (const auto& one : value_of(store().find_sessions(asked))) found.push_back(one.session.id.text());
  EXPECT_THAT(found, testing::UnorderedElementsAre("s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9"));
}

TEST_P(StoreContract, SessionsOfAUserAreTheirsDeadOnesTooOldestLoginFirst) {
  create(user("u1"));
  create(user("u2"));
  create(session("newest", "u1", 3'000'000));
  create(session("dead", "u1", 1));
  create(session("older", "u1", 2'000'000));
  create(session("theirs", "u2"));
  EXPECT_THAT(ids(value_of(store().sessions_of_user("u1"))), testing::ElementsAre("dead", "older", "newest"));
  EXPECT_THAT(value_of(store().sessions_of_user("u2")), testing::ElementsAre(kept(session("theirs", "u2"))));
}

TEST_P(StoreContract, AllSessionsAreEverybodysOldestLoginFirst) {
  create(user("u1"));
  create(user("u2"));
  create(session("third", "u1", 3'000'000));
  create(session("first", "u2", 1'000));
  create(session("second", "u1", 2'000'000));
  EXPECT_THAT(live(), testing::ElementsAre("first", "second", "third"));
}

// ── sessions: creation
// ────────────────────────────────────────────────────────────────────────────────────────────────

TEST_P(StoreContract, ASessionOfAnUnknownUserIsRefused) {
  EXPECT_EQ(error_of(store().create_session(session("s1", "nobody"), 0)), ErrorCode::invalid_user_id);
  EXPECT_TRUE(live().empty());
}

TEST_P(StoreContract, ADuplicateSessionIdIsRefusedAndTheFirstRowStays) {
  const SessionRow first = create_login("u1", "s1");
  create(user("u2"));
  const SessionRow second = session("s1", "u2", 7'000'000);
  EXPECT_EQ(error_of(store().create_session(second, 0)), ErrorCode::duplicate_session_id);
  EXPECT_EQ(row("s1"), first);
}

TEST_P(StoreContract, MaxPerUserEndsTheOldestOthers) {
  create(user("u1"));
  create(user("u2"));
  create(session("theirs", "u2", 1));
  for (std::int64_t i = 1; i <= 4; ++i) create(session("s" + std::to_string(i), "u1", i * 1'000));
  value_of(store().create_session(session("s5", "u1", 5'000), 3));
  EXPECT_THAT(live(), testing::ElementsAre("theirs", "s3", "s4", "s5"));
}

TEST_P(NativeContract, MaxPerUserOfOneKeepsTheNewSessionEvenIfItsLoginIsTheOldest) {
  create(user("u1"));
  create(session("s1", "u1", 9'000));
  value_of(store().create_session(session("s2", "u1", 1'000), 1));
  EXPECT_THAT(live(), testing::ElementsAre("s2"));
}

TEST_P(StoreContract, MaxPerUserOfZeroIsNoLimit) {
  create(user("u1"));
  for (int i = 0; i < 20; ++i) create(session("s" + std::to_string(i), "u1"));
  EXPECT_EQ(live().size(), 20U);
}

TEST_P(NativeContract, MaxPerUserTakesTheRotatedIdsOfWhatItEnds) {
  create_login("u1", "s1");
  value_of(store().rotate(rotation(row("s1"), "s2"), {}));
  value_of(store().create_session(session("s3", "u1", 9'000'000), 1));
  EXPECT_THAT(live(), testing::ElementsAre("s3"));
  EXPECT_FALSE(is_rotated("s1"));
}

TEST_P(StoreContract, ARefusedSessionEndsNoOther) {
  create_login("u1", "s1");
  create(session("s2", "u1"));
  EXPECT_EQ(error_of(store().create_session(session("s2", "u1"), 1)), ErrorCode::duplicate_session_id);
  EXPECT_THAT(live(), testing::UnorderedElementsAre("s1", "s2"));
}

TEST_P(NativeContract, ReplaceFamilyEndsThatFamilyWithItsRotatedIdsAndNoOther) {
  create_login("u1", "s1");
  value_of(store().rotate(rotation(row("s1"), "s2"), {}));
  create(session("other", "u1", 2'000'000));
  value_of(store().replace_family("family-of-s1", session("new", "u1", 3'000'000), 0));
  EXPECT_THAT(live(), testing::ElementsAre("other", "new"));
  EXPECT_EQ(row("new"), session("new", "u1", 3'000'000));
  EXPECT_FALSE(is_rotated("s1"));
}

TEST_P(NativeContract, ReplaceFamilyDoesNotCountWhatItEndsAmongTheUsersSessions) {
  create(user("u1"));
  create(session("phone", "u1", 1'000));
  create(session("old", "u1", 2'000));
  value_of(store().replace_family("family-of-old", session("new", "u1", 3'000), 2));
  EXPECT_THAT(live(), testing::ElementsAre("phone", "new"));
  value_of(store().replace_family("family-of-new", session("newest", "u1", 4'000), 1));
  EXPECT_THAT(live(), testing::ElementsAre("newest"));
}

TEST_P(NativeContract, ReplaceFamilyMayEndAnotherUsersOrNone) {
  create_login("u1", "s1");
  create(user("u2"));
  value_of(store().replace_family("family-of-s1", session("s2", "u2"), 0));
  EXPECT_THAT(live(), testing::ElementsAre("s2"));
  value_of(store().replace_family("no-such-family", session("s3", "u1"), 0));
  EXPECT_THAT(live(), testing::UnorderedElementsAre("s2", "s3"));
}

TEST_P(NativeContract, AReplacementThatIsRefusedEndsNothing) {
  create_login("u1", "s1");
  value_of(store().rotate(rotation(row("s1"), "s2"), {}));
  create(session("taken", "u1"));
  EXPECT_EQ(error_of(store().replace_family("family-of-s1", session("s3", "nobody"), 1)), ErrorCode::invalid_user_id);
  EXPECT_EQ(error_of(store().replace_family("family-of-s1", session("taken", "u1"), 1)),
            ErrorCode::duplicate_session_id);
  EXPECT_THAT(live(), testing::UnorderedElementsAre("s2", "taken"));
  EXPECT_TRUE(is_rotated("s1"));
}

TEST_P(StoreContract, FurtherSessionColumnsReadEmptyWhereNothingWasWritten) {
  create(user("u1"));
  SessionRow plain = session("s1", "u1");
  plain.attributes.clear();
  create(plain);
  plain.attributes = {{"country", ""}, {"note", ""}};
  EXPECT_EQ(row("s1"), kept(plain));
  EXPECT_THAT(value_of(store().sessions_of_user("u1")), testing::ElementsAre(kept(plain)));
}

/// Names that are no further columns of the session table: others', our own, and attempts at SQL.
inline std::vector<std::string> no_session_columns() {
  return {"city", "COUNTRY", "Note", "id", "family", "idle_expires", "", "country\"", "note = 1 --", "country, note"};
}

TEST_P(StoreContract, ASessionAttributeWithoutAColumnIsRefusedAndNothingIsWritten) {
  const SessionRow old = create_login("u1", "s1");
  for (const std::string& column : no_session_columns()) {
    SessionRow odd = session("s2", "u1");
    odd.attributes[column] = "x";
    EXPECT_EQ(error_of(store().create_session(odd, 1)), ErrorCode::invalid_attribute) << column;
    EXPECT_EQ(error_of(store().replace_family(old.family, odd, 0)), ErrorCode::invalid_attribute) << column;
  }
  EXPECT_THAT(value_of(store().all_sessions()), testing::ElementsAre(old));
}

// ── sessions: attributes
// ──────────────────────────────────────────────────────────────────────────────────────────────

TEST_P(StoreContract, UpdateSessionAttributesWritesThoseOfThatSessionAndNothingElse) {
  SessionRow changed = create_login("u1", "s1");
  create(session("s2", "u1"));
  changed.attributes["country"] = "'); DROP TABLE user_session; -- é";
  value_of(store().update_session_attributes(changed.id, {{"country", changed.attributes["country"]}}));
  EXPECT_EQ(row("s1"), changed);
  changed.attributes = {{"country", ""}, {"note", "both"}};
  value_of(other_process().update_session_attributes(changed.id, changed.attributes));
  EXPECT_EQ(row("s1"), changed);
  EXPECT_EQ(row("s2"), kept(session("s2", "u1")));
}

TEST_P(StoreContract, UpdatingAttributesToWhatTheyAreOrToNothingIsNoError) {
  const SessionRow made = create_login("u1", "s1");
  value_of(store().update_session_attributes(made.id, made.attributes));
  value_of(store().update_session_attributes(made.id, {}));
  EXPECT_EQ(row("s1"), made);
}

TEST_P(StoreContract, AttributesOfASessionThatIsNotThereAreRefused) {
  create_login("abc123", "def456");
  for (const std::string& id : lookalikes("def456")) {
    const SessionId unknown(id);
    EXPECT_EQ(error_of(store().update_session_attributes(unknown, {{"note", "x"}})), ErrorCode::invalid_session_id)
        << id;
    EXPECT_EQ(error_of(store().update_session_attributes(unknown, {})), ErrorCode::invalid_session_id) << id;
  }
  EXPECT_THAT(value_of(store().all_sessions()), testing::ElementsAre(kept(session("def456", "abc123"))));
}

TEST_P(StoreContract, UpdateSessionAttributesRefusesAMissingColumnAndChangesNothing) {
  const SessionRow made = create_login("u1", "s1");
  for (const std::string& column : no_session_columns()) {
    EXPECT_EQ(error_of(store().update_session_attributes(made.id, {{"country", "y"}, {column, "x"}})),
              ErrorCode::invalid_attribute)
        << column;
  }
  EXPECT_EQ(row("s1"), made);
}

TEST_P(NativeContract, AttributesOutliveRotationAndExtension) {
  const SessionRow old = create_login("u1", "s1");
  const Rotation made = rotation(old, "s2");
  value_of(store().rotate(made, {}));
  EXPECT_EQ(row("s2").attributes, old.attributes);
  value_of(
      store().extend(SessionId("s2"), made.successor.active_expires, at(8'000'000), at(9'000'000), at(1'003'000), {}));
  EXPECT_EQ(row("s2").attributes, old.attributes);
}

// ── sessions: renewal
// ─────────────────────────────────────────────────────────────────────────────────────────────────

TEST_P(NativeContract, RotateReplacesTheLiveRow) {
  const SessionRow old = create_login("u1", "s1");
  const Rotation made = rotation(old, "s2");
  EXPECT_EQ(value_of(store().rotate(made, {})), RotationOutcome::rotated);
  EXPECT_THAT(value_of(store().all_sessions()), testing::ElementsAre(made.successor));
  EXPECT_EQ(rotated_row("s1"), (auth::RotatedRow{.id = old.id,
                                                 .family = old.family,
                                                 .nonce = made.nonce,
                                                 .idle_expires = old.idle_expires,
                                                 .rotated_at = made.rotated_at,
                                                 .successor_seen_at = std::nullopt}));
}

TEST_P(NativeContract, ASecondRotationOfAnIdFindsItRotatedAndWritesNothing) {
  const SessionRow old = create_login("u1", "s1");
  value_of(store().rotate(rotation(old, "s2"), {}));
  Rotation late = rotation(old, "s3");
  late.nonce.fill(std::byte{7});
  EXPECT_EQ(value_of(store().rotate(late, {})), RotationOutcome::already_rotated);
  EXPECT_THAT(live(), testing::ElementsAre("s2"));
  EXPECT_EQ(rotated_row("s1").nonce, rotation(old, "s2").nonce);
}

TEST_P(NativeContract, RepeatingARotationFindsItDone) {
  const Rotation made = rotation(create_login("u1", "s1"), "s2");
  value_of(store().rotate(made, {}));
  EXPECT_EQ(value_of(store().rotate(made, {})), RotationOutcome::already_rotated);
}

TEST_P(NativeContract, ARotationAfterALogoutFindsTheRowGoneAndWritesNothing) {
  const SessionRow old = create_login("u1", "s1");
  value_of(store().delete_family(old.family));
  EXPECT_EQ(value_of(store().rotate(rotation(old, "s2"), {})), RotationOutcome::gone);
  EXPECT_TRUE(live().empty());
  EXPECT_FALSE(is_rotated("s1"));
}

TEST_P(NativeContract, ARotationAfterTheUserWasDeletedFindsTheRowGone) {
  const SessionRow old = create_login("u1", "s1");
  value_of(store().delete_user("u1"));
  EXPECT_EQ(value_of(store().rotate(rotation(old, "s2"), {})), RotationOutcome::gone);
  EXPECT_FALSE(is_rotated("s1"));
}

TEST_P(NativeContract, RotateWritesTheOldRowsOwnPresentation) {
  const SessionRow first = create_login("u1", "s1");
  const Rotation once = rotation(first, "s2");
  value_of(store().rotate(once, {}));
  const Presentation seen{.id = SessionId("s2"), .parent = SessionId("s1"), .seen_at = at(1'003'000)};
  value_of(store().rotate(rotation(once.successor, "s3"), seen));
  EXPECT_EQ(rotated_row("s1").successor_seen_at, at(1'003'000));
  EXPECT_EQ(rotated_row("s2").successor_seen_at, std::nullopt);
  EXPECT_EQ(row("s3").parent, SessionId("s2"));
}

TEST_P(NativeContract, ARotationThatDoesNotHappenWritesNoPresentation) {
  const SessionRow first = create_login("u1", "s1");
  const Rotation once = rotation(first, "s2");
  value_of(store().rotate(once, {}));
  value_of(store().delete_session(SessionId("s2")));
  const Presentation seen{.id = SessionId("s2"), .parent = SessionId("s1"), .seen_at = at(1'003'000)};
  EXPECT_EQ(value_of(store().rotate(rotation(once.successor, "s3"), seen)), RotationOutcome::gone);
  EXPECT_EQ(value_of(store().rotate(rotation(first, "s4"), seen)), RotationOutcome::already_rotated);
  EXPECT_EQ(rotated_row("s1").successor_seen_at, std::nullopt);
}

TEST_P(NativeContract, ARotationIntoATakenIdFailsAndWritesNothing) {
  const SessionRow old = create_login("u1", "s1");
  create(session("s2", "u1"));
  EXPECT_EQ(error_of(store().rotate(rotation(old, "s2"), {})), ErrorCode::duplicate_session_id);
  EXPECT_EQ(row("s1"), old);
  EXPECT_EQ(row("s2"), session("s2", "u1"));
  EXPECT_FALSE(is_rotated("s1"));
}

TEST_P(NativeContract, ExtendMovesBothExpiriesAndTheLastUse) {
  SessionRow expected = create_login("u1", "s1");
  EXPECT_TRUE(
      value_of(store().extend(expected.id, expected.active_expires, at(2'000'000), at(3'000'000), at(1'002'000), {})));
  expected.active_expires = at(2'000'000);
  expected.idle_expires = at(3'000'000);
  expected.last_used_at = at(1'002'000);
  EXPECT_EQ(row("s1"), expected);
}

TEST_P(StoreContract, ExtendToTheSameExpiriesStillCountsAsAChange) {
  const SessionRow old = create_login("u1", "s1");
  EXPECT_TRUE(
      value_of(store().extend(old.id, old.active_expires, old.active_expires, old.idle_expires, old.last_used_at, {})));
}

TEST_P(StoreContract, ExtendNeverBringsBackASessionThatIsGone) {
  const SessionRow old = create_login("u1", "s1");
  value_of(store().delete_session(old.id));
  EXPECT_FALSE(value_of(store().extend(old.id, old.active_expires, at(2'000'000), at(3'000'000), at(1'002'000), {})));
  EXPECT_TRUE(live().empty());
}

TEST_P(StoreContract, ExtendLeavesARowThatSomebodyElseMoved) {
  const SessionRow old = create_login("u1", "s1");
  value_of(store().extend(old.id, old.active_expires, at(2'000'000), at(3'000'000), at(1'002'000), {}));
  EXPECT_FALSE(value_of(store().extend(old.id, old.active_expires, at(8'000'000), at(9'000'000), at(1'002'001), {})));
  EXPECT_EQ(row("s1").active_expires, at(2'000'000));
}

TEST_P(StoreContract, ExtendTakesTheLastMillisecondButNoDeadRow) {
  const SessionRow old = create_login("u1", "s1");
  const Timestamp too_late = old.idle_expires + Milliseconds(1);
  EXPECT_FALSE(value_of(store().extend(old.id, old.active_expires, at(8'000'000), at(9'000'000), too_late, {})));
  EXPECT_EQ(row("s1"), old);
  EXPECT_TRUE(value_of(store().extend(old.id, old.active_expires, at(8'000'000), at(9'000'000), old.idle_expires, {})));
}

TEST_P(NativeContract, ExtendWritesTheFirstPresentationWithIt) {
  const Rotation made = rotation(create_login("u1", "s1"), "s2");
  value_of(store().rotate(made, {}));
  const Presentation seen{.id = SessionId("s2"), .parent = SessionId("s1"), .seen_at = at(1'003'500)};
  EXPECT_TRUE(value_of(store().extend(SessionId("s2"), made.successor.active_expires, at(2'000'000), at(3'000'000),
                                      at(1'003'500), seen)));
  EXPECT_EQ(rotated_row("s1").successor_seen_at, at(1'003'500));
  EXPECT_EQ(row("s2").parent, std::nullopt);
}

TEST_P(NativeContract, AnExtendThatChangesNothingWritesNoPresentation) {
  const Rotation made = rotation(create_login("u1", "s1"), "s2");
  value_of(store().rotate(made, {}));
  const Presentation seen{.id = SessionId("s2"), .parent = SessionId("s1"), .seen_at = at(1'003'500)};
  EXPECT_FALSE(value_of(store().extend(SessionId("s2"), at(1), at(2'000'000), at(3'000'000), at(1'003'500), seen)));
  EXPECT_EQ(rotated_row("s1").successor_seen_at, std::nullopt);
  EXPECT_EQ(row("s2"), made.successor);
}

TEST_P(NativeContract, OnlyTheFirstPresentationCounts) {
  value_of(store().rotate(rotation(create_login("u1", "s1"), "s2"), {}));
  value_of(store().mark_presented({.id = SessionId("s2"), .parent = SessionId("s1"), .seen_at = at(1'003'000)}));
  EXPECT_EQ(row("s2").parent, std::nullopt);
  value_of(store().mark_presented({.id = SessionId("s2"), .parent = SessionId("s1"), .seen_at = at(1'009'000)}));
  EXPECT_EQ(rotated_row("s1").successor_seen_at, at(1'003'000));
}

TEST_P(NativeContract, PresentingTouchesNoOtherRow) {
  value_of(store().rotate(rotation(create_login("u1", "s1"), "s2"), {}));
  value_of(store().rotate(rotation(create_login("u2", "t1"), "t2"), {}));
  value_of(store().mark_presented({.id = SessionId("s2"), .parent = SessionId("s1"), .seen_at = at(1'003'000)}));
  EXPECT_EQ(row("t2").parent, SessionId("t1"));
  EXPECT_EQ(rotated_row("t1").successor_seen_at, std::nullopt);
}

TEST_P(NativeContract, PresentingWhatIsGoneIsNoError) {
  value_of(store().mark_presented({.id = SessionId("none"), .parent = SessionId("neither"), .seen_at = at(1)}));
  EXPECT_TRUE(live().empty());
  EXPECT_FALSE(is_rotated("neither"));
}

TEST_P(NativeContract, TouchMovesTheLastUseForwardOnly) {
  create_login("u1", "s1");
  create(session("s2", "u1"));
  const std::vector<auth::LastUse> uses{{.id = SessionId("gone"), .at = at(5'000'000)},
                                        {.id = SessionId("s1"), .at = at(5'000'000)},
                                        {.id = SessionId("s2"), .at = at(1)}};
  value_of(store().touch(uses));
  EXPECT_EQ(row("s1").last_used_at, at(5'000'000));
  EXPECT_EQ(row("s2"), session("s2", "u1"));
  EXPECT_EQ(live().size(), 2U);
  value_of(store().touch({}));
}

// ── sessions: ends
// ────────────────────────────────────────────────────────────────────────────────────────────────────

TEST_P(StoreContract, DeletesDoNotComplainOfMissingRows) {
  EXPECT_EQ(value_of(store().delete_session(SessionId("none"))), 0U);
  EXPECT_EQ(value_of(store().delete_family("none")), 0U);
  EXPECT_EQ(value_of(store().delete_sessions_of_user("none")), 0U);
  EXPECT_EQ(value_of(store().delete_other_sessions("none", "none")), 0U);
  EXPECT_EQ(value_of(store().delete_all_sessions()), 0U);
  EXPECT_EQ(value_of(store().delete_dead(at(1), Milliseconds(0), 10)), 0U);
  EXPECT_EQ(value_of(store().delete_dead_sessions_of_user("none", at(1), Milliseconds(0))), 0U);
  EXPECT_FALSE(value_of(store().delete_user("none")));
  value_of(store().delete_key("username:none"));
}

TEST_P(StoreContract, DeleteSessionDeletesThatRowOnly) {
  create_login("u1", "s1");
  create(session("s2", "u1"));
  EXPECT_EQ(value_of(store().delete_session(SessionId("s1"))), 1U);
  EXPECT_THAT(live(), testing::ElementsAre("s2"));
}

TEST_P(NativeContract, DeleteFamilyTakesItsRotatedIdsAndNoOthers) {
  const SessionRow old = create_login("u1", "s1");
  value_of(store().rotate(rotation(old, "s2"), {}));
  value_of(store().rotate(rotation(row("s2"), "s3"), {}));
  create(session("t1", "u1"));
  value_of(store().rotate(rotation(row("t1"), "t2"), {}));
  EXPECT_EQ(value_of(store().delete_family(old.family)), 1U);
  EXPECT_THAT(live(), testing::ElementsAre("t2"));
  EXPECT_FALSE(is_rotated("s1"));
  EXPECT_FALSE(is_rotated("s2"));
  EXPECT_TRUE(is_rotated("t1"));
}

TEST_P(NativeContract, AFamilyWithoutALiveRowStillLosesItsRotatedIds) {
  const SessionRow old = create_login("u1", "s1");
  value_of(store().rotate(rotation(old, "s2"), {}));
  value_of(store().delete_session(SessionId("s2")));
  EXPECT_EQ(value_of(store().delete_family(old.family)), 0U);
  EXPECT_FALSE(is_rotated("s1"));
}

TEST_P(NativeContract, DeleteSessionsOfAUserSparesEverybodyElse) {
  value_of(store().rotate(rotation(create_login("u1", "s1"), "s2"), {}));
  create(session("s3", "u1"));
  value_of(store().rotate(rotation(create_login("u2", "t1"), "t2"), {}));
  EXPECT_EQ(value_of(store().delete_sessions_of_user("u1")), 2U);
  EXPECT_THAT(live(), testing::ElementsAre("t2"));
  EXPECT_FALSE(is_rotated("s1"));
  EXPECT_TRUE(is_rotated("t1"));
}

TEST_P(NativeContract, DeleteOtherSessionsKeepsTheFamily) {
  const SessionRow kept = create_login("u1", "s1");
  value_of(store().rotate(rotation(kept, "s2"), {}));
  create(session("o1", "u1"));
  value_of(store().rotate(rotation(row("o1"), "o2"), {}));
  create(session("o3", "u1"));
  value_of(store().rotate(rotation(create_login("u2", "t1"), "t2"), {}));
  EXPECT_EQ(value_of(store().delete_other_sessions("u1", kept.family)), 2U);
  EXPECT_THAT(live(), testing::UnorderedElementsAre("s2", "t2"));
  EXPECT_TRUE(is_rotated("s1"));
  EXPECT_FALSE(is_rotated("o1"));
  EXPECT_TRUE(is_rotated("t1"));
}

TEST_P(NativeContract, DeleteAllSessionsLeavesUsersAndKeys) {
  value_of(store().rotate(rotation(create_login("u1", "s1"), "s2"), {}));
  create_login("u2", "t1");
  create(key("k", "u1"));
  EXPECT_EQ(value_of(store().delete_all_sessions()), 2U);
  EXPECT_TRUE(live().empty());
  EXPECT_FALSE(is_rotated("s1"));
  EXPECT_EQ(value_of(store().all_users()).size(), 2U);
  EXPECT_TRUE(value_of(store().find_key("username:k")));
}

TEST_P(NativeContract, DeleteDeadTakesWhatExpiredBeforeAndNotTheExactMillisecond) {
  const SessionRow old = create_login("u1", "s1");
  EXPECT_EQ(value_of(store().delete_dead(old.idle_expires, Milliseconds(0), 100)), 0U);
  EXPECT_EQ(value_of(store().delete_dead(old.idle_expires + Milliseconds(1), Milliseconds(0), 100)), 1U);
  EXPECT_TRUE(live().empty());
}

TEST_P(NativeContract, DeleteDeadTakesRotatedIdsByTheirOwnExpiry) {
  const SessionRow old = create_login("u1", "s1");
  value_of(store().rotate(rotation(old, "s2"), {}));
  EXPECT_EQ(value_of(store().delete_dead(old.idle_expires, Milliseconds(0), 100)), 0U);
  EXPECT_EQ(value_of(store().delete_dead(old.idle_expires + Milliseconds(1), Milliseconds(0), 100)), 1U);
  EXPECT_FALSE(is_rotated("s1"));
  EXPECT_TRUE(is_live("s2"));
}

TEST_P(NativeContract, DeleteDeadTakesWhatIsPastItsLifetime) {
  create(user("u1"));
  SessionRow old = session("s1", "u1");
  old.idle_expires = at(900'000'000);
  create(old);
  const Milliseconds lifetime(10'000);
  EXPECT_EQ(value_of(store().delete_dead(old.created_at + lifetime, Milliseconds(0), 100)), 0U);
  EXPECT_EQ(value_of(store().delete_dead(old.created_at + lifetime, lifetime, 100)), 0U);
  EXPECT_EQ(value_of(store().delete_dead(old.created_at + lifetime + Milliseconds(1), lifetime, 100)), 1U);
}

TEST_P(NativeContract, DeleteDeadStopsAtItsLimitAndCountsBothTables) {
  create(user("u1"));
  for (int i = 0; i < 5; ++i) create(session("s" + std::to_string(i), "u1"));
  for (int i = 0; i < 3; ++i) {
    const SessionRow old = row("s" + std::to_string(i));
    value_of(store().rotate(rotation(old, "r" + std::to_string(i)), {}));
  }
  const Timestamp later = at(99'000'000);
  EXPECT_EQ(value_of(store().delete_dead(later, Milliseconds(0), 0)), 0U);
  EXPECT_EQ(value_of(store().delete_dead(later, Milliseconds(0), 4)), 4U);
  EXPECT_EQ(value_of(store().delete_dead(later, Milliseconds(0), 3)), 3U);
  EXPECT_EQ(value_of(store().delete_dead(later, Milliseconds(0), 100)), 1U);
  EXPECT_TRUE(live().empty());
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(is_rotated("s" + std::to_string(i)));
}

TEST_P(NativeContract, DeleteDeadSessionsOfAUserTakesTheirsAndSparesTheExactMillisecond) {
  const SessionRow old = create_login("u1", "s1");
  create(session("s2", "u1", 2'000'000));
  create_login("u2", "t1");
  EXPECT_EQ(value_of(store().delete_dead_sessions_of_user("u1", old.idle_expires, Milliseconds(0))), 0U);
  const Timestamp later = old.idle_expires + Milliseconds(1);
  for (const std::string& id : lookalikes("u1")) {
    EXPECT_EQ(value_of(store().delete_dead_sessions_of_user(id, later, Milliseconds(0))), 0U) << id;
  }
  EXPECT_EQ(value_of(store().delete_dead_sessions_of_user("u1", later, Milliseconds(0))), 1U);
  EXPECT_THAT(live(), testing::UnorderedElementsAre("s2", "t1"));
}

TEST_P(NativeContract, DeleteDeadSessionsOfAUserTakesWhatIsPastItsLifetime) {
  const SessionRow old = create_login("u1", "s1");
  const Milliseconds lifetime(1'000);
  const Timestamp end = old.created_at + lifetime;
  EXPECT_EQ(value_of(store().delete_dead_sessions_of_user("u1", end, lifetime)), 0U);
  EXPECT_EQ(value_of(store().delete_dead_sessions_of_user("u1", end + Milliseconds(1), Milliseconds(0))), 0U);
  EXPECT_EQ(value_of(store().delete_dead_sessions_of_user("u1", end + Milliseconds(1), lifetime)), 1U);
}

// ── users
// ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST_P(StoreContract, AUserIsFoundByIdAndByName) {
  create(user("u1"));
  EXPECT_EQ(value_of(store().find_user("u1")), kept(user("u1")));
  EXPECT_EQ(value_of(store().find_user_by_username("name-of-u1")), kept(user("u1")));
}

TEST_P(StoreContract, AUserAndAKeyAreWrittenTogether) {
  value_of(store().create_user({.user = user("u1"), .key = key("k", "u1")}));
  EXPECT_EQ(value_of(store().find_user("u1")), kept(user("u1")));
  EXPECT_EQ(value_of(store().find_key("username:k")), key("k", "u1"));
}

TEST_P(StoreContract, FurtherColumnsReadEmptyWhereNothingWasWritten) {
  User plain = user("u1");
  plain.attributes.clear();
  plain.roles.clear();
  create(plain);
  const User found = present(store().find_user("u1"));
  plain.attributes = {{"city", ""}, {"team", ""}};
  EXPECT_EQ(found.attributes, kept(plain).attributes);
  EXPECT_TRUE(found.roles.empty());
}

TEST_P(StoreContract, ADuplicateUserIdIsRefusedAndNothingIsWritten) {
  create(user("u1"));
  User same_id = user("u1");
  same_id.username = "another";
  EXPECT_EQ(error_of(store().create_user({.user = same_id, .key = key("k", "u1")})), ErrorCode::duplicate_user);
  EXPECT_EQ(value_of(store().find_user("u1")), kept(user("u1")));
  EXPECT_FALSE(value_of(store().find_key("username:k")));
}

TEST_P(StoreContract, ADuplicateUsernameIsRefusedAndNothingIsWritten) {
  create(user("u1"));
  User same_name = user("u2");
  same_name.username = user("u1").username;
  EXPECT_EQ(error_of(store().create_user({.user = same_name, .key = key("k", "u2")})), ErrorCode::duplicate_user);
  EXPECT_FALSE(value_of(store().find_user("u2")));
  EXPECT_FALSE(value_of(store().find_key("username:k")));
}

TEST_P(StoreContract, ADuplicateKeyIsRefusedAndNoUserIsWritten) {
  create(user("u1"));
  create(key("k", "u1"));
  EXPECT_EQ(error_of(store().create_user({.user = user("u2"), .key = key("k", "u2")})), ErrorCode::duplicate_key_id);
  EXPECT_FALSE(value_of(store().find_user("u2")));
  EXPECT_EQ(value_of(store().find_key("username:k")), key("k", "u1"));
}

TEST_P(NativeContract, UsernamesThatDifferInCaseAreDifferent) {
  User lower = user("u1");
  lower.username = "bob";
  User upper = user("u2");
  upper.username = "BOB";
  create(lower);
  create(upper);
  EXPECT_EQ(present(store().find_user_by_username("bob")).id, "u1");
  EXPECT_EQ(present(store().find_user_by_username("BOB")).id, "u2");
}

TEST_P(StoreContract, AnAttributeWithoutAColumnIsRefusedAndNothingIsWritten) {
  for (const std::string column : {"country", "CITY", "email", "id", "", "city\"", "city = 1 --"}) {
    User odd = user("u1");
    odd.attributes[column] = "x";
    EXPECT_EQ(error_of(store().create_user({.user = odd, .key = key("k", "u1")})), ErrorCode::invalid_attribute)
        << column;
  }
  EXPECT_TRUE(value_of(store().all_users()).empty());
  EXPECT_FALSE(value_of(store().find_key("username:k")));
}

TEST_P(StoreContract, ARoleThatAListCannotHoldIsRefused) {
  create(user("u1"));
  for (const std::string role : {"a,b", " a", "a ", "", ","}) {
    User odd = user("u2");
    odd.roles = {"fine", role};
    EXPECT_EQ(error_of(store().create_user({.user = odd, .key = {}})), ErrorCode::invalid_attribute) << role;
    auth::UserChange change;
    change.roles = odd.roles;
    EXPECT_EQ(error_of(store().update_user("u1", change)), ErrorCode::invalid_attribute) << role;
  }
  EXPECT_EQ(value_of(store().find_user("u1")), kept(user("u1")));
}

TEST_P(StoreContract, AllUsersAreOrderedByUsername) {
  for (const std::string id : {"m", "z", "a"}) create(user(id));
  EXPECT_THAT(value_of(store().all_users()), testing::ElementsAre(kept(user("a")), kept(user("m")), kept(user("z"))));
}

TEST_P(StoreContract, UpdateUserChangesWhatIsGivenAndNothingElse) {
  create(user("u1"));
  create(user("u2"));
  User expected = kept(user("u1"));

  auth::UserChange name_only;
  name_only.name = expected.name = "";
  value_of(store().update_user("u1", name_only));
  EXPECT_EQ(value_of(store().find_user("u1")), expected);

  auth::UserChange rest;
  rest.username = expected.username = "new-name";
  rest.email = expected.email = "new@example.org";
  rest.roles = expected.roles = {};
  rest.disabled = expected.disabled = true;
  rest.attributes["team"] = expected.attributes["team"] = "day";
  value_of(store().update_user("u1", rest));
  EXPECT_EQ(value_of(store().find_user("u1")), expected);
  EXPECT_EQ(value_of(store().find_user_by_username("new-name")), expected);
  EXPECT_EQ(value_of(store().find_user("u2")), kept(user("u2")));
}

TEST_P(StoreContract, UpdateUserToWhatItIsAlreadyIsNoError) {
  create(user("u1"));
  auth::UserChange same;
  same.username = user("u1").username;
  same.disabled = false;
  value_of(store().update_user("u1", same));
  value_of(store().update_user("u1", {}));
  EXPECT_EQ(value_of(store().find_user("u1")), kept(user("u1")));
}

TEST_P(StoreContract, UpdatingAnUnknownUserIsRefused) {
  auth::UserChange change;
  change.name = "x";
  EXPECT_EQ(error_of(store().update_user("u1", change)), ErrorCode::invalid_user_id);
  EXPECT_EQ(error_of(store().update_user("u1", {})), ErrorCode::invalid_user_id);
}

TEST_P(StoreContract, UpdateUserRefusesATakenNameAndAMissingColumnAndChangesNothing) {
  create(user("u1"));
  create(user("u2"));
  auth::UserChange taken;
  taken.email = "changed@example.org";
  taken.username = user("u2").username;
  EXPECT_EQ(error_of(store().update_user("u1", taken)), ErrorCode::duplicate_user);
  for (const std::string column : {"country", "TEAM", "username", "id"}) {
    auth::UserChange missing;
    missing.email = "changed@example.org";
    missing.attributes[column] = "x";
    EXPECT_EQ(error_of(store().update_user("u1", missing)), ErrorCode::invalid_attribute) << column;
  }
  EXPECT_EQ(value_of(store().find_user("u1")), kept(user("u1")));
}

TEST_P(StoreContract, AChangedUserShowsInTheNextFindSession) {
  create_login("u1", "s1");
  auth::UserChange change;
  change.email = "changed@example.org";
  value_of(other_process().update_user("u1", change));
  EXPECT_EQ(present(store().find_session(SessionId("s1"))).user.email, "changed@example.org");
}

TEST_P(NativeContract, DeleteUserTakesKeysSessionsAndRotatedIdsOfThatUserOnly) {
  value_of(store().rotate(rotation(create_login("u1", "s1"), "s2"), {}));
  create(key("k1", "u1"));
  value_of(store().rotate(rotation(create_login("u2", "t1"), "t2"), {}));
  create(key("k2", "u2"));
  EXPECT_TRUE(value_of(store().delete_user("u1")));
  EXPECT_FALSE(value_of(store().find_user("u1")));
  EXPECT_FALSE(value_of(store().find_key("username:k1")));
  EXPECT_FALSE(is_rotated("s1"));
  EXPECT_THAT(live(), testing::ElementsAre("t2"));
  EXPECT_TRUE(is_rotated("t1"));
  EXPECT_TRUE(value_of(store().find_key("username:k2")));
  EXPECT_EQ(value_of(store().find_user("u2")), user("u2"));
  EXPECT_FALSE(value_of(store().delete_user("u1")));
}

TEST_P(StoreContract, ADeletedUsersNameAndKeyAreFreeAgain) {
  value_of(store().create_user({.user = user("u1"), .key = key("k", "u1")}));
  value_of(store().delete_user("u1"));
  value_of(store().create_user({.user = user("u1"), .key = key("k", "u1")}));
  EXPECT_EQ(value_of(store().keys_of_user("u1")).size(), 1U);
}

// ── keys
// ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST_P(StoreContract, KeysAreStoredWithAndWithoutAPassword) {
  create(user("u1"));
  Key without = key("b", "u1");
  without.hashed_password = std::nullopt;
  Key empty = key("c", "u1");
  empty.hashed_password = "";
  create(key("a", "u1"));
  create(without);
  create(empty);
  EXPECT_EQ(value_of(store().find_key("username:a")), key("a", "u1"));
  EXPECT_EQ(value_of(store().find_key("username:b")), without);
  EXPECT_EQ(value_of(store().find_key("username:c")), empty);
}

TEST_P(StoreContract, AKeyOfAnUnknownUserIsRefused) {
  EXPECT_EQ(error_of(store().create_key(key("k", "nobody"))), ErrorCode::invalid_user_id);
  EXPECT_FALSE(value_of(store().find_key("username:k")));
}

TEST_P(StoreContract, ADuplicateKeyIdIsRefusedAndTheFirstStays) {
  create(user("u1"));
  create(user("u2"));
  create(key("k", "u1"));
  EXPECT_EQ(error_of(store().create_key(key("k", "u2"))), ErrorCode::duplicate_key_id);
  EXPECT_EQ(value_of(store().find_key("username:k")), key("k", "u1"));
}

TEST_P(NativeContract, KeysThatDifferInCaseAreDifferent) {
  create(user("u1"));
  create(user("u2"));
  create(key("bob", "u1"));
  create(key("BOB", "u2"));
  EXPECT_EQ(present(store().find_key("username:bob")).user_id, "u1");
  EXPECT_EQ(present(store().find_key("username:BOB")).user_id, "u2");
}

TEST_P(StoreContract, KeysOfAUserAreTheirs) {
  create(user("u1"));
  create(user("u2"));
  create(key("a", "u1"));
  create(key("b", "u2"));
  create(key("c", "u1"));
  EXPECT_THAT(value_of(store().keys_of_user("u1")), testing::UnorderedElementsAre(key("a", "u1"), key("c", "u1")));
}

TEST_P(StoreContract, UpdateKeyPasswordChangesThatKeyOnly) {
  create(user("u1"));
  create(key("a", "u1"));
  create(key("b", "u1"));
  value_of(store().update_key_password("username:a", "another hash"));
  EXPECT_EQ(present(store().find_key("username:a")).hashed_password, "another hash");
  EXPECT_EQ(value_of(store().find_key("username:b")), key("b", "u1"));
  value_of(store().update_key_password("username:a", "another hash"));
  value_of(store().update_key_password("username:a", std::nullopt));
  EXPECT_EQ(present(store().find_key("username:a")).hashed_password, std::nullopt);
}

TEST_P(StoreContract, ANewPasswordEndsTheSessionsOfItsUserOnly) {
  create_login("u1", "s1");
  create(session("s2", "u1"));
  create_login("u2", "t1");
  create(key("a", "u1"));
  EXPECT_EQ(value_of(store().update_key_password("username:a", "another hash")), 2U);
  EXPECT_THAT(live(), testing::ElementsAre("t1"));
}

TEST_P(StoreContract, DisablingAUserEndsTheirSessionsOnly) {
  create_login("u1", "s1");
  create_login("u2", "t1");
  auth::UserChange change;
  change.disabled = true;
  EXPECT_EQ(value_of(store().update_user("u1", change)), 1U);
  EXPECT_THAT(live(), testing::ElementsAre("t1"));
  change.disabled = false;
  EXPECT_EQ(value_of(store().update_user("u2", change)), 0U);
  EXPECT_THAT(live(), testing::ElementsAre("t1"));
}

TEST_P(StoreContract, AKeyIsRehashedIfItIsAsItWasReadAndEndsNoSession) {
  create_login("u1", "s1");
  create(user("u2"));
  Key read = key("a", "u1");
  create(read);
  for (const std::string& hash : lookalikes(*read.hashed_password)) {
    EXPECT_FALSE(value_of(store().rehash_key({.id = read.id, .user_id = "u1", .hashed_password = hash}, "x"))) << hash;
  }
  EXPECT_FALSE(
      value_of(store().rehash_key({.id = read.id, .user_id = "u2", .hashed_password = read.hashed_password}, "x")));
  EXPECT_TRUE(value_of(store().rehash_key(read, "hashed anew")));
  EXPECT_FALSE(value_of(store().rehash_key(read, "hashed again"))) << "somebody else did";
  read.hashed_password = "hashed anew";
  EXPECT_EQ(value_of(store().find_key(read.id)), read);
  EXPECT_THAT(live(), testing::ElementsAre("s1"));
}

TEST_P(StoreContract, UpdatingAnUnknownKeyIsRefused) {
  EXPECT_EQ(error_of(store().update_key_password("username:k", "hash")), ErrorCode::invalid_key_id);
}

TEST_P(StoreContract, DeleteKeyDeletesThatKeyOnly) {
  create(user("u1"));
  create(key("a", "u1"));
  create(key("b", "u1"));
  value_of(store().delete_key("username:a"));
  EXPECT_THAT(value_of(store().keys_of_user("u1")), testing::ElementsAre(key("b", "u1")));
}

TEST_P(SingleUseKeyContract, ASingleUseKeyIsStoredWithItsExpiry) {
  create(user("u1"));
  Key without = single_use_key("b", "u1");
  without.hashed_password = std::nullopt;
  create(single_use_key("a", "u1"));
  create(without);
  EXPECT_EQ(value_of(store().find_key("username:a")), single_use_key("a", "u1"));
  EXPECT_EQ(value_of(store().find_key("username:b")), without);
  EXPECT_THAT(value_of(store().keys_of_user("u1")), testing::UnorderedElementsAre(single_use_key("a", "u1"), without));
}

TEST_P(SingleUseKeyContract, ANewPasswordLeavesASingleUseKeyItsExpiry) {
  create(user("u1"));
  Key changed = single_use_key("a", "u1");
  create(changed);
  value_of(store().update_key_password(changed.id, "another hash"));
  changed.hashed_password = "another hash";
  EXPECT_EQ(value_of(store().find_key(changed.id)), changed);
}

TEST_P(SingleUseKeyContract, ConsumeKeyDeletesThatKeyOnceWhateverTheTime) {
  create(user("u1"));
  Key expired = single_use_key("old", "u1");
  expired.expires = at(1);
  create(expired);
  create(single_use_key("a", "u1"));
  create(single_use_key("b", "u1"));
  EXPECT_TRUE(value_of(store().consume_key(single_use_key("a", "u1"))));
  EXPECT_FALSE(value_of(other_process().consume_key(single_use_key("a", "u1"))));
  EXPECT_TRUE(value_of(store().consume_key(expired)));
  EXPECT_THAT(value_of(store().keys_of_user("u1")), testing::ElementsAre(single_use_key("b", "u1")));
}

TEST_P(SingleUseKeyContract, AKeyWithoutAPasswordIsConsumedToo) {
  create(user("u1"));
  Key without = single_use_key("a", "u1");
  without.hashed_password = std::nullopt;
  create(without);
  EXPECT_TRUE(value_of(store().consume_key(without)));
  EXPECT_FALSE(value_of(store().find_key(without.id)));
}

TEST_P(SingleUseKeyContract, AKeyThatIsNotAsItWasReadIsNotConsumed) {
  create(user("u1"));
  create(user("u2"));
  const Key stored = single_use_key("abc", "u1");
  create(stored);
  std::vector<Key> others(5, stored);
  others[0].user_id = "u2";
  others[1].hashed_password = "another hash";
  others[2].hashed_password = std::nullopt;
  others[3].expires = *stored.expires + Milliseconds(1);
  others[4].expires = std::nullopt;
  for (const std::string& id : lookalikes(stored.id))
    others.push_back({id, "u1", stored.hashed_password, stored.expires});
  for (const std::string& hash : lookalikes(*stored.hashed_password))
    others.push_back({stored.id, "u1", hash, stored.expires});
  for (const Key& other : others)
    EXPECT_FALSE(value_of(store().consume_key(other))) << testing::PrintToString(other.id);
  EXPECT_EQ(value_of(store().find_key(stored.id)), stored);
}

TEST_P(StoreContract, APersistentKeyIsNeverConsumed) {
  create(user("u1"));
  create(key("a", "u1"));
  EXPECT_FALSE(value_of(store().consume_key(key("a", "u1"))));
  EXPECT_FALSE(value_of(store().consume_key(single_use_key("a", "u1"))));
  EXPECT_EQ(value_of(store().find_key("username:a")), key("a", "u1"));
}

// Lucia 1.x: tables that know primary keys read them back as such, and then only their user's end ends them.
TEST_P(SingleUseKeyContract, AKeyThatReadsBackAsPrimaryIsSparedAndAnyOtherIsDeleted) {
  Key first = key("first", "u1");
  first.primary = true;
  value_of(store().create_user({.user = user("u1"), .key = first}));
  create(key("second", "u1"));
  create(single_use_key("third", "u1"));
  const bool is_primary = present(store().find_key(first.id)).primary;
  EXPECT_FALSE(present(store().find_key("username:second")).primary);
  for (const Key& one : value_of(store().keys_of_user("u1"))) value_of(store().delete_key(one.id));
  EXPECT_EQ(value_of(store().keys_of_user("u1")).size(), is_primary ? 1U : 0U);
  EXPECT_TRUE(value_of(store().delete_user("u1")));
  EXPECT_FALSE(value_of(store().find_key(first.id)));
}

TEST_P(SingleUseKeyContract, TheEndOfAUserTakesSingleUseKeysTooAndNobodyElses) {
  value_of(store().create_user({.user = user("u1"), .key = key("a", "u1")}));
  create(single_use_key("b", "u1"));
  value_of(store().create_user({.user = user("u2"), .key = key("c", "u2")}));
  create(single_use_key("d", "u2"));
  value_of(store().delete_user("u1"));
  EXPECT_TRUE(value_of(store().keys_of_user("u1")).empty());
  EXPECT_THAT(value_of(store().keys_of_user("u2")),
              testing::UnorderedElementsAre(key("c", "u2"), single_use_key("d", "u2")));
}

// ── operations
// ────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST_P(StoreContract, AMigratedStoreSaysSo) {
  const auto status = value_of(store().schema_status());
  EXPECT_TRUE(status.is_current());
  EXPECT_GT(status.version, 0);
}

TEST_P(NativeContract, MigratingAgainChangesNothing) {
  const SessionRow made = create_login("u1", "s1");
  EXPECT_TRUE(value_of(store().migrate()).is_current());
  EXPECT_TRUE(value_of(other_process().migrate()).is_current());
  EXPECT_EQ(row("s1"), made);
  EXPECT_EQ(value_of(store().find_user("u1")), user("u1"));
}

// ── races
// ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST_P(StoreContract, WhatOneProcessWritesTheOtherReadsAtOnce) {
  const SessionRow made = create_login("u1", "s1");
  EXPECT_EQ(present(other_process().find_session(made.id)).session, made);
  value_of(other_process().delete_session(made.id));
  EXPECT_FALSE(is_live("s1"));
}

TEST_P(NativeContract, ManyRotationsOfOneIdMakeOneSuccessor) {
  const SessionRow old = create_login("u1", "s0");
  constexpr int kThreads = 8;
  std::barrier start(kThreads);
  std::vector<RotationOutcome> outcomes(kThreads, RotationOutcome::gone);
  std::vector<std::jthread> threads;
  threads.reserve(kThreads);
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      auth::Store& mine = i % 2 == 0 ? store() : other_process();
      start.arrive_and_wait();
      const auto outcome = mine.rotate(rotation(old, "successor-" + std::to_string(i)), {});
      EXPECT_TRUE(outcome) << outcome.error().detail;
      if (outcome) outcomes[static_cast<std::size_t>(i)] = *outcome;
    });
  }
  threads.clear();
  EXPECT_EQ(std::ranges::count(outcomes, RotationOutcome::rotated), 1);
  EXPECT_EQ(std::ranges::count(outcomes, RotationOutcome::already_rotated), kThreads - 1);
  EXPECT_EQ(live().size(), 1U);
}

// 200 uses in all. Lucia reads, then deletes without looking: of 4 at once, 2 to 4 succeed.
TEST_P(SingleUseKeyContract, OfManyUsesOfASingleUseKeyOneWins) {
  create(user("u1"));
  const Key shared = single_use_key("k", "u1");
  create(shared);
  constexpr int kThreads = 20;
  constexpr int kUses = 10;
  std::barrier start(kThreads);
  std::atomic<int> wins = 0;
  std::vector<std::jthread> threads;
  threads.reserve(kThreads);
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      auth::Store& mine = i % 2 == 0 ? store() : other_process();
      start.arrive_and_wait();
      for (int use = 0; use < kUses; ++use) {
        const auto consumed = mine.consume_key(shared);
        EXPECT_TRUE(consumed) << consumed.error().detail;
        if (consumed && *consumed) ++wins;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(wins, 1);
  EXPECT_FALSE(value_of(store().find_key(shared.id)));
}

/// Runs both at once, `rounds` times, each after `prepare` and before `check`.
inline void race(int rounds, const std::function<void(int)>& prepare, const std::function<void(int)>& one,
                 const std::function<void(int)>& other, const std::function<void(int)>& check) {
  std::barrier step(3);
  const auto run = [&](const std::function<void(int)>& work) {
    for (int i = 0; i < rounds; ++i) {
      step.arrive_and_wait();
      work(i);
      step.arrive_and_wait();
    }
  };
  const std::jthread first([&] { run(one); });
  const std::jthread second([&] { run(other); });
  for (int i = 0; i < rounds; ++i) {
    prepare(i);
    step.arrive_and_wait();
    step.arrive_and_wait();
    check(i);
  }
}

TEST_P(NativeContract, ARotationRacingALogoutEndsLoggedOut) {
  create(user("u1"));
  const auto old = [](int i) { return session("s" + std::to_string(i), "u1"); };
  race(
      200, [&](int i) { EXPECT_TRUE(store().create_session(old(i), 0)); },
      [&](int i) { EXPECT_TRUE(store().rotate(rotation(old(i), "r" + std::to_string(i)), {})); },
      [&](int i) { EXPECT_TRUE(other_process().delete_family(old(i).family)); },
      [&](int i) {
        EXPECT_EQ(live(), std::vector<std::string>()) << i;
        EXPECT_FALSE(is_rotated("s" + std::to_string(i)));
      });
}

TEST_P(StoreContract, AnExtensionRacingALogoutEndsLoggedOut) {
  create(user("u1"));
  const auto old = [](int i) { return session("s" + std::to_string(i), "u1"); };
  race(
      50, [&](int i) { EXPECT_TRUE(store().create_session(old(i), 0)); },
      [&](int i) {
        EXPECT_TRUE(store().extend(old(i).id, old(i).active_expires, at(8'000'000), at(9'000'000), at(1'001'000), {}));
      },
      [&](int i) { EXPECT_TRUE(other_process().delete_sessions_of_user("u1")) << i; },
      [&](int i) { EXPECT_EQ(live(), std::vector<std::string>()) << i; });
}

TEST_P(StoreContract, ALoginRacingTheDeletionOfItsUserLeavesNoSession) {
  const auto id = [](int i) { return "u" + std::to_string(i); };
  race(
      50, [&](int i) { EXPECT_TRUE(store().create_user({.user = user(id(i)), .key = {}})); },
      [&](int i) {
        const auto made = store().create_session(session("s" + std::to_string(i), id(i)), 0);
        EXPECT_TRUE(made || made.error().code == ErrorCode::invalid_user_id);
      },
      [&](int i) { EXPECT_TRUE(other_process().delete_user(id(i))); },
      [&](int i) { EXPECT_EQ(live(), std::vector<std::string>()) << i; });
}

TEST_P(NativeContract, ReadersAndWritersShareOneStore) {
  create(user("u1"));
  for (int i = 0; i < 8; ++i) create(session("s" + std::to_string(i), "u1"));
  std::vector<std::jthread> threads;
  threads.reserve(8);
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      const SessionRow mine = session("s" + std::to_string(t), "u1");
      for (int i = 1; i <= 20; ++i) {
        const auto found = store().find_session(mine.id);
        ASSERT_TRUE(found) << found.error().detail;
        ASSERT_TRUE(*found);
        const auth::LastUse use{.id = mine.id, .at = mine.last_used_at + Milliseconds(i)};
        const auto touched = store().touch(std::span(&use, 1));
        ASSERT_TRUE(touched) << touched.error().detail;
      }
    });
  }
  threads.clear();
  for (const SessionRow& one : value_of(store().all_sessions())) EXPECT_EQ(one.last_used_at, at(1'000'020));
}

}  // namespace gatehouse::contract
