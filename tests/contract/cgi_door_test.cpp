// The ends of a CGI process on real pipes, sockets and files: what is read of the body, and that neither side waits for
// the other. The test plays the web server.
#include "cgi/door.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

namespace gatehouse::cgi {
namespace {

using namespace std::chrono_literals;
namespace asio = net::asio;
using net::IoResult;
using net::StreamError;
using net::Task;

constexpr std::uint64_t kToTheEnd = UINT64_MAX;

struct Pair {
  int read = -1;
  int write = -1;
};

Pair make_pipe() {
  std::array<int, 2> ends{};
  EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  return {ends[0], ends[1]};
}

void write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    ASSERT_GT(count, 0) << errno;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

std::string read_all(int fd) {
  std::string all;
  std::array<char, 4096> buffer{};
  for (;;) {
    const ssize_t count = ::read(fd, buffer.data(), buffer.size());
    if (count <= 0) return all;
    all.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

http::ResponseHead head_of(int status) {
  return {.status = status, .reason = {}, .headers = {}};
}

Task<std::string> whole_body(net::Exchange& exchange) {
  std::string all;
  std::array<char, 3000> buffer{};
  for (;;) {
    const net::Deadline deadline = net::after(20s);
    const IoResult<std::size_t> size = co_await exchange.read_body(buffer, deadline);
    if (!size) co_return all + "!" + std::string(name(size.error()));
    if (*size == 0) co_return all;
    all.append(buffer.data(), *size);
  }
}

Task<> answer_with(Door& door, std::string body) {
  const net::Deadline deadline = net::after(20s);
  const IoResult<void> head = co_await door.write_head(head_of(200), deadline);
  EXPECT_TRUE(head);
  const IoResult<void> sent = co_await door.write_body(body, deadline);
  EXPECT_TRUE(sent);
}

// A door between two pipes, and a reactor that turns until the handler of the request has ended.
class CgiDoor : public ::testing::Test {
 public:
  CgiDoor(const CgiDoor&) = delete;
  CgiDoor& operator=(const CgiDoor&) = delete;

 protected:
  CgiDoor() { std::ignore = std::signal(SIGPIPE, SIG_IGN); }
  ~CgiDoor() override {
    close_input();
    if (output.read >= 0) ::close(output.read);
  }

  void close_input() {
    if (input.write >= 0) ::close(std::exchange(input.write, -1));
  }
  void run(Task<> handler) {
    asio::co_spawn(context, std::move(handler), [this](const std::exception_ptr& error) {
      context.stop();
      if (error) std::rethrow_exception(error);
    });
    context.run();
  }

  asio::io_context context{1};
  Pair input = make_pipe();
  Pair output = make_pipe();
};

Task<> read_into(Door& door, std::string& body) {
  body = co_await whole_body(door);
}

TEST_F(CgiDoor, ReadsAsManyBytesAsAnnouncedAndNotOneMore) {
  Door door(context.get_executor(), input.read, output.write, 5);
  write_all(input.write, "hello, and what is nobody's");
  std::string body;
  run(read_into(door, body));
  EXPECT_EQ(body, "hello");
  EXPECT_EQ(::fcntl(input.read, F_SETFL, 0), 0);
  close_input();
  EXPECT_EQ(read_all(input.read), ", and what is nobody's");
}

TEST_F(CgiDoor, WithoutABodyNothingIsReadAtAll) {
  Door door(context.get_executor(), input.read, output.write, 0);
  std::string body = "untouched";
  run(read_into(door, body));  // the input stays open: waiting for it would last for ever
  EXPECT_EQ(body, "");
}

TEST_F(CgiDoor, AChunkedBodyEndsWhereTheInputEnds) {
  Door door(context.get_executor(), input.read, output.write, kToTheEnd);
  write_all(input.write, "all of it");
  close_input();
  std::string body;
  run(read_into(door, body));
  EXPECT_EQ(body, "all of it");
}

TEST_F(CgiDoor, AnInputThatEndsBeforeItsLengthMeansThatTheVisitorHasGone) {
  Door door(context.get_executor(), input.read, output.write, 100);
  write_all(input.write, "half");
  close_input();
  std::string body;
  run(read_into(door, body));
  EXPECT_EQ(body, "half!closed");
}

// Sets $TMPDIR for a while.
class ScopedTmpdir {
 public:
  explicit ScopedTmpdir(const char* folder) { ::setenv("TMPDIR", folder, 1); }
  ~ScopedTmpdir() { ::unsetenv("TMPDIR"); }
  ScopedTmpdir(const ScopedTmpdir&) = delete;
  ScopedTmpdir& operator=(const ScopedTmpdir&) = delete;
};

Task<> answer_and_read(Door& door, IoResult<void>& sent, std::string& body) {
  const net::Deadline deadline = net::after(20s);
  std::ignore = co_await door.write_head(head_of(200), deadline);
  const std::string answer(1'000'000, 'a');
  sent = co_await door.write_body(answer, deadline);
  body = co_await whole_body(door);
}

TEST_F(CgiDoor, AChunkedBodyThatCannotBeKeptIsNotTakenForAWholeOne) {
  const ScopedTmpdir nowhere("/nonexistent");
  std::thread server;
  IoResult<void> sent;
  std::string seen;
  {
    Door door(context.get_executor(), input.read, output.write, kToTheEnd);
    server = std::thread([fd = input.write] {  // more than is kept in memory, before it reads a byte of the answer
      const std::string body(3'000'000, 'b');
      std::string_view rest = body;
      for (ssize_t count = 1; count > 0 && !rest.empty(); rest.remove_prefix(static_cast<std::size_t>(count))) {
        count = std::max<ssize_t>(::write(fd, rest.data(), rest.size()), 0);
      }
    });
    run(answer_and_read(door, sent, seen));
  }
  server.join();
  EXPECT_FALSE(sent);
  EXPECT_TRUE(seen.ends_with("!closed")) << seen.size();
}

Task<> read_too_early(Door& door, int server) {
  std::array<char, 10> buffer{};
  const net::Deadline soon = net::after(1ms);
  const IoResult<std::size_t> early = co_await door.read_body(buffer, soon);
  EXPECT_TRUE(!early && early.error() == StreamError::deadline);
  write_all(server, "late");
  const net::Deadline later = net::after(20s);
  const IoResult<std::size_t> size = co_await door.read_body(buffer, later);
  EXPECT_EQ(size.value_or(0), 4U);
}

TEST_F(CgiDoor, AReadThatFoundNothingInTimeMayBeRepeated) {
  Door door(context.get_executor(), input.read, output.write, 4);
  run(read_too_early(door, input.write));
}

Task<> answer_then_read(Door& door, std::string answer, std::string& body, bool& is_whole) {
  co_await answer_with(door, std::move(answer));
  body = co_await whole_body(door);
  is_whole = co_await door.finish();
}

TEST_F(CgiDoor, AServerThatWritesTheWholeBodyFirstAndAProgramThatAnswersFirstDoNotDeadlock) {
  const std::string body(3'000'000, 'b');
  const std::string answer(3'000'000, 'a');
  Door door(context.get_executor(), input.read, output.write, body.size());
  std::string got;
  std::thread server([&] {  // as fcgiwrap: every byte of the body, then the answer
    write_all(input.write, body);
    got = read_all(output.read);
  });
  std::string seen;
  bool is_whole = false;
  run(answer_then_read(door, answer, seen, is_whole));
  server.join();
  EXPECT_TRUE(is_whole);
  EXPECT_TRUE(seen == body);
  EXPECT_TRUE(got == "Status: 200 OK\r\n\r\n" + answer);
}

Task<> only_answer(Door& door, bool& is_whole) {
  co_await answer_with(door, "done");
  is_whole = co_await door.finish();
}

TEST_F(CgiDoor, ABodyThatNobodyReadsIsTakenAwaySoThatTheAnswerIsSeen) {
  const std::string body(3'000'000, 'b');
  Door door(context.get_executor(), input.read, output.write, body.size());
  std::string got;
  std::thread server([&] {
    write_all(input.write, body);
    got = read_all(output.read);
  });
  bool is_whole = false;
  run(only_answer(door, is_whole));
  server.join();
  EXPECT_TRUE(is_whole);
  EXPECT_EQ(got, "Status: 200 OK\r\n\r\ndone");
}

TEST_F(CgiDoor, AnEndlessBodyThatNobodyReadsIsGivenUp) {
  std::thread server;
  std::uint64_t written = 0;
  bool is_whole = false;
  {
    Door door(context.get_executor(), input.read, output.write, kToTheEnd);
    server = std::thread([fd = input.write, &written] {
      const std::string piece(65'536, 'b');
      for (ssize_t count = 1; count > 0; written += static_cast<std::uint64_t>(std::max<ssize_t>(count, 0))) {
        count = ::write(fd, piece.data(), piece.size());
      }
    });
    run(only_answer(door, is_whole));
  }
  server.join();
  EXPECT_TRUE(is_whole);
  EXPECT_GE(written, 64U * 1024 * 1024);
  EXPECT_EQ(read_all(output.read), "Status: 200 OK\r\n\r\ndone");
}

Task<> wait_for_end(Door& door, std::string& body, bool& has_notice) {
  door.on_abort([&has_notice] { has_notice = true; });
  body = co_await whole_body(door);
}

TEST_F(CgiDoor, AServerThatStopsReadingTheAnswerIsNoticedBeforeAnythingIsWritten) {
  Door door(context.get_executor(), input.read, output.write, 100);
  ::close(std::exchange(output.read, -1));
  std::string body;
  bool has_notice = false;
  run(wait_for_end(door, body, has_notice));
  EXPECT_TRUE(has_notice);
  EXPECT_EQ(body, "!closed");
}

TEST_F(CgiDoor, TheNoticeOfAVisitorWhoHasGoneComesAtOnceToWhoAsksLater) {
  Door door(context.get_executor(), input.read, output.write, 0);
  door.visitor_left();
  int notices = 0;
  door.on_abort([&notices] { ++notices; });
  door.visitor_left();
  EXPECT_EQ(notices, 1);
}

Task<> write_to_nobody(Door& door, IoResult<void>& result, bool& is_whole) {
  const net::Deadline deadline = net::after(20s);
  result = co_await door.write_head(head_of(200), deadline);
  const std::string body(1'000'000, 'x');
  if (result) result = co_await door.write_body(body, deadline);
  is_whole = co_await door.finish();
}

TEST_F(CgiDoor, AnAnswerThatNobodyTakesEndsAsClosed) {
  Door door(context.get_executor(), input.read, output.write, 0);
  ::close(std::exchange(output.read, -1));
  IoResult<void> result;
  bool is_whole = true;
  run(write_to_nobody(door, result, is_whole));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error(), StreamError::closed);
  EXPECT_FALSE(is_whole);
}

Task<> write_until_deadline(Door& door, IoResult<void>& result) {
  const net::Deadline deadline = net::after(20s);
  result = co_await door.write_head(head_of(200), deadline);
  const std::string body(1'000'000, 'x');  // more than a pipe holds
  const net::Deadline soon = net::after(10ms);
  result = co_await door.write_body(body, soon);
}

TEST_F(CgiDoor, AnAnswerThatStandsStillEndsAtItsDeadline) {
  Door door(context.get_executor(), input.read, output.write, 0);
  IoResult<void> result;
  run(write_until_deadline(door, result));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error(), StreamError::deadline);
}

Task<> break_it_off(Door& door, bool& is_whole) {
  co_await answer_with(door, "the beginning");
  door.break_off();
  is_whole = co_await door.finish();
}

TEST_F(CgiDoor, ABrokenOffAnswerIsNotWhole) {
  Door door(context.get_executor(), input.read, output.write, 0);
  bool is_whole = true;
  run(break_it_off(door, is_whole));
  EXPECT_FALSE(is_whole);
}

Task<> write_unsafe_head(Door& door) {
  http::ResponseHead head = head_of(200);
  head.headers.add("X", "a\r\nSet-Cookie: stolen");
  const net::Deadline deadline = net::after(20s);
  const IoResult<void> sent = co_await door.write_head(head, deadline);
  EXPECT_TRUE(sent);
  const IoResult<void> body = co_await door.write_body("a secret", deadline);
  EXPECT_TRUE(body);
  EXPECT_TRUE(co_await door.finish());
}

TEST_F(CgiDoor, AHeadThatWouldMakeALineOfItsOwnIsABare500) {
  Door door(context.get_executor(), input.read, output.write, 0);
  run(write_unsafe_head(door));
  EXPECT_EQ(read_all(output.read), "Status: 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n");
}

TEST_F(CgiDoor, OneSocketMayBeBothEnds) {  // mod_cgid
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  const std::string body(1'000'000, 'b');
  const std::string answer(1'000'000, 'a');
  Door door(context.get_executor(), ends[0], ::fcntl(ends[0], F_DUPFD_CLOEXEC, 3), body.size());
  std::string got;
  std::thread server([&] {
    write_all(ends[1], body);
    ::shutdown(ends[1], SHUT_WR);
    got = read_all(ends[1]);
  });
  std::string seen;
  bool is_whole = false;
  run(answer_then_read(door, answer, seen, is_whole));
  server.join();
  ::close(ends[1]);
  EXPECT_TRUE(is_whole);
  EXPECT_TRUE(seen == body);
  EXPECT_TRUE(got == "Status: 200 OK\r\n\r\n" + answer);
}

TEST_F(CgiDoor, FilesWillDo) {
  std::string name = (std::filesystem::temp_directory_path() / "gatehouse-door-XXXXXX").string();
  const int file = ::mkstemp(name.data());
  ASSERT_GE(file, 0);
  write_all(file, "from a file");
  const int in = ::open(name.c_str(), O_RDONLY | O_CLOEXEC);
  const std::string target = name + ".out";
  const int out = ::open(target.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  bool is_whole = false;
  std::string seen;
  {
    Door door(context.get_executor(), in, out, 11);
    run(answer_then_read(door, "to a file", seen, is_whole));
  }
  std::ifstream result(target);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(result), {}), "Status: 200 OK\r\n\r\nto a file");
  EXPECT_EQ(seen, "from a file");
  EXPECT_TRUE(is_whole);
  ::close(file);
  std::filesystem::remove(name);
  std::filesystem::remove(target);
}

TEST_F(CgiDoor, WhoSharesADescriptorFindsItAsItWas) {
  const int shared = ::fcntl(input.read, F_DUPFD_CLOEXEC, 3);
  write_all(input.write, "x");
  {
    Door door(context.get_executor(), input.read, output.write, 1);
    std::string body;
    run(read_into(door, body));
    EXPECT_EQ(body, "x");
    EXPECT_NE(::fcntl(shared, F_GETFL) & O_NONBLOCK, 0);
  }
  EXPECT_EQ(::fcntl(shared, F_GETFL) & O_NONBLOCK, 0);
  ::close(shared);
}

TEST(BodyLength, IsTheAnnouncedOneNoneOrAllThereIs) {
  EXPECT_EQ(body_length({}), 0U);
  EXPECT_EQ(body_length({{"CONTENT_LENGTH", ""}}), 0U);
  EXPECT_EQ(body_length({{"CONTENT_LENGTH", "17"}}), 17U);
  EXPECT_EQ(body_length({{"CONTENT_LENGTH", "17"}, {"CONTENT_LENGTH", "3"}}), 3U);
  EXPECT_EQ(body_length({{"CONTENT_LENGTH", "17"}, {"HTTP_TRANSFER_ENCODING", "chunked"}}), 17U);
  EXPECT_EQ(body_length({{"HTTP_TRANSFER_ENCODING", "chunked"}}), kToTheEnd);
  for (const char* bad : {"-1", "1x", " 1", "1.0", "99999999999999999999"}) {
    EXPECT_EQ(body_length({{"CONTENT_LENGTH", bad}}), 0U) << bad;
  }
}

}  // namespace
}  // namespace gatehouse::cgi
