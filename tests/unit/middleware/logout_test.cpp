// The logout handler over a context that reads its form by itself.
#include "auth/logout.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../auth/fakes.hpp"
#include "fake_program.hpp"

namespace gatehouse::middleware {
namespace {

using auth::testing::World;
using testing::FakeProgram;
using testing::form_post;
using ::testing::HasSubstr;

struct SignedIn {
  World world;
  auth::Session session = world.sign_in();

  [[nodiscard]] FakeProgram posting(const std::string& body, std::vector<std::string> more = {}) const {
    more.push_back("HTTP_COOKIE=__Host-session=" + session.token.reveal());
    return FakeProgram(form_post(body, std::move(more)), body);
  }
  http::Response log_out(FakeProgram& program) { return handle_logout_requests(world.auth)(program); }
};

TEST(LogoutOfAProgram, ReadsWhereToGoFromTheForm) {
  SignedIn visitor;
  FakeProgram program = visitor.posting("rd=%2Fbye%3Fa%3D1");
  const auto answer = visitor.log_out(program);
  EXPECT_EQ(answer.head.status, 303);
  EXPECT_EQ(answer.head.headers.get("Location"), "/bye?a=1");
  EXPECT_EQ(visitor.world.live_rows(), 0U);
  EXPECT_THAT(program.session_cookie().value_or(""), HasSubstr("__Host-session=;"));
}

TEST(LogoutOfAProgram, ReadsTheQueryWhereTheFormSaysNothing) {
  SignedIn visitor;
  visitor.world.sign_in();
  FakeProgram program = visitor.posting("", {"QUERY_STRING=rd=/bye&all=1"});
  EXPECT_EQ(visitor.log_out(program).head.headers.get("Location"), "/bye");
  EXPECT_EQ(visitor.world.live_rows(), 0U);
}

TEST(LogoutOfAProgram, AnswersJsonToAProgramThatAsksForIt) {
  SignedIn visitor;
  FakeProgram program = visitor.posting("", {"HTTP_ACCEPT=application/json"});
  EXPECT_EQ(visitor.log_out(program).body, "{}");
}

TEST(LogoutOfAProgram, ABodyThatCannotBeReadTouchesNothing) {
  const std::string large = "rd=" + std::string(ProgramContext::kMaxBodyBytes, 'x');
  const std::vector<std::pair<std::string, int>> cases{{large, 413}, {"rd=%zz", 400}, {"rd=/a&rd=/b", 400}};
  for (const auto& [body, status] : cases) {
    SignedIn visitor;
    FakeProgram program = visitor.posting(body);
    EXPECT_EQ(visitor.log_out(program).head.status, status);
    EXPECT_EQ(visitor.world.live_rows(), 1U);
    EXPECT_FALSE(program.session_cookie());
  }
}

TEST(LogoutOfAProgram, AForeignOriginIsRefusedBeforeItsFormIsRead) {
  for (const char* origin : {"HTTP_ORIGIN=https://evil.example", "HTTP_ORIGIN=null", "HTTP_ORIGIN="}) {
    SignedIn visitor;
    FakeProgram program = visitor.posting("rd=%zz", {origin});
    EXPECT_EQ(visitor.log_out(program).head.status, 403) << origin;
    EXPECT_EQ(program.reads, 0);
    EXPECT_EQ(visitor.world.live_rows(), 1U);
    EXPECT_FALSE(program.session_cookie());
  }
}

TEST(LogoutOfAProgram, OtherMethodsAreRefusedBeforeTheirFormIsRead) {
  SignedIn visitor;
  FakeProgram program = visitor.posting("rd=%zz", {"REQUEST_METHOD=GET"});
  const auto answer = visitor.log_out(program);
  EXPECT_EQ(answer.head.status, 405);
  EXPECT_EQ(answer.head.headers.get("Allow"), "POST");
  EXPECT_EQ(program.reads, 0);
  EXPECT_EQ(visitor.world.live_rows(), 1U);
}

TEST(LogoutOfAProgram, AnOriginOfTheOptionsIsOurs) {
  SignedIn visitor;
  FakeProgram program = visitor.posting("", {"HTTP_HOST=other.example.org"});
  auth::LogoutOptions options;
  options.also_own.push_back(*http::Origin::parse("https://app.example.org"));
  EXPECT_EQ(handle_logout_requests(visitor.world.auth, options)(program).head.status, 303);
}

TEST(LogoutOfAProgram, AStoreThatFailsIs503AndKeepsTheCookie) {
  SignedIn visitor;
  visitor.world.store.failures["delete_family"] = auth::ErrorCode::store_unavailable;
  FakeProgram program = visitor.posting("");
  const auto answer = visitor.log_out(program);
  EXPECT_EQ(answer.head.status, 503);
  EXPECT_EQ(answer.head.headers.get("Retry-After"), "5");
  EXPECT_FALSE(program.session_cookie());
}

}  // namespace
}  // namespace gatehouse::middleware
