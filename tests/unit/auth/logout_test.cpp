// The logout handler: what is ended, what is answered, and who may ask.
#include "auth/logout.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fakes.hpp"

namespace gatehouse::auth {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::World;

World& posting(World& world) {
  world.context.view.method = "POST";
  world.context.view.origin = "https://app.example.org";
  return world;
}

TEST(Logout, EndsTheSessionThenTheCookieThenRedirects) {
  World world;
  const Session session = world.sign_in();
  posting(world).present(session.token);
  const auto answer = handle_logout_requests(world.auth)(world.context, {});
  EXPECT_EQ(answer.head.status, 303);
  EXPECT_EQ(answer.head.headers.get("Location"), "/");
  EXPECT_FALSE(world.auth.find(session.token)->found);
  EXPECT_THAT(world.context.cookies, Contains(HasSubstr("__Host-session=;")));
}

TEST(Logout, WithoutASessionTheAnswerIsTheSame) {
  World world;
  const auto answer = handle_logout_requests(posting(world).auth)(world.context, {});
  EXPECT_EQ(answer.head.status, 303);
  EXPECT_THAT(world.context.cookies, IsEmpty());
}

TEST(Logout, OfATokenThatNobodyKnowsStillRemovesTheCookie) {
  World world;
  posting(world).present(*SessionToken::parse(std::string(40, 'z'), TokenAlphabet::base36));
  EXPECT_EQ(handle_logout_requests(world.auth)(world.context, {}).head.status, 303);
  EXPECT_THAT(world.context.cookies, Contains(HasSubstr("__Host-session=;")));
}

TEST(Logout, OtherMethodsAreNotAllowed) {
  for (const std::string method : {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "post"}) {
    World world;
    const Session session = world.sign_in();
    posting(world).present(session.token);
    world.context.view.method = method;
    const auto answer = handle_logout_requests(world.auth)(world.context, {});
    EXPECT_EQ(answer.head.status, 405) << method;
    EXPECT_EQ(answer.head.headers.get("Allow"), "POST");
    EXPECT_TRUE(world.auth.find(session.token)->found);
  }
}

TEST(Logout, AForeignOrUnknownOriginTouchesNothing) {
  const std::vector<std::optional<std::string>> origins{"https://evil.example", "null", std::nullopt};
  for (const auto& origin : origins) {
    World world;
    const Session session = world.sign_in();
    posting(world).present(session.token);
    world.context.view.origin = origin;
    EXPECT_EQ(handle_logout_requests(world.auth)(world.context, {}).head.status, 403);
    EXPECT_TRUE(world.auth.find(session.token)->found);
    EXPECT_THAT(world.context.cookies, IsEmpty());
  }
}

TEST(Logout, FetchMetadataOfOurOwnPageIsEnough) {
  World world;
  posting(world).present(world.sign_in().token);
  world.context.view.origin.reset();
  world.context.view.sec_fetch_site = "same-origin";
  EXPECT_EQ(handle_logout_requests(world.auth)(world.context, {}).head.status, 303);
  EXPECT_EQ(world.live_rows(), 0U);
}

TEST(Logout, AllEndsEverySessionOfTheUser) {
  World world;
  const Session one = world.sign_in();
  const Session other = world.sign_in();
  posting(world).present(one.token);
  LogoutForm form;
  form.all = true;
  EXPECT_EQ(handle_logout_requests(world.auth)(world.context, form).head.status, 303);
  EXPECT_FALSE(world.auth.find(other.token)->found);
  EXPECT_EQ(world.live_rows(), 0U);
}

TEST(Logout, AllIsForTheOwnerOfADeadOrRotatedTokenToo) {
  for (const bool is_rotated : {false, true}) {
    World world;
    const Session old = world.sign_in();
    world.make_idle();
    if (is_rotated) {
      const auto next = (*world.auth.renew(*world.auth.find(old.token)))->session;
      ASSERT_TRUE(world.auth.settle(*world.auth.find(next.token)));
      world.clock.advance(std::chrono::hours(1));
    } else {
      world.clock.advance(std::chrono::days(15));
    }
    const Session other = world.sign_in();
    posting(world).present(old.token);
    LogoutForm form;
    form.all = true;
    EXPECT_EQ(handle_logout_requests(world.auth)(world.context, form).head.status, 303);
    EXPECT_FALSE(world.auth.find(other.token)->found);
  }
}

TEST(Logout, AProgramGetsJson) {
  World world;
  LogoutForm form;
  form.wants_json = true;
  const auto answer = handle_logout_requests(posting(world).auth)(world.context, form);
  EXPECT_EQ(answer.head.status, 200);
  EXPECT_EQ(answer.body, "{}");
}

TEST(Logout, RedirectsOnlyWhereItIsSafe) {
  World world;
  LogoutForm form;
  form.rd = "//evil.example";
  EXPECT_EQ(handle_logout_requests(posting(world).auth)(world.context, form).head.headers.get("Location"), "/");
  form.rd = "/bye";
  EXPECT_EQ(handle_logout_requests(world.auth)(world.context, form).head.headers.get("Location"), "/bye");
}

TEST(Logout, AStoreThatFailsKeepsTheCookieAndSaysSo) {
  for (const std::string call : {"find_session", "delete_family", "delete_sessions_of_user"}) {
    World world;
    const Session session = world.sign_in();
    posting(world).present(session.token);
    world.store.failures[call] = ErrorCode::store_unavailable;
    LogoutForm form;
    form.all = call == "delete_sessions_of_user";
    const auto answer = handle_logout_requests(world.auth)(world.context, form);
    EXPECT_EQ(answer.head.status, 503) << call;
    EXPECT_TRUE(answer.head.headers.has("Retry-After"));
    EXPECT_THAT(world.context.cookies, IsEmpty());
    EXPECT_EQ(std::ranges::count(world.events.kinds, EventKind::store_failed), 1) << call;
  }
}

}  // namespace
}  // namespace gatehouse::auth
