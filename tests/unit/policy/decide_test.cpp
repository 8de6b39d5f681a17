#include "policy/decide.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace gatehouse::policy {
namespace {

using Require = std::map<std::string, std::vector<std::string>>;

auth::User alice() {
  auth::User user;
  user.id = "u1";
  user.username = "alice";
  user.name = "Alice A.";
  user.email = "alice@example.org";
  user.roles = {"admin", "staff"};
  user.attributes = {{"department", "physics"}, {"phone", ""}};
  return user;
}

auth::User disabled_alice() {
  auto user = alice();
  user.disabled = true;
  return user;
}

Route route(Access access, Require require = {}) {
  Route made;
  made.path = PathPattern::parse("/**").value();
  made.access = access;
  made.require = std::move(require);
  return made;
}

std::string outcome(const Decision& decision) {
  if (const auto* denied = std::get_if<Denied>(&decision)) return std::string(describe(denied->why));
  return "allowed";
}

const auto kNoRoute = std::string(describe(Refusal::no_route));
const auto kDeniedRoute = std::string(describe(Refusal::denied_route));
const auto kNoSession = std::string(describe(Refusal::no_session));
const auto kNotPermitted = std::string(describe(Refusal::not_permitted));

TEST(Decision, IsDeniedByDefault) {
  EXPECT_EQ(outcome(Decision()), kNoRoute);
  const Route made;
  EXPECT_EQ(outcome(decide(&made, nullptr)), kDeniedRoute);
}

TEST(Decide, EveryAccessForEveryVisitor) {
  const auto user = alice();
  const auto disabled = disabled_alice();
  const Require staff{{"roles", {"staff"}}};
  const Require ops{{"roles", {"ops"}}};
  struct Row {
    Route route;
    std::string stranger, disabled, user;
  };
  const std::vector<Row> table{
      {route(Access::deny), kDeniedRoute, kDeniedRoute, kDeniedRoute},
      {route(Access::deny, staff), kDeniedRoute, kDeniedRoute, kDeniedRoute},
      {route(Access::authenticated), kNoSession, kNoSession, "allowed"},
      {route(Access::authenticated, staff), kNoSession, kNoSession, "allowed"},
      {route(Access::authenticated, ops), kNoSession, kNoSession, kNotPermitted},
      {route(Access::public_), "allowed", "allowed", "allowed"},
      {route(Access::public_, staff), kNoSession, kNoSession, "allowed"},
      {route(Access::public_, ops), kNoSession, kNoSession, kNotPermitted},
  };
  for (std::size_t row = 0; row < table.size(); ++row) {
    EXPECT_EQ(outcome(decide(&table[row].route, nullptr)), table[row].stranger) << row;
    EXPECT_EQ(outcome(decide(&table[row].route, &disabled)), table[row].disabled) << row;
    EXPECT_EQ(outcome(decide(&table[row].route, &user)), table[row].user) << row;
  }
}

TEST(Decide, NoRouteIsARefusalForEverybody) {
  const auto user = alice();
  EXPECT_EQ(outcome(decide(nullptr, nullptr)), kNoRoute);
  EXPECT_EQ(outcome(decide(nullptr, &user)), kNoRoute);
}

TEST(Decide, AnUnknownAccessIsARefusal) {
  const auto user = alice();
  // A corrupt value is the point.
  const auto made = route(static_cast<Access>(77));  // NOLINT(clang-analyzer-optin.core.EnumCastOutOfRange)
  EXPECT_EQ(outcome(decide(&made, &user)), kDeniedRoute);
}

TEST(Decide, TheDecisionNamesItsRoute) {
  const auto user = alice();
  const auto open = route(Access::public_);
  const auto closed = route(Access::deny);
  const auto allowed = decide(&open, &user);
  const auto denied = decide(&closed, &user);
  ASSERT_TRUE(std::holds_alternative<Allowed>(allowed));
  EXPECT_EQ(std::get<Allowed>(allowed).route, &open);
  ASSERT_TRUE(std::holds_alternative<Denied>(denied));
  EXPECT_EQ(std::get<Denied>(denied).route, &closed);
}

TEST(Decide, EveryRequirementIsMetByAnyOfItsValues) {
  const auto user = alice();
  struct Row {
    Require require;
    bool is_met;
  };
  const std::vector<Row> table{
      {{{"roles", {"admin"}}}, true},
      {{{"roles", {"ops", "staff"}}}, true},
      {{{"roles", {"ops", "root"}}}, false},
      {{{"roles", {"Admin"}}}, false},
      {{{"roles", {"adm"}}}, false},
      {{{"roles", {"adm*"}}}, true},
      {{{"roles", {"admin, staff"}}}, false},
      {{{"email", {"*@example.org"}}}, true},
      {{{"email", {"*@example.com"}}}, false},
      {{{"roles", {"admin"}}, {"email", {"*@example.org"}}}, true},
      {{{"roles", {"admin"}}, {"email", {"*@example.com"}}}, false},
      {{{"roles", {"ops"}}, {"email", {"*@example.org"}}}, false},
      {{{"id", {"u1"}}, {"username", {"alice"}}, {"name", {"Alice *"}}}, true},
      {{{"department", {"physics", "maths"}}}, true},
      {{{"department", {"maths"}}}, false},
      {{{"absent", {"*"}}}, false},
      {{{"absent", {""}}}, false},
      {{{"phone", {"*"}}}, false},
      {{{"phone", {""}}}, false},
      {{{"roles", {}}}, false},
      {{{"Roles", {"admin"}}}, false},
      {{{"disabled", {"*"}}}, false},
  };
  for (std::size_t row = 0; row < table.size(); ++row) {
    const auto made = route(Access::authenticated, table[row].require);
    EXPECT_EQ(outcome(decide(&made, &user)), table[row].is_met ? "allowed" : kNotPermitted) << row;
  }
}

TEST(Decide, AUserWithoutRolesMeetsNoRole) {
  auto user = alice();
  user.roles.clear();
  const auto made = route(Access::authenticated, {{"roles", {"*"}}});
  EXPECT_EQ(outcome(decide(&made, &user)), kNotPermitted);
}

TEST(Attribute, IsOneValueEveryRoleOrNone) {
  const auto user = alice();
  using Values = std::vector<std::string>;
  EXPECT_EQ(attribute(user, "id"), Values{"u1"});
  EXPECT_EQ(attribute(user, "username"), Values{"alice"});
  EXPECT_EQ(attribute(user, "name"), Values{"Alice A."});
  EXPECT_EQ(attribute(user, "email"), Values{"alice@example.org"});
  EXPECT_EQ(attribute(user, "roles"), (Values{"admin", "staff"}));
  EXPECT_EQ(attribute(user, "department"), Values{"physics"});
  EXPECT_EQ(attribute(user, "phone"), Values{});
  EXPECT_EQ(attribute(user, "absent"), Values{});
}

// A column that bears the name of a field of ours must not stand in for it.
TEST(Attribute, AFurtherColumnNeverHidesOurOwn) {
  auto user = alice();
  user.roles.clear();
  user.attributes["roles"] = "admin";
  EXPECT_TRUE(attribute(user, "roles").empty());
}

}  // namespace
}  // namespace gatehouse::policy
