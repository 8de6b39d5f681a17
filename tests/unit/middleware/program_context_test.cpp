// What every program's answer is like, and what it reads of a body.
#include "middleware/program_context.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "fake_program.hpp"

namespace gatehouse::middleware {
namespace {

using ::testing::EndsWith;
using testing::FakeProgram;
using testing::form_post;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

http::Response response(int status, std::initializer_list<http::Header> headers = {}, std::string body = {}) {
  return {.head = {.status = status, .reason = {}, .headers = headers}, .body = std::move(body)};
}

std::string answer_to(std::vector<std::string> lines, http::Response sent,
                      const std::optional<std::string>& cookie = {}) {
  FakeProgram program(std::move(lines));
  if (cookie) program.set_session_cookie(*cookie);
  program.send(std::move(sent));
  return program.answer;
}

TEST(Answer, BeginsWithTheStatusAndEndsWithTheBody) {
  const auto text = answer_to({"REQUEST_METHOD=GET"}, response(200, {{"Content-Type", "text/html"}}, "<p>"));
  EXPECT_EQ(text,
            "Status: 200 OK\r\nContent-Type: text/html\r\nCache-Control: no-store\r\nContent-Length: 3\r\n\r\n<p>");
}

TEST(Answer, CarriesTheSessionCookieOnce) {
  FakeProgram program({"REQUEST_METHOD=GET"});
  program.set_session_cookie("session=old");
  program.set_session_cookie("session=new; Path=/");
  program.send(response(200, {{"Set-Cookie", "theme=dark"}}));
  EXPECT_THAT(program.answer, HasSubstr("Set-Cookie: theme=dark\r\nCache-Control: no-store\r\n"
                                        "Set-Cookie: session=new; Path=/\r\n"));
  EXPECT_THAT(program.answer, Not(HasSubstr("session=old")));
}

TEST(Answer, WithASessionCookieIsNeverStored) {
  const auto with_own = [](const std::optional<std::string>& cookie) {
    return answer_to({"REQUEST_METHOD=GET"}, response(200, {{"cache-control", "max-age=60"}}), cookie);
  };
  EXPECT_THAT(with_own(std::nullopt), HasSubstr("cache-control: max-age=60\r\n"));
  EXPECT_THAT(with_own("session=t"), HasSubstr("Cache-Control: no-store\r\n"));
  EXPECT_THAT(with_own("session=t"), Not(HasSubstr("max-age")));
}

TEST(Answer, AHeaderThatMakesALineOfItsOwnIsABare500) {
  const std::string bad = "a\r\nSet-Cookie: evil=1";
  for (const auto& text : {answer_to({"REQUEST_METHOD=GET"}, response(200, {{"Location", bad}}, "body")),
                           answer_to({"REQUEST_METHOD=GET"}, response(200, {}, "body"), bad),
                           answer_to({"REQUEST_METHOD=GET"}, response(200, {{"X: y\nZ", "v"}}, "body"))}) {
    EXPECT_THAT(text, StartsWith("Status: 500 "));
    EXPECT_THAT(text, Not(HasSubstr("evil")));
    EXPECT_THAT(text, EndsWith("\r\n\r\n"));
  }
}

TEST(Answer, ToHeadHasTheHeadersAlone) {
  const auto text = answer_to({"REQUEST_METHOD=HEAD"}, response(200, {}, "four"));
  EXPECT_THAT(text, HasSubstr("Content-Length: 4\r\n"));
  EXPECT_THAT(text, EndsWith("\r\n\r\n"));
}

TEST(Answer, WithoutABodyByItsStatusSaysNoLength) {
  for (const int status : {204, 304}) {
    const auto text = answer_to({"REQUEST_METHOD=GET"}, response(status, {{"Content-Length", "4"}}, "four"));
    EXPECT_THAT(text, Not(HasSubstr("Content-Length"))) << status;
    EXPECT_THAT(text, EndsWith("\r\n\r\n"));
  }
}

TEST(Answer, WithoutATypeIsPlainText) {
  EXPECT_THAT(answer_to({}, response(200, {}, "<b>")), HasSubstr("Content-Type: text/plain; charset=utf-8\r\n"));
  EXPECT_THAT(answer_to({}, response(303)), Not(HasSubstr("Content-Type")));
}

TEST(Answer, IsSentOnceAndTakesNoCookieAfterwards) {
  FakeProgram program({"REQUEST_METHOD=GET"});
  program.send(response(200));
  EXPECT_THROW(program.set_session_cookie("session=t"), std::logic_error);
  EXPECT_THROW(program.send(response(200)), std::logic_error);
}

TEST(Body, IsReadToItsLengthAndRemembered) {
  FakeProgram program(form_post("a=1&b=two+words"), "a=1&b=two+wordsREST");
  const auto form = program.read_form();
  ASSERT_TRUE(form);
  EXPECT_EQ(form->get("a"), "1");
  EXPECT_EQ(form->get("b"), "two words");
  EXPECT_EQ(program.read_body(), "a=1&b=two+words");
}

TEST(Body, WithoutALengthIsReadToItsEndWhereOneIsAnnounced) {
  FakeProgram chunked({"HTTP_TRANSFER_ENCODING=chunked"}, "all of it");
  EXPECT_EQ(chunked.read_body(), "all of it");
  FakeProgram silent({"REQUEST_METHOD=POST"}, "never asked for");
  EXPECT_EQ(silent.read_body(), "");
  EXPECT_EQ(silent.reads, 0);
}

TEST(Body, OverTheLimitIs413) {
  const std::string just(ProgramContext::kMaxBodyBytes, 'x');
  FakeProgram fits({"CONTENT_LENGTH=" + std::to_string(just.size())}, just);
  fits.piece = just.size();
  EXPECT_EQ(fits.read_body()->size(), just.size());
  FakeProgram announced({"CONTENT_LENGTH=" + std::to_string(just.size() + 1)}, just + "x");
  EXPECT_EQ(announced.read_body(), std::unexpected(413));
  EXPECT_EQ(announced.reads, 0);
  FakeProgram chunked({"HTTP_TRANSFER_ENCODING=chunked"}, just + "x");
  chunked.piece = just.size();
  EXPECT_EQ(chunked.read_body(), std::unexpected(413));
}

TEST(Body, ThatEndsEarlyOrCannotBeReadIs400) {
  FakeProgram early(form_post("rd=/all/of/it"), "rd=/all");
  EXPECT_EQ(early.read_form().error(), 400);
  FakeProgram broken(form_post("rd=/"), "rd=/");
  broken.is_input_broken = true;
  EXPECT_EQ(broken.read_form().error(), 400);
  FakeProgram endless({"CONTENT_LENGTH=many"}, "rd=/");
  EXPECT_EQ(endless.read_body(), std::unexpected(400));
  FakeProgram escapes(form_post("rd=%zz"), "rd=%zz");
  EXPECT_EQ(escapes.read_form().error(), 400);
}

TEST(Body, ThatIsNoFormIsAnEmptyForm) {
  FakeProgram json({"CONTENT_TYPE=application/json", "CONTENT_LENGTH=4"}, "rd=1");
  EXPECT_TRUE(json.read_form()->fields().empty());
  EXPECT_EQ(json.read_body(), "rd=1");
}

TEST(Body, OfAFormWithACharsetIsAForm) {
  FakeProgram program({"CONTENT_TYPE=Application/x-www-form-urlencoded ; charset=UTF-8", "CONTENT_LENGTH=4"}, "rd=1");
  EXPECT_EQ(program.read_form()->get("rd"), "1");
}

}  // namespace
}  // namespace gatehouse::middleware
