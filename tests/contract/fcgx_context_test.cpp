// A program on libfcgi, asked over a real socket by a client that may break every rule.
#include "middleware/fcgx_context.hpp"

#include <fcgiapp.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <thread>

#include "contract/fastcgi_client.hpp"
#include "contract/temporary_folder.hpp"

namespace gatehouse::middleware {
namespace {

using contract::TemporaryFolder;
using fastcgi::test::Answer;
using fastcgi::test::begin_and_params;
using fastcgi::test::body_records;
using fastcgi::test::Client;
using fastcgi::test::Pairs;
using fastcgi::test::responder_request;
using ::testing::EndsWith;
using ::testing::StartsWith;

http::Response ok(std::string body) {
  return {.head = {.status = 200, .reason = {}, .headers = {}}, .body = std::move(body)};
}

// The loop of a program, on a thread of its own.
class Program {
 public:
  explicit Program(std::function<void(FcgxContext&)> serve) : serve_(std::move(serve)) {
    FCGX_Init();
    listener_ = FCGX_OpenSocket(path().c_str(), 16);
    thread_ = std::thread([this] { run(); });
  }
  ~Program() {
    Client(path()).ask(responder_request(false, {{"QUIT", "1"}}));
    thread_.join();
    ::close(listener_);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  [[nodiscard]] std::string path() const { return folder_ / "s"; }
  [[nodiscard]] int served() const { return served_; }

 private:
  void run() {
    FCGX_Request request{};
    FCGX_InitRequest(&request, listener_, 0);
    for (bool goes_on = true; goes_on && FCGX_Accept_r(&request) == 0;) {
      FcgxContext context(request);
      goes_on = context.variable("QUIT").empty();
      ++served_;
      if (goes_on) serve_(context);
    }
    FCGX_Free(&request, 1);
  }

  TemporaryFolder folder_;
  std::function<void(FcgxContext&)> serve_;
  int listener_ = -1;
  std::atomic<int> served_ = 0;
  std::thread thread_;
};

void echo(FcgxContext& context) {
  const auto body = context.read_body();
  context.send(ok(body ? context.request().method + " " + *body : std::to_string(body.error())));
}

Pairs post(std::size_t length) {
  return {{"REQUEST_METHOD", "POST"}, {"CONTENT_LENGTH", std::to_string(length)}};
}

TEST(FcgxContext, AnswersWithStatusFirstAndTheEndOfTheRequest) {
  const Program program([](FcgxContext& context) {
    context.set_session_cookie("session=t");
    context.send(ok("hello " + context.request().cookie));
  });
  const Answer answer =
      Client(program.path())
          .ask(responder_request(false, {{"REQUEST_METHOD", "GET"}, {"HTTP_COOKIE", "a"}, {"HTTP_COOKIE", "b"}}));
  EXPECT_THAT(answer.out, StartsWith("Status: 200 OK\r\n"));
  EXPECT_THAT(answer.out, EndsWith("Set-Cookie: session=t\r\nContent-Length: 10\r\n"
                                   "Content-Type: text/plain; charset=utf-8\r\n\r\nhello a; b"));
  ASSERT_TRUE(answer.end);
  EXPECT_EQ(answer.end->protocol_status, fastcgi::ProtocolStatus::request_complete);
}

TEST(FcgxContext, ReadsABodyOfManyRecords) {
  const Program program(echo);
  const std::string body(60'000, 'b');
  std::string records;
  for (std::size_t at = 0; at < body.size(); at += 100) {
    fastcgi::append_stream(records, fastcgi::RecordType::stdin_stream, 1, std::string_view(body).substr(at, 100));
  }
  fastcgi::append_stream_end(records, fastcgi::RecordType::stdin_stream, 1);
  const Answer answer =
      Client(program.path()).ask(begin_and_params(fastcgi::test::kResponder, false, post(body.size())) + records);
  EXPECT_THAT(answer.out, EndsWith("POST " + body));
}

TEST(FcgxContext, ABodyOverTheLimitIs413) {
  const Program program(echo);
  const Answer answer = Client(program.path()).ask(responder_request(false, post(70'000), std::string(70'000, 'b')));
  EXPECT_THAT(answer.out, EndsWith("\r\n\r\n413"));
}

TEST(FcgxContext, ABodyThatEndsEarlyIs400) {
  const Program program(echo);
  EXPECT_THAT(Client(program.path()).ask(responder_request(false, post(5), "123")).out, EndsWith("\r\n\r\n400"));
  Client leaving(program.path());
  leaving.send(begin_and_params(fastcgi::test::kResponder, false, post(5)));
  leaving.shut_down_sending();
  EXPECT_THAT(leaving.receive().out, EndsWith("\r\n\r\n400"));
}

// libfcgi hands it out as a complete request: a cookie without the Origin behind it.
TEST(FcgxContext, ParametersThatWereCutOffAreNobodysAndGetNoAnswer) {
  const std::string whole = begin_and_params(
      fastcgi::test::kResponder, false,
      {{"REQUEST_METHOD", "POST"}, {"HTTP_COOKIE", "session=t"}, {"HTTP_ORIGIN", "https://evil.example"}});
  std::atomic<int> with_cookie = 0;
  const Program program([&](FcgxContext& context) {
    if (!context.request().cookie.empty() || !context.variable("REQUEST_METHOD").empty()) ++with_cookie;
    echo(context);
  });
  for (std::size_t size = 17; size < whole.size(); ++size) {
    Client client(program.path());
    client.send(std::string_view(whole).substr(0, size));
    client.shut_down_sending();
    const Answer answer = client.receive();
    EXPECT_EQ(answer.out, "") << size;
    EXPECT_FALSE(answer.end) << size;
  }
  EXPECT_EQ(with_cookie, 0);
  EXPECT_GT(program.served(), 0) << "libfcgi handed none of them out: the guard is not tested";
}

TEST(FcgxContext, ServesManyRequestsOnAKeptConnection) {
  const Program program(echo);
  Client client(program.path());
  for (const char* body : {"one", "", "three"}) {
    const Answer answer = client.ask(responder_request(true, post(std::string_view(body).size()), body));
    EXPECT_THAT(answer.out, EndsWith(std::string("POST ") + body));
    ASSERT_TRUE(answer.end);
  }
}

// What libfcgi leaves of a body on a kept connection becomes the next request there.
TEST(FcgxContext, ABodyThatNobodyReadIsNoFurtherRequest) {
  const Program program([](FcgxContext& context) { context.send(ok("unread")); });
  constexpr std::size_t kReadAhead = 8192;  // libfcgi's buffer, which it throws away with the request
  constexpr std::size_t kLength = 20'000;
  const std::string head = begin_and_params(fastcgi::test::kResponder, true, post(kLength));
  std::string body(kReadAhead - head.size() - fastcgi::kHeaderSize, 'x');
  body += responder_request(true, {{"REMOTE_USER", "admin"}});
  body.resize(kLength, 'x');
  Client client(program.path());
  const Answer answer = client.ask(head + body_records(body));
  EXPECT_THAT(answer.out, EndsWith("unread"));
  EXPECT_TRUE(client.sees_end());
  EXPECT_EQ(program.served(), 1);
}

TEST(FcgxContext, ARequestThatGotNoAnswerIsBrokenOff) {
  const Program program([](FcgxContext&) {});
  const Answer answer = Client(program.path()).ask(responder_request(true, {{"REQUEST_METHOD", "GET"}}));
  EXPECT_EQ(answer.out, "");
  EXPECT_FALSE(answer.end) << "an end without an answer lets visitors in where it is an authorizer's";
  EXPECT_TRUE(answer.is_closed);
}

TEST(FcgxContext, AProgramMayWriteItsAnswerAndFinishTheRequestItself) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  const std::string bytes = responder_request(false, {{"REQUEST_METHOD", "GET"}});
  ASSERT_EQ(::write(ends[0], bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  ::shutdown(ends[0], SHUT_WR);
  FCGX_Init();
  FCGX_Request request{};
  FCGX_InitRequest(&request, -1, 0);
  request.ipcFd = ends[1];
  request.keepConnection = 1;  // else it would be closed before it is read
  ASSERT_EQ(FCGX_Accept_r(&request), 0);
  {
    const FcgxContext context(request);
    FCGX_PutS("Status: 200 OK\r\n\r\nmine", request.out);
    FCGX_Finish_r(&request);
  }
  std::string answer(1000, '\0');
  answer.resize(static_cast<std::size_t>(std::max<ssize_t>(0, ::read(ends[0], answer.data(), answer.size()))));
  EXPECT_THAT(answer, ::testing::HasSubstr("mine"));
  ::close(ends[0]);
}

// The program's next visitor would wait with it: for a body that stalls, and for an authorizer's STDIN, which no web
// server sends.
TEST(FcgxContext, AnAnswerWaitsForNoBodyThatNobodyReads) {
  const Program program([](FcgxContext& context) { context.send(ok("unread")); });
  for (const std::string& request : {begin_and_params(fastcgi::test::kResponder, true, post(5)),
                                     begin_and_params(fastcgi::test::kAuthorizer, true, {{"REQUEST_METHOD", "GET"}})}) {
    Client client(program.path());
    client.send(request);
    ASSERT_TRUE(client.sees_anything_within(5'000)) << "half of what reading waits for";
    const Answer answer = client.receive();
    EXPECT_THAT(answer.out, EndsWith("unread"));
    EXPECT_TRUE(answer.end);
  }
}

}  // namespace
}  // namespace gatehouse::middleware
