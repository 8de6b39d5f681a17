// A CGI process's one request, over pipes.
#include "middleware/cgi_context.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <thread>
#include <tuple>
#include <vector>

namespace gatehouse::middleware {
namespace {

using ::testing::StartsWith;

class Pipe {
 public:
  Pipe() { EXPECT_EQ(::pipe2(ends_.data(), O_CLOEXEC), 0); }
  ~Pipe() {
    close_reading();
    close_writing();
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  [[nodiscard]] int reading() const { return ends_[0]; }
  [[nodiscard]] int writing() const { return ends_[1]; }
  void close_reading() { close(ends_[0]); }
  void close_writing() { close(ends_[1]); }

  // Returns how much of it went in.
  [[nodiscard]] std::size_t put(std::string_view bytes) const {
    std::size_t put = 0;
    while (put < bytes.size()) {
      const ssize_t count = ::write(ends_[1], bytes.data() + put, bytes.size() - put);
      if (count <= 0) break;
      put += static_cast<std::size_t>(count);
    }
    return put;
  }
  [[nodiscard]] std::string take_all() const {
    std::string all;
    std::array<char, 4096> piece{};
    for (ssize_t count = 0; (count = ::read(ends_[0], piece.data(), piece.size())) > 0;) {
      all.append(piece.data(), static_cast<std::size_t>(count));
    }
    return all;
  }

 private:
  static void close(int& end) {
    if (end >= 0) ::close(std::exchange(end, -1));
  }
  std::array<int, 2> ends_{-1, -1};
};

http::Response ok(std::string body) {
  return {.head = {.status = 200, .reason = {}, .headers = {}}, .body = std::move(body)};
}

TEST(CgiContext, ReadsNoMoreThanTheLengthAndAnswers) {
  const Pipe input;
  Pipe output;
  std::ignore = input.put("12345678");  // the writer stays open: who waits for the end waits in vain
  const std::array<const char*, 3> lines{"REQUEST_METHOD=POST", "CONTENT_LENGTH=5", nullptr};
  CgiContext context(lines.data(), input.reading(), output.writing());
  EXPECT_EQ(context.read_body(), "12345");
  context.send(ok("done"));
  output.close_writing();
  EXPECT_THAT(output.take_all(), StartsWith("Status: 200 OK\r\n"));
}

TEST(CgiContext, ABodyThatEndsEarlyIs400) {
  Pipe input;
  const Pipe output;
  std::ignore = input.put("123");
  input.close_writing();
  const std::array<const char*, 2> lines{"CONTENT_LENGTH=5", nullptr};
  CgiContext context(lines.data(), input.reading(), output.writing());
  EXPECT_EQ(context.read_body(), std::unexpected(400));
}

// A server that writes the whole body before it reads the answer: both would wait for each other.
TEST(CgiContext, ABodyThatNobodyReadsIsTakenInBeforeTheAnswer) {
  Pipe input;
  Pipe output;
  const std::string body(1'000'000, 'b');
  const std::string length = "CONTENT_LENGTH=" + std::to_string(body.size());
  std::string answer;
  std::size_t written = 0;
  std::thread server([&] {
    written = input.put(body);
    answer = output.take_all();
  });
  const std::array<const char*, 3> lines{"REQUEST_METHOD=POST", length.c_str(), nullptr};
  CgiContext context(lines.data(), input.reading(), output.writing());
  context.send(ok(std::string(1'000'000, 'a')));
  output.close_writing();
  server.join();
  EXPECT_EQ(written, body.size());
  EXPECT_GT(answer.size(), 1'000'000U);
}

TEST(CgiContext, AnInputThatIsNotThereIs400) {
  Pipe input;
  const Pipe output;
  const int closed = input.reading();
  input.close_reading();
  const std::array<const char*, 2> lines{"CONTENT_LENGTH=5", nullptr};
  CgiContext context(lines.data(), closed, output.writing());
  EXPECT_EQ(context.read_body(), std::unexpected(400));
}

}  // namespace
}  // namespace gatehouse::middleware
