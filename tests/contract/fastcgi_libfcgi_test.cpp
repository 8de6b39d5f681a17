// libfcgi as the oracle of our codec: it reads what our encoders write, our decoders read what it writes, and our
// server understands a request exactly as it does.
#include <gtest/gtest.h>

#include <fcgiapp.h>
#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <random>
#include <thread>

#include "contract/fastcgi_client.hpp"
#include "contract/fastcgi_house.hpp"

namespace gatehouse::fastcgi {
namespace {

using test::Answer;
using test::Client;
using test::House;
using test::Pairs;
using test::responder_request;

constexpr int kAppStatus = 0x01020304;
constexpr std::string_view kErrText = "a line for the log";

// What both sides answer: every parameter as NAME=value, then the body.
std::string echo_text(const std::vector<std::string>& params, std::string_view body) {
  std::string text = "Status: 200 OK\r\n\r\n";
  for (const std::string& param : params) text += param + "\n";
  return text.append(body);
}

// An application on libfcgi, on a thread of its own.
class LibfcgiEcho {
 public:
  LibfcgiEcho() : listener_(listen_on(test::unix_at(folder_ / "s"), {}).value()) {
    ::fcntl(listener_, F_SETFL, 0);  // it wants a blocking one
    FCGX_Init();
    thread_ = std::thread([this] { run(); });
  }
  ~LibfcgiEcho() {
    Client(path()).ask(responder_request(false, {{"QUIT", "1"}}));
    thread_.join();
    ::close(listener_);
  }
  LibfcgiEcho(const LibfcgiEcho&) = delete;
  LibfcgiEcho& operator=(const LibfcgiEcho&) = delete;
  [[nodiscard]] std::string path() const { return folder_ / "s"; }

 private:
  void run() {
    FCGX_Request request{};
    FCGX_InitRequest(&request, listener_, 0);
    while (FCGX_Accept_r(&request) == 0) {
      const bool quits = FCGX_GetParam("QUIT", request.envp) != nullptr;
      answer(request);
      FCGX_Finish_r(&request);
      if (quits) break;
    }
    FCGX_Free(&request, 1);
  }
  static void answer(FCGX_Request& request) {
    std::vector<std::string> params;
    for (char** param = request.envp; *param != nullptr; ++param) params.emplace_back(*param);
    std::erase(params, "FCGI_ROLE=RESPONDER");  // its own word for the role
    std::string body;
    std::array<char, 3000> buffer{};
    for (int count = 0; (count = FCGX_GetStr(buffer.data(), buffer.size(), request.in)) > 0;) {
      body.append(buffer.data(), static_cast<std::size_t>(count));
    }
    if (FCGX_GetError(request.in) != 0) return;
    const std::string text = echo_text(params, body);
    FCGX_PutStr(kErrText.data(), static_cast<int>(kErrText.size()), request.err);
    FCGX_PutStr(text.data(), static_cast<int>(text.size()), request.out);
    FCGX_SetExitStatus(kAppStatus, request.out);
  }

  test::Folder folder_;
  int listener_;
  std::thread thread_;
};

net::Task<> echo(ServerRequest& request) {
  const net::Deadline deadline = net::after(std::chrono::seconds(10));
  std::vector<std::string> params;
  for (const auto& [name, value] : request.params()) params.push_back(fmt::format("{}={}", name, value));
  std::string body;
  std::array<char, 3000> buffer{};
  const std::span<char> into{buffer};
  while (true) {
    const net::IoResult<std::size_t> count = co_await request.read_body(into, deadline);
    if (!count) co_return;
    if (*count == 0) break;
    body.append(buffer.data(), *count);
  }
  const http::ResponseHead ok{.status = 200, .reason = {}, .headers = {}};
  co_await request.write_head(ok, deadline);
  const std::string text = echo_text(params, body).substr(std::string_view("Status: 200 OK\r\n\r\n").size());
  co_await request.write_body(text, deadline);
}

std::string expected_echo(const Pairs& params, std::string_view body) {
  std::vector<std::string> texts;
  for (const auto& [name, value] : params) texts.push_back(fmt::format("{}={}", name, value));
  return echo_text(texts, body);
}

class FastcgiLibfcgi : public testing::Test {
 protected:
  static Answer ask(Client& client, const std::string& request) {
    Answer answer;
    // Both sides may write more than a socket holds.
    std::thread receiving([&] { answer = client.receive(); });
    client.send(request);
    receiving.join();
    return answer;
  }

  void expect_same(const Pairs& params, const std::string& body, std::uint16_t id, bool keeps) {
    const std::string request = responder_request(keeps, params, body, id);
    Client theirs(libfcgi_.path());
    Client ours(house_.path());
    const Answer their_answer = ask(theirs, request);
    const Answer our_answer = ask(ours, request);
    EXPECT_FALSE(their_answer.is_malformed);
    // Megabytes that differ are no message.
    EXPECT_TRUE(their_answer.out == expected_echo(params, body));
    EXPECT_TRUE(our_answer.out == their_answer.out);
    EXPECT_EQ(their_answer.err, kErrText);
    EXPECT_TRUE(their_answer.out_ended);
    EXPECT_EQ(their_answer.end,
              (EndRequest{.app_status = kAppStatus, .protocol_status = ProtocolStatus::request_complete}));
    EXPECT_EQ(our_answer.end, (EndRequest{.app_status = 0, .protocol_status = ProtocolStatus::request_complete}));
  }

 private:
  LibfcgiEcho libfcgi_;
  House house_{echo};
};

TEST_F(FastcgiLibfcgi, ReadsEveryLengthThatWeWrite) {
  for (const std::size_t name : {1U, 127U, 128U, 1000U}) {
    for (const std::size_t value : {0U, 1U, 127U, 128U, 255U, 256U, 8191U, 8192U, 60'000U}) {
      expect_same({{std::string(name, 'N'), std::string(value, 'v')}, {"LAST", "one"}}, "", 1, false);
    }
  }
}

TEST_F(FastcgiLibfcgi, ReadsEveryBodyThatWeWrite) {
  for (const std::size_t size : {0U, 1U, 7U, 8U, 9U, 8191U, 8192U, 65'527U, 65'528U, 65'535U, 65'536U, 1'000'000U}) {
    expect_same({{"CONTENT_LENGTH", std::to_string(size)}}, std::string(size, 'b'), 65535, false);
  }
}

TEST_F(FastcgiLibfcgi, UnderstandsRandomRequestsAsWeDo) {
  // NOLINTNEXTLINE(cert-msc32-c,cert-msc51-cpp): the same requests in every run
  std::minstd_rand random(3);
  for (int run = 0; run < 100; ++run) {
    Pairs params;
    const std::size_t count = random() % 60;
    for (std::size_t i = 0; i < count; ++i) {
      params.emplace_back("N" + std::to_string(random() % 1000) + std::string(random() % 150, 'x'),
                          std::string(random() % (run % 10 == 0 ? 4000 : 200), static_cast<char>('a' + random() % 26)));
    }
    const auto id = static_cast<std::uint16_t>(1 + random() % 65535);
    expect_same(params, std::string(random() % 50'000, 'q'), id, false);
  }
}

TEST_F(FastcgiLibfcgi, UnderstandsItsOwnAnswerInPiecesOfAnySize) {
  // Its records come with paddings and sizes of its own choice; the client's decoder gets them as the socket gives
  // them.
  for (const std::size_t size : {8000U, 8184U, 8185U, 16'000U, 500'000U})
    expect_same({}, std::string(size, 'z'), 1, false);
}

}  // namespace
}  // namespace gatehouse::fastcgi
