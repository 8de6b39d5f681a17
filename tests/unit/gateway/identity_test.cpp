// Identity: encodings, empty values, refused bytes, and names that are the same variable to somebody.
#include "gateway/identity.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gatehouse::gateway {
namespace {

using ::testing::ElementsAre;

constexpr auto kState = auth::SessionState::idle;

TEST(Identity, WithoutAUsernameTheIdIsTheName) {
  auth::User user;
  user.id = "u1";
  EXPECT_EQ(make_identity({}, &user, kState)->remote_user, "u1");
  EXPECT_EQ(make_identity({}, &user, kState)->session_state, "idle");
}

TEST(Identity, RolesAreACommaListAndAttributesAreFound) {
  auth::User user;
  user.id = "u1";
  user.roles = {"admin", "ops"};
  user.attributes["department"] = "north";
  const IdentitySettings settings{{{"X-Roles", "roles"}, {"X-Dept", "department"}, {"X-None", "missing"}}, false, true};
  EXPECT_THAT(
      make_identity(settings, &user, kState)->headers,
      ElementsAre(http::Header{"X-Roles", "admin,ops"}, http::Header{"X-Dept", "north"}, http::Header{"X-None", ""}));
}

TEST(Identity, PercentEncodingHoldsInEveryField) {
  auth::User user;
  user.id = "u1";
  user.username = "J\xc3\xbcrgen 100%";
  const IdentitySettings settings{{{"X-User", "username"}}, true, true};
  const auto identity = make_identity(settings, &user, kState);
  EXPECT_EQ(identity->remote_user, "J%C3%BCrgen%20100%25");
  EXPECT_EQ(identity->headers[0].value, "J%C3%BCrgen%20100%25");
}

TEST(Identity, LineEndsOfEveryKindAreRefused) {
  for (const char* bad : {"a\rb", "a\nb", "a\tb", "a\x1b[0m", "a\x7f", "a\xc2\x85", "a\xe2\x80\xa8"}) {
    auth::User user;
    user.id = "u1";
    user.username = bad;
    EXPECT_FALSE(make_identity({}, &user, kState));
  }
  auth::User user;
  user.id = "u1";
  user.username = std::string("a\0b", 3);
  EXPECT_FALSE(make_identity({}, &user, kState));
}

TEST(Identity, SpellingsThatMeanOneVariableHaveOneCanonicalName) {
  for (const char* name : {"X-Auth-User", "x_auth_user", "X.AUTH.USER", "X Auth User", "x[auth[user"}) {
    EXPECT_EQ(canonical_header_name(name), "x-auth-user");
  }
}

TEST(OwnedHeader, AnAliasIsAnotherSpellingThanTheOneThatIsSent) {
  const IdentitySettings settings{{{"X-User", "username"}, {"X_Mail", "email"}}, false, true};
  for (const char* ours :
       {"x-user", "X-USER", "x_mail", "Remote-User", "proxy", "x-gatehouse-user", "X-Other", "X_Other"}) {
    EXPECT_FALSE(is_alias_of_owned_header(settings, ours)) << ours;
  }
  for (const char* alias : {"x_user", "X.User", "x-mail", "X.Mail", "Remote_User", "redirect_status",
                            "x_gatehouse-user", "x-gatehouse_user", "Variable_X"}) {
    EXPECT_TRUE(is_alias_of_owned_header(settings, alias)) << alias;
  }
}

}  // namespace
}  // namespace gatehouse::gateway
