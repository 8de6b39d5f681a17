// Identity: encodings, empty values, refused bytes, and names that are the same variable to somebody.
#include "gateway/identity.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gatehouse::gateway {
namespace {

using ::testing::ElementsAre;

auth::SessionUser someone(auth::User user) {
  const auto token = auth::SessionToken::parse(std::string(40, 'a'), auth::TokenAlphabet::base36);
  const auth::SessionRow row{token->id(auth::TokenStorage::sha256), "u1", {}, {}, {}, "f", std::nullopt, {}, "", ""};
  return {auth::Session{*token, row, auth::SessionState::idle, false}, std::move(user)};
}

TEST(Identity, WithoutAUsernameTheIdIsTheName) {
  auth::User user;
  user.id = "u1";
  const auto who = someone(user);
  EXPECT_EQ(make_identity({}, &who)->remote_user, "u1");
  EXPECT_EQ(make_identity({}, &who)->session_state, "idle");
}

TEST(Identity, RolesAreACommaListAndAttributesAreFound) {
  auth::User user;
  user.id = "u1";
  user.roles = {"admin", "ops"};
  user.attributes["department"] = "north";
  const auto who = someone(user);
  const IdentitySettings settings{{{"X-Roles", "roles"}, {"X-Dept", "department"}, {"X-None", "missing"}}, false, true};
  EXPECT_THAT(
      make_identity(settings, &who)->headers,
      ElementsAre(http::Header{"X-Roles", "admin,ops"}, http::Header{"X-Dept", "north"}, http::Header{"X-None", ""}));
}

TEST(Identity, PercentEncodingHoldsInEveryField) {
  auth::User user;
  user.id = "u1";
  user.username = "J\xc3\xbcrgen 100%";
  const auto who = someone(user);
  const IdentitySettings settings{{{"X-User", "username"}}, true, true};
  const auto identity = make_identity(settings, &who);
  EXPECT_EQ(identity->remote_user, "J%C3%BCrgen%20100%25");
  EXPECT_EQ(identity->headers[0].value, "J%C3%BCrgen%20100%25");
}

TEST(Identity, LineEndsOfEveryKindAreRefused) {
  for (const char* bad : {"a\rb", "a\nb", "a\tb", "a\x1b[0m", "a\x7f", "a\xc2\x85", "a\xe2\x80\xa8"}) {
    auth::User user;
    user.id = "u1";
    user.username = bad;
    const auto who = someone(user);
    EXPECT_FALSE(make_identity({}, &who));
  }
  auth::User user;
  user.id = "u1";
  user.username = std::string("a\0b", 3);
  const auto who = someone(user);
  EXPECT_FALSE(make_identity({}, &who));
}

TEST(Identity, SpellingsThatMeanOneVariableHaveOneCanonicalName) {
  for (const char* name : {"X-Auth-User", "x_auth_user", "X.AUTH.USER", "X Auth User", "x[auth[user"}) {
    EXPECT_EQ(canonical_header_name(name), "x-auth-user");
  }
}

}  // namespace
}  // namespace gatehouse::gateway
