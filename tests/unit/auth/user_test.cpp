// Key ids and role lists.
#include "auth/user.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gatehouse::auth {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(KeyId, ProviderAndIdentifierAreJoinedByTheFirstColon) {
  EXPECT_EQ(key_id(kUsernameProvider, "ada"), "username:ada");
  EXPECT_EQ(key_id("oidc", "https://id.example/1"), "oidc:https://id.example/1");
  EXPECT_EQ(key_id("username", ""), "username:");
}

TEST(Roles, PartsAreTrimmedAndEmptyOnesLeftOut) {
  EXPECT_THAT(split_roles("admin, ops"), ElementsAre("admin", "ops"));
  EXPECT_THAT(split_roles(" \tadmin\t,,ops ,"), ElementsAre("admin", "ops"));
  EXPECT_THAT(split_roles("night shift"), ElementsAre("night shift"));
  EXPECT_THAT(split_roles(""), IsEmpty());
  EXPECT_THAT(split_roles(" , ,"), IsEmpty());
}

TEST(Roles, JoiningAndSplittingGivesTheSameRoles) {
  const std::vector<std::string> roles{"admin", "ops", "night shift"};
  EXPECT_EQ(join_roles(roles), "admin,ops,night shift");
  EXPECT_EQ(split_roles(join_roles(roles)), roles);
  EXPECT_EQ(join_roles({}), "");
}

TEST(Key, TheFirstColonDividesItsId) {
  const auto parts = [](std::string id) {
    const Key key{std::move(id), "u1", std::nullopt};
    return std::pair(std::string(key.provider_id()), std::string(key.provider_user_id()));
  };
  EXPECT_EQ(parts("username:alice"), std::pair(std::string("username"), std::string("alice")));
  EXPECT_EQ(parts("x:a:b"), std::pair(std::string("x"), std::string("a:b")));
  EXPECT_EQ(parts("x:"), std::pair(std::string("x"), std::string()));
  EXPECT_EQ(parts("none"), std::pair(std::string("none"), std::string()));
}

TEST(Key, IsExpiredStrictlyAfterItsExpiryAndAPersistentOneNever) {
  const Timestamp end(Milliseconds(1'000));
  const Key single{"x:y", "u1", std::nullopt, end};
  EXPECT_FALSE(single.is_expired(end));
  EXPECT_TRUE(single.is_expired(end + Milliseconds(1)));
  const Key persistent{"x:y", "u1", std::nullopt};
  EXPECT_FALSE(persistent.is_expired(Timestamp::max()));
}

}  // namespace
}  // namespace gatehouse::auth
