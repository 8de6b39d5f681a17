// What a store on Lucia's own tables does besides the common contract: what these tables lack, and what their collation
// would have us believe. Instantiated for each engine and version.
#pragma once

#include "contract/lucia_harness.hpp"

namespace gatehouse::contract {

using MakeLuciaHarness = std::unique_ptr<LuciaHarness> (*)();

class LuciaContract : public testing::TestWithParam<MakeLuciaHarness> {
 protected:
  LuciaHarness& harness() { return *harness_; }
  auth::Store& store() { return harness_->store(); }
  [[nodiscard]] bool is_v1() const { return harness_->version() == LuciaVersion::v1; }
  [[nodiscard]] store::TableNames names() const { return harness_->names(); }

  void create_login(const std::string& user_id, const std::string& session_id) {
    value_of(store().create_user({.user = user(user_id), .key = key(user_id, user_id)}));
    value_of(store().create_session(session(session_id, user_id), 0));
  }
  bool is_live(const std::string& id) { return value_of(store().find_session(SessionId(id))).has_value(); }
  SessionRow row(const std::string& id) { return present(store().find_session(SessionId(id))).session; }
  std::vector<std::string> live() {
    std::vector<std::string> texts;
    for (const SessionRow& row : value_of(store().all_sessions())) texts.push_back(row.id.text());
    return texts;
  }

 private:
  std::unique_ptr<LuciaHarness> harness_ = GetParam()();
};

inline constexpr std::int64_t kNow = 1'800'000'000'000;

TEST_P(LuciaContract, TheTablesAreAsTheyMustBeAndMigrationLeavesThemAlone) {
  const auto status = value_of(store().schema_status());
  EXPECT_TRUE(status.is_current());
  EXPECT_THAT(status.problems, testing::IsEmpty());
  EXPECT_TRUE(value_of(store().migrate()).is_current());
}

TEST_P(LuciaContract, AMissingTableOrColumnIsNamedAndNobodyGetsIn) {
  create_login("abc123", "def456");
  harness().run("ALTER TABLE " + names().session + " RENAME COLUMN idle_expires TO idle");
  harness().run("DROP TABLE " + names().key);
  EXPECT_EQ(error_of(harness().other_process().find_session(SessionId("def456"))), ErrorCode::store_not_migrated);
  const auto status = value_of(harness().other_process().schema_status());
  EXPECT_FALSE(status.is_current());
  EXPECT_THAT(status.problems, testing::ElementsAre("table " + names().key + " is missing",
                                                    "table " + names().session + " has no column idle_expires"));
  EXPECT_EQ(error_of(harness().other_process().migrate()), ErrorCode::store_not_migrated);
}

// Lucia's columns have the database's collation: to MySQL "ABC123" is "abc123".
TEST_P(LuciaContract, NoSpellingOfAnIdIsTakenForAnother) {
  create_login("abc123", "def456");
  for (const std::string& id : lookalikes("def456")) EXPECT_FALSE(is_live(id)) << id;
  for (const std::string& id : lookalikes("abc123")) {
    EXPECT_FALSE(value_of(store().find_user(id))) << id;
    EXPECT_TRUE(value_of(store().sessions_of_user(id)).empty()) << id;
    EXPECT_TRUE(value_of(store().keys_of_user(id)).empty()) << id;
    EXPECT_EQ(error_of(store().create_session(session("new", id), 0)), ErrorCode::invalid_user_id) << id;
    EXPECT_EQ(error_of(store().create_key(key("new", id))), ErrorCode::invalid_user_id) << id;
  }
  for (const std::string& id : lookalikes("username:abc123")) EXPECT_FALSE(value_of(store().find_key(id))) << id;
  for (const std::string& text : lookalikes("name-of-abc123")) {
    EXPECT_FALSE(value_of(store().find_user_by_username(text))) << text;
  }
  const std::vector<SessionId> both{SessionId("DEF456"), SessionId("def456")};
  EXPECT_EQ(value_of(store().find_sessions(both)).size(), 1U);
}

TEST_P(LuciaContract, NoSpellingOfAnIdChangesAnother) {
  create_login("abc123", "def456");
  const SessionRow before = row("def456");
  for (const std::string& text : lookalikes("def456")) {
    const SessionId id(text);
    EXPECT_EQ(value_of(store().delete_session(id)), 0U) << text;
    EXPECT_EQ(value_of(store().delete_family(text)), 0U) << text;
    EXPECT_FALSE(
        value_of(store().extend(id, before.active_expires, at(8'000'000), at(9'000'000), before.active_expires, {})));
    EXPECT_EQ(error_of(store().update_session_attributes(id, {{"note", "x"}})), ErrorCode::invalid_session_id) << text;
    EXPECT_EQ(value_of(store().delete_other_sessions("ABC123", text)), 0U) << text;
  }
  for (const std::string& id : lookalikes("abc123")) {
    EXPECT_FALSE(value_of(store().delete_user(id))) << id;
    EXPECT_EQ(value_of(store().delete_sessions_of_user(id)), 0U) << id;
    EXPECT_EQ(value_of(store().delete_dead_sessions_of_user(id, at(kNow), Milliseconds(0))), 0U) << id;
    EXPECT_EQ(error_of(store().update_user(id, {.name = "x"})), ErrorCode::invalid_user_id) << id;
  }
  for (const std::string& id : lookalikes("username:abc123")) {
    value_of(store().delete_key(id));
    EXPECT_EQ(error_of(store().update_key_password(id, "x")), ErrorCode::invalid_key_id) << id;
  }
  EXPECT_EQ(row("def456"), before);
  EXPECT_TRUE(value_of(store().find_key("username:abc123")));
}

TEST_P(LuciaContract, ASessionIsItsOwnFamily) {
  create_login("u1", "s1");
  value_of(store().create_session(session("s2", "u1", 2'000'000), 0));
  value_of(store().create_session(session("s3", "u1", 3'000'000), 0));
  EXPECT_EQ(value_of(store().delete_other_sessions("u1", row("s2").family)), 2U);
  EXPECT_THAT(live(), testing::ElementsAre("s2"));
  value_of(store().replace_family(row("s2").family, session("s4", "u1"), 1));
  EXPECT_THAT(live(), testing::ElementsAre("s4"));
  EXPECT_EQ(value_of(store().delete_family(row("s4").family)), 1U);
}

TEST_P(LuciaContract, AllSessionsOfAUserOrOfEverybodyEnd) {
  create_login("u1", "s1");
  create_login("u2", "t1");
  value_of(store().create_session(session("s2", "u1"), 0));
  EXPECT_EQ(value_of(store().delete_sessions_of_user("u1")), 2U);
  EXPECT_THAT(live(), testing::ElementsAre("t1"));
  EXPECT_EQ(value_of(store().delete_all_sessions()), 1U);
  EXPECT_TRUE(value_of(store().find_key("username:u1")));
}

TEST_P(LuciaContract, TheEndOfAUserTakesKeysAndSessions) {
  create_login("u1", "s1");
  create_login("u2", "t1");
  EXPECT_TRUE(value_of(store().delete_user("u1")));
  EXPECT_FALSE(value_of(store().delete_user("u1")));
  EXPECT_THAT(live(), testing::ElementsAre("t1"));
  EXPECT_FALSE(value_of(store().find_key("username:u1")));
  EXPECT_TRUE(value_of(store().find_key("username:u2")));
}

TEST_P(LuciaContract, ThereIsNoRotation) {
  create_login("u1", "s1");
  EXPECT_EQ(error_of(store().rotate(rotation(row("s1"), "s2"), {})), ErrorCode::invalid_argument);
  EXPECT_EQ(value_of(store().find_rotated(SessionId("s1"))), std::nullopt);
  EXPECT_THAT(live(), testing::ElementsAre("s1"));
}

TEST_P(LuciaContract, ExtendMovesTheExpiriesAndNothingElse) {
  create_login("u1", "s1");
  SessionRow moved = row("s1");
  const Timestamp old_active = moved.active_expires;
  moved.active_expires = at(7'000'000);
  moved.idle_expires = at(9'000'000);
  EXPECT_TRUE(value_of(
      store().extend(moved.id, old_active, moved.active_expires, moved.idle_expires, old_active, std::nullopt)));
  EXPECT_EQ(row("s1"), moved);
  EXPECT_FALSE(value_of(store().extend(moved.id, old_active, at(1), at(2), at(1), std::nullopt))) << "moved meanwhile";
}

TEST_P(LuciaContract, TheSweeperTakesDeadSessionsAndNoneWhoseExpiryIsInSeconds) {
  create_login("u1", "living");
  const auto create = [&](const std::string& id, std::int64_t idle_expires) {
    SessionRow made = session(id, "u1");
    made.active_expires = at(idle_expires);
    made.idle_expires = at(idle_expires);
    value_of(store().create_session(made, 0));
  };
  value_of(store().delete_session(SessionId("living")));
  create("seconds", kNow / 1000);
  create("dead-1", kNow - 2);
  create("dead-2", kNow - 1);
  create("exact", kNow);
  EXPECT_EQ(value_of(store().delete_dead(at(kNow), Milliseconds(0), 1)), 1U) << "a batch";
  EXPECT_EQ(value_of(store().delete_dead(at(kNow), Milliseconds(0), 10)), 1U);
  EXPECT_THAT(live(), testing::UnorderedElementsAre("seconds", "exact"));
  EXPECT_EQ(value_of(store().delete_dead_sessions_of_user("u1", at(kNow + 1), Milliseconds(0))), 1U);
  EXPECT_THAT(live(), testing::ElementsAre("seconds"));
}

TEST_P(LuciaContract, AUserIsFoundByTheKeyOrByTheColumn) {
  value_of(store().create_user({.user = user("u1"), .key = key("signs-in-as", "u1")}));
  EXPECT_EQ(present(store().find_user_by_username("signs-in-as")).id, "u1");
  EXPECT_EQ(present(store().find_user_by_username("name-of-u1")).id, "u1");
}

TEST_P(LuciaContract, OnlyAClearNoInAColumnDisabledLetsIn) {
  create_login("u1", "s1");
  const auto is_disabled = [&](const std::string& value) {
    harness().run("UPDATE " + names().user + " SET disabled = " + value);
    return present(store().find_session(SessionId("s1"))).user.disabled;
  };
  EXPECT_FALSE(is_disabled("NULL"));
  EXPECT_FALSE(is_disabled("0"));
  EXPECT_TRUE(is_disabled("1"));
  EXPECT_TRUE(is_disabled("-1"));
}

TEST_P(LuciaContract, AHashThatIsNullIsNoPassword) {
  create_login("u1", "s1");
  harness().run("UPDATE " + names().key + " SET hashed_password = NULL");
  EXPECT_EQ(present(store().find_key("username:u1")).hashed_password, std::nullopt);
  harness().run("UPDATE " + names().key + " SET hashed_password = ''");
  EXPECT_EQ(present(store().find_key("username:u1")).hashed_password, "");
}

TEST_P(LuciaContract, APrimaryKeyIsSparedWhereLuciaKnowsOne) {
  Key primary = key("u1", "u1");
  primary.primary = true;
  value_of(store().create_user({.user = user("u1"), .key = primary}));
  value_of(store().create_key(key("second", "u1")));
  EXPECT_EQ(present(store().find_key("username:u1")).primary, is_v1());
  EXPECT_FALSE(present(store().find_key("username:second")).primary);
  value_of(store().delete_key("username:u1"));
  value_of(store().delete_key("username:second"));
  EXPECT_EQ(value_of(store().find_key("username:u1")).has_value(), is_v1());
  EXPECT_FALSE(value_of(store().find_key("username:second")));
}

TEST_P(LuciaContract, SingleUseKeysAreLucia1s) {
  create_login("u1", "s1");
  const Key once = single_use_key("once", "u1");
  const auto created = store().create_key(once);
  if (is_v1()) {
    value_of(created);
    EXPECT_EQ(present(store().find_key(once.id)), once);
    EXPECT_TRUE(value_of(store().consume_key(once)));
  } else {
    EXPECT_EQ(error_of(created), ErrorCode::invalid_attribute);
  }
  EXPECT_FALSE(value_of(store().consume_key(once)));
}

TEST_P(LuciaContract, WhatTheUserTableHasNoColumnForIsRefused) {
  create_login("u1", "s1");
  harness().run("ALTER TABLE " + names().user + " RENAME COLUMN roles TO groups_of_user");
  auth::Store& fresh = harness().other_process();
  EXPECT_EQ(error_of(fresh.create_user({.user = user("u2"), .key = key("u2", "u2")})), ErrorCode::invalid_attribute);
  EXPECT_EQ(value_of(fresh.find_user("u2")), std::nullopt);
  EXPECT_EQ(error_of(fresh.update_user("u1", {.roles = std::vector<std::string>{"admin"}})),
            ErrorCode::invalid_attribute);
  User plain = user("u3");
  plain.roles.clear();
  value_of(fresh.create_user({.user = plain, .key = key("u3", "u3")}));
  EXPECT_EQ(present(fresh.find_user("u3")).attributes.at("groups_of_user"), "");
}

// A statement that is kept must not call a column by the name that another one had when it was prepared: the number of
// columns stays the same in all of this, and "admin" would move from one's own column into the roles.
TEST_P(LuciaContract, AColumnIsReadByTheNameThatItHasNow) {
  create_login("u1", "s1");
  EXPECT_EQ(present(store().find_session(SessionId("s1"))).user.roles, user("u1").roles);
  const std::string alter = "ALTER TABLE " + names().user + " RENAME COLUMN ";
  harness().run(alter + "roles TO x");
  auto found = present(store().find_session(SessionId("s1")));
  EXPECT_TRUE(found.user.roles.empty());
  EXPECT_EQ(found.user.attributes.at("x"), "admin,ops");
  harness().run(alter + "city TO roles");
  harness().run(alter + "x TO city");
  found = present(store().find_session(SessionId("s1")));
  EXPECT_EQ(found.user.roles, std::vector<std::string>{"Zürich"});
  EXPECT_EQ(found.user.attributes.at("city"), "admin,ops");
  EXPECT_EQ(present(store().find_user("u1")), found.user);
}

TEST_P(LuciaContract, AKnownColumnMayBeSpeltInCapitals) {
  create_login("u1", "s1");
  harness().run("ALTER TABLE " + names().user + " RENAME COLUMN disabled TO Disabled");
  harness().run("ALTER TABLE " + names().user + " RENAME COLUMN email TO EMail");
  auth::UserChange change;
  change.disabled = true;
  change.email = "x@example.org";
  EXPECT_EQ(value_of(harness().other_process().update_user("u1", change)), 1U);
  const User found = present(harness().other_process().find_user("u1"));
  EXPECT_TRUE(found.disabled);
  EXPECT_EQ(found.email, "x@example.org");
}

TEST_P(LuciaContract, AnApplicationsOwnColumnsAreAttributesWhateverTheirNames) {
  create_login("u1", "s1");
  harness().run("ALTER TABLE " + names().session + " ADD COLUMN family VARCHAR(20)");
  harness().run("ALTER TABLE " + names().session + " ADD COLUMN device VARCHAR(20)");
  harness().run("UPDATE " + names().session + " SET family = 'Doe', device = 'phone'");
  harness().run("UPDATE " + names().user + " SET created_at = '2020-01-01 10:00:00'");
  const auto found = present(harness().other_process().find_session(SessionId("s1")));
  EXPECT_EQ(found.session.family, "s1");
  EXPECT_EQ(found.session.attributes.at("family"), "Doe");
  EXPECT_EQ(found.session.attributes.at("device"), "phone");
  EXPECT_EQ(found.user.attributes.at("created_at"), "2020-01-01 10:00:00");
}

}  // namespace gatehouse::contract
