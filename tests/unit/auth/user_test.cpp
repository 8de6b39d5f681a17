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

}  // namespace
}  // namespace gatehouse::auth
