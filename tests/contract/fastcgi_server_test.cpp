// The FastCGI server as a web server meets it, over real sockets: a raw client writes the records, and every rule of
// the protocol that can be broken is broken.
#include <gtest/gtest.h>

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <fstream>
#include <functional>
#include <mutex>
#include <set>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "contract/fastcgi_client.hpp"
#include "contract/fastcgi_house.hpp"

namespace gatehouse::fastcgi {
namespace {

using namespace std::chrono_literals;
using net::StreamError;
using net::Task;
using test::Answer;
using test::begin_and_params;
using test::body_records;
using test::Client;
using test::House;
using test::kAuthorizer;
using test::kResponder;
using test::Pairs;
using test::raw_record;
using test::responder_request;

const Pairs kParams{{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "/"}, {"EMPTY", ""}};

http::ResponseHead head(int status, http::Headers headers = {}) {
  return {.status = status, .reason = {}, .headers = std::move(headers)};
}

std::string describe(const Params& params) {
  std::string out;
  for (const auto& [name, value] : params) out.append(name).append("=").append(value).append("\n");
  return out;
}

// --- Handlers. Coroutines get all they use by parameters. ---

// Lets the reactor go on for a moment.
Task<> pause() {
  const net::asio::any_io_executor executor = co_await net::asio::this_coro::executor;
  net::asio::steady_timer timer(executor, 1ms);
  co_await timer.async_wait(net::asio::use_awaitable);
}

Task<> answer_with(ServerRequest& request, int status, std::string body) {
  const net::Deadline deadline = net::after(10s);
  const http::ResponseHead answer = head(status, {{"Content-Type", "text/plain"}});
  if (!co_await request.write_head(answer, deadline)) co_return;
  co_await request.write_body(body, deadline);
}

Task<> read_all(ServerRequest& request, std::string& body, std::optional<StreamError>& error) {
  std::array<char, 5000> buffer{};
  const std::span<char> into{buffer};
  const net::Deadline deadline = net::after(10s);
  while (true) {
    const net::IoResult<std::size_t> count = co_await request.read_body(into, deadline);
    if (!count) error = count.error();
    if (!count || *count == 0) co_return;
    body.append(buffer.data(), *count);
  }
}

// Answers with role, parameters and body; gives no answer if the body does not come whole.
Task<> echo(ServerRequest& request) {
  std::string body = (request.role() == Role::authorizer ? "authorizer\n" : "responder\n") + describe(request.params());
  std::optional<StreamError> error;
  co_await read_all(request, body, error);
  if (!error) co_await answer_with(request, 200, std::move(body));
}

// Answers at once and leaves the body unread.
Task<> answer_at_once(ServerRequest& request) {
  return answer_with(request, 200, "at once");
}

std::string echo_of(const char* role, const Pairs& params, std::string_view body = {}) {
  return "Status: 200 OK\r\nContent-Type: text/plain\r\n\r\n" + std::string(role) + "\n" + describe(params) +
         std::string(body);
}

void expect_whole(const Answer& answer, const std::string& out) {
  EXPECT_EQ(answer.out, out);
  EXPECT_TRUE(answer.out_ended);
  EXPECT_EQ(answer.end, (EndRequest{.app_status = 0, .protocol_status = ProtocolStatus::request_complete}));
  EXPECT_EQ(answer.err, "");
}

void expect_dropped(const Answer& answer) {
  EXPECT_TRUE(answer.is_closed);
  EXPECT_EQ(answer.out, "");
  EXPECT_FALSE(answer.end);
}

// --- Requests ---

TEST(FastcgiServer, AResponderIsAnsweredWithStatusFirst) {
  const House house(echo);
  Client client(house.path());
  expect_whole(client.ask(responder_request(false, kParams, "the body")), echo_of("responder", kParams, "the body"));
  EXPECT_TRUE(client.sees_end()) << "the connection was not to be kept";
}

TEST(FastcgiServer, ServesOverTcpToo) {
  const House house(echo);
  Client client(house.port());
  for (int i = 0; i < 3; ++i) {
    expect_whole(client.ask(responder_request(true, kParams, "x")), echo_of("responder", kParams, "x"));
  }
  expect_whole(client.ask(responder_request(false, kParams, "x")), echo_of("responder", kParams, "x"));
  EXPECT_TRUE(client.sees_end());
}

TEST(FastcgiServer, ARequestMayComeByteByByte) {
  const House house(echo);
  Client client(house.path());
  for (int i = 0; i < 2; ++i) {
    client.send_bytewise(responder_request(true, kParams, "slow"));
    expect_whole(client.receive(), echo_of("responder", kParams, "slow"));
  }
}

TEST(FastcgiServer, EveryIdAndEveryPaddingIsTaken) {
  const House house(echo);
  Client client(house.path());
  for (const std::uint16_t id : {std::uint16_t{1}, std::uint16_t{2}, std::uint16_t{256}, std::uint16_t{65535}}) {
    for (const std::uint8_t padding : {std::uint8_t{0}, std::uint8_t{1}, std::uint8_t{255}}) {
      std::string pair;
      append_name_value(pair, "NAME", "value");
      const std::string request = raw_record(1, id, std::string("\0\1\1\0\0\0\0\0", 8), padding) +
                                  raw_record(4, id, pair, padding) + raw_record(4, id, "", padding) +
                                  raw_record(5, id, "body", padding) + raw_record(5, id, "", padding);
      expect_whole(client.ask(request), echo_of("responder", {{"NAME", "value"}}, "body"));
    }
  }
}

TEST(FastcgiServer, DoubledParametersAreAllThereInOrder) {
  const Pairs doubled{{"HTTP_COOKIE", "a=1"}, {"X", ""}, {"HTTP_COOKIE", "b=2"}, {"", "nameless"}};
  const House house(echo);
  Client client(house.path());
  expect_whole(client.ask(responder_request(false, doubled)), echo_of("responder", doubled));
}

TEST(FastcgiServer, ParametersMayBeLongAndSplitAnywhere) {
  Pairs params;
  for (std::size_t i = 0; i < 30; ++i) params.emplace_back(std::string(100 + i, 'N'), std::string(i * 200, 'v'));
  std::string pairs;
  for (const auto& [name, value] : params) append_name_value(pairs, name, value);
  ASSERT_GT(pairs.size(), 90'000U);
  const House house(echo);
  Client client(house.path());
  for (const std::size_t size : {std::size_t{7}, std::size_t{1000}, std::size_t{65535}}) {
    std::string request;
    append_begin_request(request, 1, {.role = kResponder, .flags = kKeepConnection});
    for (std::size_t at = 0; at < pairs.size(); at += size) request += raw_record(4, 1, pairs.substr(at, size), 3);
    request += raw_record(4, 1, "") + raw_record(5, 1, "");
    expect_whole(client.ask(request), echo_of("responder", params));
  }
}

TEST(FastcgiServer, ALargeBodyIsStreamed) {
  std::string body;
  for (int i = 0; body.size() < 3'000'000; ++i) body += std::to_string(i) + ",";
  const House house(echo);
  Client client(house.path());
  Answer answer;
  std::thread receiving([&] { answer = client.receive(); });
  std::string const request = begin_and_params(kResponder, true, kParams) + body_records(body);
  client.send(request);
  receiving.join();
  expect_whole(answer, echo_of("responder", kParams, body));
  expect_whole(client.ask(responder_request(false, kParams)), echo_of("responder", kParams));
}

// --- Authorizers ---

TEST(FastcgiServer, AnAuthorizerSendsNoStdinAndIsNotWaitedFor) {
  const House house(echo);
  Client client(house.path());
  for (int i = 0; i < 100; ++i) {
    expect_whole(client.ask(begin_and_params(kAuthorizer, true, kParams)), echo_of("authorizer", kParams));
  }
}

TEST(FastcgiServer, AnEmptyStdinOfAnAuthorizerMayComeWithTheRequestOrAfterTheAnswer) {
  const House house(echo);
  Client client(house.path());
  for (int i = 0; i < 100; ++i) {
    const std::string end_of_stdin = raw_record(5, 1, "");
    const std::string request = begin_and_params(kAuthorizer, true, kParams);
    expect_whole(client.ask(i % 2 == 0 ? request + end_of_stdin : request), echo_of("authorizer", kParams));
    const bool is_sent = i % 2 == 0 || client.send(end_of_stdin);
    ASSERT_TRUE(is_sent);
  }
}

TEST(FastcgiServer, AnAuthorizerThatIsNotKeptMayStillSendItsEmptyStdin) {
  ServerOptions options;
  options.drain_time = 10s;
  const House house(echo, options);
  Client client(house.path());
  expect_whole(client.ask(begin_and_params(kAuthorizer, false, kParams)), echo_of("authorizer", kParams));
  EXPECT_TRUE(client.send(raw_record(5, 1, ""))) << "its web server would take a refused write for a failure";
  EXPECT_TRUE(client.sees_end());
}

// --- What the specification wants answered ---

TEST(FastcgiServer, OtherRolesAreUnknown) {
  const House house(echo);
  for (const std::uint16_t role : {std::uint16_t{0}, std::uint16_t{3}, std::uint16_t{9}, std::uint16_t{65535}}) {
    Client client(house.path());
    const Answer answer = client.ask(begin_and_params(role, true, kParams) + body_records("body"));
    EXPECT_EQ(answer.end, (EndRequest{.app_status = 0, .protocol_status = ProtocolStatus::unknown_role})) << role;
    EXPECT_EQ(answer.out, "");
    EXPECT_TRUE(client.sees_end());
  }
}

std::string get_values(const std::vector<std::string>& names) {
  std::string content;
  for (const std::string& name : names) append_name_value(content, name, "");
  return raw_record(9, 0, content, 5);
}

Answer receive_values(Client& client) {
  return client.receive_until([](const Answer& answer) { return !answer.values.empty(); });
}

const Pairs kAllValues{{"FCGI_MAX_CONNS", "4096"}, {"FCGI_MAX_REQS", "4096"}, {"FCGI_MPXS_CONNS", "0"}};

TEST(FastcgiServer, GetValuesIsAnsweredFirstBetweenAndWithinRequests) {
  const House house(echo);
  Client client(house.path());
  const std::string ask = get_values({"FCGI_MAX_CONNS", "FCGI_MAX_REQS", "FCGI_MPXS_CONNS"});
  client.send(ask);
  EXPECT_EQ(receive_values(client).values, kAllValues);
  expect_whole(client.ask(responder_request(true, kParams)), echo_of("responder", kParams));
  client.send_bytewise(ask);
  EXPECT_EQ(receive_values(client).values, kAllValues);
  const std::string request = responder_request(true, kParams);
  client.send(request.substr(0, 16) + ask);  // behind BEGIN_REQUEST
  EXPECT_EQ(receive_values(client).values, kAllValues);
  expect_whole(client.ask(request.substr(16)), echo_of("responder", kParams));
}

TEST(FastcgiServer, GetValuesNamesOnlyWhatWasAskedForAndIsKnown) {
  const House house(echo);
  Client client(house.path());
  client.send(get_values({"FCGI_MPXS_CONNS", "OTHER", "FCGI_MPXS_CONNS"}));
  EXPECT_EQ(receive_values(client).values, (Pairs{{"FCGI_MPXS_CONNS", "0"}}));
}

TEST(FastcgiServer, ManyNamesInGetValuesDoNoHarm) {
  const House house(echo);
  Client client(house.path());
  std::vector<std::string> names;
  names.reserve(3000);
  for (int i = 0; i < 3000; ++i) names.emplace_back(i % 3 == 0 ? "FCGI_MAX_CONNS" : "FCGI_OTHER");
  client.send(get_values(names));
  EXPECT_EQ(receive_values(client).values, (Pairs{{"FCGI_MAX_CONNS", "4096"}}));
  client.send(get_values({"FCGI_MAX_CONNS", std::string(60'000, 'x')}));
  EXPECT_EQ(receive_values(client).values, (Pairs{{"FCGI_MAX_CONNS", "4096"}}));
  expect_whole(client.ask(responder_request(false, kParams)), echo_of("responder", kParams));
}

TEST(FastcgiServer, AnUnknownManagementTypeIsNamedAndItsContentSkipped) {
  const House house(echo);
  Client client(house.path());
  const std::string hidden = responder_request(true, {{"REMOTE_USER", "admin"}});
  const std::string request = responder_request(true, kParams);
  client.send(raw_record(77, 0, hidden, 9) + request.substr(0, 16) + raw_record(255, 0, "") + request.substr(16));
  const Answer answer = client.receive();
  expect_whole(answer, echo_of("responder", kParams));
  EXPECT_EQ(answer.unknown_types, (std::vector{77, 255}));
}

TEST(FastcgiServer, ASecondRequestIsRefusedAndTheFirstOneUnaffected) {
  const House house(echo);
  Client client(house.path());
  const std::string first = responder_request(true, kParams, "first", 1);
  const std::string second = responder_request(true, {{"SECOND", "2"}}, "second", 2);
  client.send(first.substr(0, 16) + second + first.substr(16));
  const Answer answer = client.receive();
  expect_whole(answer, echo_of("responder", kParams, "first"));
  EXPECT_EQ(answer.refused, std::vector<std::uint16_t>{2});
  // And while the handler waits for the body.
  client.send(begin_and_params(kResponder, true, kParams, 3) + second + body_records("third", 3));
  const Answer other = client.receive();
  expect_whole(other, echo_of("responder", kParams, "third"));
  EXPECT_EQ(other.refused, std::vector<std::uint16_t>{2});
}

TEST(FastcgiServer, RecordsOfARefusedRequestMayTrickleInAfterTheAnswer) {
  const House house(echo);
  Client client(house.path());
  const std::string second = responder_request(true, {{"SECOND", "2"}}, "second", 2);
  client.send(begin_and_params(kResponder, true, kParams) + second.substr(0, 16) + body_records(""));
  expect_whole(client.receive(), echo_of("responder", kParams));
  client.send(second.substr(16));
  expect_whole(client.ask(responder_request(true, kParams, "", 3)), echo_of("responder", kParams));
}

TEST(FastcgiServer, IgnoredRecordsAreNotIgnoredForEver) {
  const House house(echo);
  Client client(house.path());
  client.send(begin_and_params(kResponder, true, kParams));
  const std::string other = raw_record(5, 2, std::string(60'000, 'x'));
  bool is_open = true;
  for (int i = 0; i < 100 && is_open; ++i) is_open = client.send(other);
  EXPECT_FALSE(is_open);
  expect_dropped(client.receive());
}

// --- Broken protocol: no answer, closed ---

TEST(FastcgiServer, BrokenProtocolIsDroppedWithoutAnAnswer) {
  const std::string begin = raw_record(1, 1, std::string("\0\1\1\0\0\0\0\0", 8));
  const std::string request = responder_request(true, kParams, "body");
  std::string version_two = request;
  version_two[0] = 2;
  std::string late_version_two = request;
  late_version_two[16] = 2;
  const std::vector<std::pair<const char*, std::string>> broken{
      {"version 2", version_two},
      {"version 2 later", late_version_two},
      {"id 0", responder_request(true, kParams, "", 0)},
      {"STDIN first", raw_record(5, 1, "body")},
      {"empty STDIN first", raw_record(5, 1, "")},
      {"PARAMS first", raw_record(4, 1, "")},
      {"ABORT first", raw_record(2, 1, "")},
      {"HTTP", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"},
      {"STDIN before the end of PARAMS", begin + raw_record(4, 1, std::string("\1\1AB", 4)) + raw_record(5, 1, "")},
      {"PARAMS end within a pair", begin + raw_record(4, 1, std::string("\1\2AB", 4)) + raw_record(4, 1, "")},
      {"PARAMS end within a length", begin + raw_record(4, 1, std::string("\200\0", 2)) + raw_record(4, 1, "")},
      {"the same id twice", begin + begin},
      {"a short BEGIN", raw_record(1, 1, std::string("\0\1\1\0\0\0\0", 7))},
      {"a long BEGIN", raw_record(1, 1, std::string("\0\1\1\0\0\0\0\0\0", 9))},
      {"END_REQUEST", begin + raw_record(3, 1, std::string(8, '\0'))},
      {"STDOUT", begin + raw_record(6, 1, "x")},
      {"DATA", begin + raw_record(8, 1, "x")},
      {"type 0", begin + raw_record(0, 1, "x")},
      {"type 77 with an id", begin + raw_record(77, 1, "x")},
      {"GET_VALUES with an id", begin + raw_record(9, 1, "")},
      {"PARAMS with id 0", begin + raw_record(4, 0, "")},
      {"GET_VALUES cut within a pair", raw_record(9, 0, std::string("\3\0AB", 4))},
  };
  std::atomic<int> served = 0;
  const House house([&served](ServerRequest& served_request) {
    ++served;
    return echo(served_request);
  });
  for (const auto& [name, bytes] : broken) {
    SCOPED_TRACE(name);
    Client client(house.path());
    client.send(bytes);
    expect_dropped(client.receive());
  }
  EXPECT_EQ(served, 0);
}

Task<> note_read_error(ServerRequest& request, std::promise<void>& begun, std::promise<StreamError>& seen) {
  begun.set_value();
  std::string body;
  std::optional<StreamError> error;
  co_await read_all(request, body, error);
  seen.set_value(error.value_or(StreamError::deadline));
}

TEST(FastcgiServer, ProtocolThatBreaksUnderTheHandlerEndsItsReading) {
  std::promise<void> begun;
  std::promise<StreamError> seen;
  const House house([&](ServerRequest& request) { return note_read_error(request, begun, seen); });
  Client client(house.path());
  client.send(begin_and_params(kResponder, true, kParams) + raw_record(5, 1, "a part"));
  begun.get_future().wait();
  client.send("something else");
  EXPECT_EQ(seen.get_future().get(), StreamError::malformed);
  expect_dropped(client.receive());
}

// --- Limits ---

TEST(FastcgiServer, TooManyOrTooLargeParametersAre431) {
  ServerOptions options;
  options.max_pair_bytes = 1000;
  options.max_params_bytes = 3000;
  options.max_params = 10;
  options.drain_time = 10s;
  const House house(echo, options);
  const std::string large(990, 'v');
  const std::vector<std::pair<const char*, Pairs>> exceeding{
      {"pair", {{"A", std::string(1000, 'v')}}},
      {"sum", {{"A", large}, {"B", large}, {"C", large}, {"D", large}}},
      {"count", Pairs(11, {"N", "v"})},
  };
  for (const std::uint16_t role : {kResponder, kAuthorizer}) {
    for (const auto& [name, params] : exceeding) {
      SCOPED_TRACE(name);
      Client client(house.path());
      const Answer answer = client.ask(begin_and_params(role, true, params) + body_records("body"));
      EXPECT_TRUE(answer.out.starts_with("Status: 431 Request Header Fields Too Large\r\n")) << answer.out;
      EXPECT_TRUE(answer.end);
      EXPECT_TRUE(client.sees_end());
    }
  }
  Client client(house.path());
  const Pairs within(10, {"N", "v"});
  expect_whole(client.ask(responder_request(true, within)), echo_of("responder", within));
}

TEST(FastcgiServer, CraftedLengthsAre431BeforeTheirBytesCome) {
  const House house(echo);
  for (const std::string& lengths : {std::string("\xff\xff\xff\xff\0", 5), std::string("\xff\xff\xff\xfe\1", 5),
                                     std::string("\xff\xff\xff\xff\xff\xff\xff\xff", 8)}) {
    Client client(house.path());
    const Answer answer = client.ask(raw_record(1, 1, std::string("\0\1\1\0\0\0\0\0", 8)) + raw_record(4, 1, lengths));
    EXPECT_TRUE(answer.out.starts_with("Status: 431 "));
    EXPECT_TRUE(answer.end);
  }
}

// --- Answers that cannot be given ---

TEST(FastcgiServer, AHandlerThatWritesNothingLeavesNoEndMark) {
  const House house([](ServerRequest&) -> Task<> { co_return; });
  for (const std::uint16_t role : {kResponder, kAuthorizer}) {
    Client client(house.path());
    expect_dropped(client.ask(begin_and_params(role, true, kParams)));
  }
}

TEST(FastcgiServer, AHandlerThatThrowsLeavesNoEndMark) {
  const House house([](ServerRequest& request) -> Task<> {
    return [](ServerRequest& the_request) -> Task<> {
      co_await answer_with(the_request, 200, "half of");
      throw std::runtime_error("a bug");
    }(request);
  });
  Client client(house.path());
  const Answer answer = client.ask(responder_request(true, kParams));
  EXPECT_TRUE(answer.is_closed);
  EXPECT_FALSE(answer.end);
}

TEST(FastcgiServer, AHandlerThatThrowsBeforeItIsACoroutineIsDroppedToo) {
  const House house([](ServerRequest&) -> Task<> { throw std::runtime_error("a bug"); });
  Client client(house.path());
  expect_dropped(client.ask(responder_request(true, kParams)));
}

TEST(FastcgiServer, ABrokenOffAnswerHasNoEndMark) {
  const std::string much(100'000, 'x');
  for (const bool over_tcp : {false, true}) {
    const House house([&much](ServerRequest& request) -> Task<> {
      return [](ServerRequest& the_request, const std::string& the_body) -> Task<> {
        co_await answer_with(the_request, 200, the_body);
        the_request.break_off();
      }(request, much);
    });
    Client client = over_tcp ? Client(house.port()) : Client(house.path());
    const Answer answer = client.ask(responder_request(true, kParams));
    EXPECT_TRUE(answer.is_closed);
    EXPECT_FALSE(answer.end);
    EXPECT_FALSE(answer.out_ended);
    EXPECT_EQ(answer.is_reset, over_tcp) << "which even a web server that asks for no end mark notices";
  }
}

TEST(FastcgiServer, AHeaderThatWouldMakeALineOfItsOwnBecomesABareError) {
  for (const std::string& bad : {std::string("a\r\nSet-Cookie: b"), std::string("a\nb"), std::string("a\0b", 3)}) {
    const House house([&bad](ServerRequest& request) -> Task<> {
      return [](ServerRequest& the_request, const std::string& value) -> Task<> {
        const net::Deadline deadline = net::after(10s);
        const http::ResponseHead unsafe = head(200, {{"X-Good", "1"}, {"X-Bad", value}});
        co_await the_request.write_head(unsafe, deadline);
        EXPECT_TRUE(the_request.head_written());
        co_await the_request.write_body("what belonged to it", deadline);
      }(request, bad);
    });
    Client client(house.path());
    expect_whole(client.ask(responder_request(true, kParams)),
                 "Status: 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n");
  }
}

// --- Visitors that go ---

struct Watch {
  std::promise<void> begun;
  std::promise<StreamError> read;
  std::atomic<int> notices = 0;
  std::promise<void> noticed;
};

Task<> watch_visitor(ServerRequest& request, Watch& watch) {
  request.on_abort([&watch] {
    if (++watch.notices == 1) watch.noticed.set_value();
  });
  watch.begun.set_value();
  std::string body;
  std::optional<StreamError> error;
  co_await read_all(request, body, error);
  watch.read.set_value(error.value_or(StreamError::deadline));
  const net::Deadline deadline = net::after(10s);
  const http::ResponseHead late = head(200);
  const net::IoResult<void> written = co_await request.write_head(late, deadline);
  EXPECT_EQ(written, (net::IoResult<void>{std::unexpected(StreamError::closed)}));
}

TEST(FastcgiServer, AVisitorWhoGoesIsNoticedWhileTheHandlerWaits) {
  enum class Way { abort_request, close };
  for (const Way way : {Way::abort_request, Way::close}) {
    for (const bool over_tcp : {false, true}) {
      Watch watch;
      const House house([&watch](ServerRequest& request) { return watch_visitor(request, watch); });
      Client client = over_tcp ? Client(house.port()) : Client(house.path());
      client.send(begin_and_params(kResponder, true, kParams) + raw_record(5, 1, "a part"));
      watch.begun.get_future().wait();
      if (way == Way::abort_request) client.send(raw_record(2, 1, ""));
      if (way == Way::close) client.close();
      EXPECT_EQ(watch.read.get_future().get(), StreamError::closed);
      watch.noticed.get_future().wait();
      if (way == Way::abort_request) expect_dropped(client.receive());
      EXPECT_TRUE(house.reaches([](const net::ServerCounts& counts) { return counts.connections == 0; }));
      EXPECT_EQ(watch.notices, 1);
    }
  }
}

// Waits for nothing but the visitor's going.
Task<> wait_for_abort(ServerRequest& request, std::promise<void>& begun, std::promise<void>& noticed) {
  bool has_gone = false;
  request.on_abort([&has_gone] { has_gone = true; });
  begun.set_value();
  for (int i = 0; i < 10'000 && !has_gone; ++i) co_await pause();
  request.on_abort(nullptr);
  if (has_gone) noticed.set_value();
}

TEST(FastcgiServer, ACompleteRequestIsWatchedToo) {
  for (const bool over_tcp : {false, true}) {
    std::promise<void> begun;
    std::promise<void> noticed;
    const House house([&](ServerRequest& request) { return wait_for_abort(request, begun, noticed); });
    Client client = over_tcp ? Client(house.port()) : Client(house.path());
    client.send(responder_request(true, kParams, "whole"));
    begun.get_future().wait();
    client.close();
    noticed.get_future().wait();
  }
}

TEST(FastcgiServer, AVisitorWhoGoesBehindAFullWindowIsNoticed) {
  std::promise<void> begun;
  std::promise<void> noticed;
  const House house([&](ServerRequest& request) { return wait_for_abort(request, begun, noticed); });
  Client client(house.path());
  client.send(begin_and_params(kResponder, true, kParams));
  begun.get_future().wait();
  const std::string much = body_records(std::string(4'000'000, 'x'));
  EXPECT_LT(client.send_what_fits(much), much.size());
  client.close();
  noticed.get_future().wait();
}

TEST(FastcgiServer, AnAbortInParamsNeverReachesTheHandler) {
  std::atomic<int> served = 0;
  const House house([&served](ServerRequest& request) {
    ++served;
    return echo(request);
  });
  const std::string request = responder_request(true, kParams);
  Client in_params(house.path());
  in_params.send(request.substr(0, 30) + std::string(2, '\0'));
  Client cut(house.path());
  cut.send(request.substr(0, 40));
  cut.close();
  Client aborted(house.path());
  aborted.send(raw_record(1, 1, std::string("\0\1\1\0\0\0\0\0", 8)) + raw_record(2, 1, ""));
  expect_dropped(aborted.receive());
  Client at_once(house.path());
  at_once.send(begin_and_params(kResponder, true, kParams) + raw_record(2, 1, ""));
  expect_dropped(at_once.receive());
  in_params.close();
  EXPECT_TRUE(house.reaches([](const net::ServerCounts& counts) { return counts.connections == 0; }));
  EXPECT_EQ(served, 0);
}

Task<> wait_then_echo(ServerRequest& request, std::promise<void>& begun, std::shared_future<void> go) {
  begun.set_value();
  while (go.wait_for(0s) != std::future_status::ready) co_await pause();
  co_await echo(request);
}

TEST(FastcgiServer, AClientThatOnlyShutsDownItsSendingSideIsAnswered) {
  std::promise<void> begun;
  std::promise<void> go;
  const std::shared_future<void> going = go.get_future().share();
  const House house([&](ServerRequest& request) { return wait_then_echo(request, begun, going); });
  Client client(house.path());
  client.send(responder_request(true, kParams, "body"));
  begun.get_future().wait();
  client.shut_down_sending();
  EXPECT_FALSE(client.sees_anything_within(100));
  go.set_value();
  expect_whole(client.receive(), echo_of("responder", kParams, "body"));
  EXPECT_TRUE(client.sees_end());
}

TEST(FastcgiServer, AClientThatShutsDownWithinItsBodyIsDropped) {
  const House house(echo);
  Client cut(house.path());
  cut.send(begin_and_params(kResponder, true, kParams) + raw_record(5, 1, "not all"));
  cut.shut_down_sending();
  expect_dropped(cut.receive());
}

// --- Bodies that nobody reads ---

TEST(FastcgiServer, AnUnreadBodyNeverBecomesARequest) {
  const House house(answer_at_once);
  Client client(house.path());
  const std::string smuggled = responder_request(true, {{"REMOTE_USER", "admin"}});
  for (int i = 0; i < 20; ++i) {
    // The end of the body may come with the request, or only when the answer is on its way.
    const std::string request = responder_request(true, kParams, smuggled);
    const std::size_t cut = i % 2 == 0 ? request.size() : request.size() - 20;
    ASSERT_TRUE(client.send(request.substr(0, cut)));
    const Answer answer = client.ask(request.substr(cut));
    expect_whole(answer, "Status: 200 OK\r\nContent-Type: text/plain\r\n\r\nat once");
  }
}

// mod_proxy_fcgi ends a body in its middle when END_REQUEST comes, and sends the next visitor's request behind it: that
// one got 503.
TEST(FastcgiServer, TheEndOfAnAnswerWaitsForAnUnreadBodyThatStillComes) {
  ServerOptions options;
  options.rest_time = 30s;
  options.drain_time = 30s;
  const House house(answer_at_once, options);
  Client client(house.path());
  ASSERT_TRUE(client.send(begin_and_params(kResponder, true, kParams) + raw_record(5, 1, "some")));
  const std::string whole = "Status: 200 OK\r\nContent-Type: text/plain\r\n\r\nat once";
  EXPECT_FALSE(client.receive_until([&](const Answer& answer) { return answer.out == whole; }).end);
  const Answer end = client.ask(raw_record(5, 1, "more") + raw_record(5, 1, ""));
  EXPECT_TRUE(end.end);
  expect_whole(client.ask(responder_request(true, kParams)), whole);
}

// Under load nginx wrote on while the connection was closed under its hands, and showed 502 for a request that had been
// answered.
TEST(FastcgiServer, AnUnreadBodyOfSomeMiBCostsNobodyTheAnswer) {
  const House house(answer_at_once);
  for (const bool keeps : {true, false}) {
    Client client(house.path());
    ASSERT_TRUE(client.send(responder_request(keeps, kParams, std::string(3'000'000, 'x'))));
    expect_whole(client.receive(), "Status: 200 OK\r\nContent-Type: text/plain\r\n\r\nat once");
  }
}

TEST(FastcgiServer, AnEndlessUnreadBodyClosesTheConnection) {
  ServerOptions options;
  options.drain_time = 10s;
  options.drain_bytes = 64'000;
  options.drain_bytes = std::size_t{64} * 1024;
  const House house(answer_at_once, options);
  Client client(house.path());
  const Answer answer = client.ask(begin_and_params(kResponder, true, kParams) + raw_record(5, 1, "some"));
  EXPECT_TRUE(answer.end);
  const std::string part = raw_record(5, 1, std::string(8000, 'x'));
  std::size_t sent = 0;
  while (sent < 10'000'000 && client.send(part)) sent += part.size();
  EXPECT_LT(sent, 10'000'000U);
}

TEST(FastcgiServer, AStalledUnreadBodyClosesTheConnection) {
  ServerOptions options;
  options.drain_time = 20ms;
  const House house(answer_at_once, options);
  Client client(house.path());
  EXPECT_TRUE(client.ask(begin_and_params(kResponder, true, kParams) + raw_record(5, 1, "some")).end);
  EXPECT_TRUE(client.sees_end());
}

TEST(FastcgiServer, ARequestInFrontOfTheEndOfTheLastBodyIsDropped) {
  ServerOptions options;
  options.drain_time = 10s;
  const House house(answer_at_once, options);
  Client client(house.path());
  EXPECT_TRUE(client.ask(begin_and_params(kResponder, true, kParams) + raw_record(5, 1, "some")).end);
  client.send(responder_request(true, kParams, "", 2));
  expect_dropped(client.receive());
}

// --- Slow and stalled peers ---

Task<> read_slowly(ServerRequest& request, std::promise<void>& begun, std::shared_future<void> go) {
  begun.set_value();
  while (go.wait_for(0s) != std::future_status::ready) co_await pause();
  std::string body;
  std::optional<StreamError> error;
  co_await read_all(request, body, error);
  if (!error) co_await answer_with(request, 200, std::to_string(body.size()));
}

TEST(FastcgiServer, AnUploadWaitsForTheHandlerThatReadsIt) {
  for (const std::size_t window : {std::size_t{1000}, std::size_t{128'000}}) {
    std::promise<void> begun;
    std::promise<void> go;
    const std::shared_future<void> going = go.get_future().share();
    ServerOptions options;
    options.stdin_window = window;
    const House house([&](ServerRequest& request) { return read_slowly(request, begun, going); }, options);
    Client client(house.path());
    const std::string body = body_records(std::string(8'000'000, 'u'));
    client.send(begin_and_params(kResponder, true, kParams));
    begun.get_future().wait();
    const std::size_t taken = client.send_what_fits(body);
    EXPECT_LT(taken, 2'000'000U) << "the window and the buffers of the socket";
    go.set_value();
    client.send(std::string_view{body}.substr(taken));
    const Answer answer = client.receive();
    EXPECT_TRUE(answer.out.ends_with("\r\n\r\n8000000")) << answer.out;
    EXPECT_TRUE(answer.end);
  }
}

Task<> read_with_deadline(ServerRequest& request) {
  std::array<char, 100> buffer{};
  const std::span<char> into{buffer};
  const net::Deadline soon = net::after(30ms);
  const net::IoResult<std::size_t> first = co_await request.read_body(into, soon);
  EXPECT_EQ(first, net::IoResult<std::size_t>{5});
  const net::IoResult<std::size_t> second = co_await request.read_body(into, soon);
  EXPECT_EQ(second, (net::IoResult<std::size_t>{std::unexpected(StreamError::deadline)}));
  const net::IoResult<std::size_t> too_late = co_await request.read_body(into, soon);
  EXPECT_EQ(too_late, (net::IoResult<std::size_t>{std::unexpected(StreamError::deadline)}));
  co_await answer_with(request, 408, "too slow");
}

TEST(FastcgiServer, AStalledUploadEndsByTheDeadlineOfItsReader) {
  const House house(read_with_deadline);
  Client client(house.path());
  const Answer answer = client.ask(begin_and_params(kResponder, true, kParams) + raw_record(5, 1, "start"));
  EXPECT_TRUE(answer.out.starts_with("Status: 408 Request Timeout\r\n")) << answer.out;
  EXPECT_TRUE(answer.end) << "the visitor is still there, and is told";
}

struct Download {
  Download(std::size_t bytes, std::chrono::milliseconds limit) : size(bytes), time(limit) {}
  const std::size_t size;
  const std::chrono::milliseconds time;
  std::atomic<std::size_t> written = 0;
  std::promise<net::IoResult<void>> result;
};

Task<> send_much(ServerRequest& request, Download& download) {
  const net::Deadline deadline = net::after(download.time);
  const http::ResponseHead ok = head(200);
  net::IoResult<void> result = co_await request.write_head(ok, deadline);
  std::string part;
  for (std::size_t at = 0; result && at < download.size; at += part.size()) {
    // Parts of all sizes: coalesced ones, one record, several records.
    part.assign(std::min(1 + at * 7 % 150'000, download.size - at), static_cast<char>('a' + at % 26));
    result = co_await request.write_body(part, deadline);
    if (result) download.written += part.size();
  }
  download.result.set_value(result);
}

TEST(FastcgiServer, AReaderThatStopsEndsTheDownloadByItsDeadline) {
  for (const bool over_tcp : {false, true}) {
    Download download(100'000'000, 100ms);
    const House house([&download](ServerRequest& request) { return send_much(request, download); });
    Client client = over_tcp ? Client(house.port()) : Client(house.path());
    client.send(responder_request(true, kParams));
    EXPECT_EQ(download.result.get_future().get(), (net::IoResult<void>{std::unexpected(StreamError::deadline)}));
    const Answer answer = client.receive();
    EXPECT_TRUE(answer.is_closed);
    EXPECT_FALSE(answer.end);
    EXPECT_TRUE(house.reaches([](const net::ServerCounts& counts) { return counts.connections == 0; }));
  }
}

TEST(FastcgiServer, ASlowReaderGetsEverythingAndHoldsTheHandlerBack) {
  Download download(20'000'000, 20s);
  const House house([&download](ServerRequest& request) { return send_much(request, download); });
  Client client(house.path());
  client.send(responder_request(true, kParams));
  ASSERT_TRUE(client.sees_anything_within(10'000));
  EXPECT_LT(download.written, 5'000'000U);
  const Answer answer = client.receive();
  EXPECT_EQ(download.result.get_future().get(), net::IoResult<void>{});
  EXPECT_EQ(answer.out.size(), download.size + std::string_view("Status: 200 OK\r\n\r\n").size());
  EXPECT_TRUE(answer.end);
}

Task<> answer_of_size(ServerRequest& request) {
  return answer_with(request, 200, std::string(std::stoul(request.params().front().second), 'x'));
}

// Of some sizes the end of the answer is what no longer fits into the socket. It leaves when the visitor reads, whose
// next request may then be there before the handler's coroutine has gone on.
TEST(FastcgiServer, ARequestMayFollowTheEndOfALargeAnswerAtOnce) {
  const House house(answer_of_size);
  Client client(house.path());
  for (std::size_t size = 100'000; size < 400'000; size += 1000) {
    const Answer answer = client.ask(responder_request(true, {{"SIZE", std::to_string(size)}}));
    ASSERT_TRUE(answer.end) << size;
    ASSERT_GT(answer.out.size(), size);
  }
}

TEST(FastcgiServer, AReaderThatGoesEndsTheDownload) {
  for (const bool over_tcp : {false, true}) {
    Download download(100'000'000, 20s);
    const House house([&download](ServerRequest& request) { return send_much(request, download); });
    Client client = over_tcp ? Client(house.port()) : Client(house.path());
    client.send(responder_request(true, kParams));
    ASSERT_TRUE(client.sees_anything_within(10'000));
    client.close();
    EXPECT_EQ(download.result.get_future().get(), (net::IoResult<void>{std::unexpected(StreamError::closed)}));
  }
}

TEST(FastcgiServer, RepliesNeverCutARecordThatIsBeingSent) {
  Download download(20'000'000, 20s);
  const House house([&download](ServerRequest& request) { return send_much(request, download); });
  Client client(house.path());
  client.send(responder_request(false, kParams));  // a kept one would let the next request wait
  ASSERT_TRUE(client.sees_anything_within(10'000));
  for (std::uint16_t id = 2; id < 12; ++id) {
    client.send(raw_record(77, 0, "x") + get_values({"FCGI_MPXS_CONNS"}) + begin_and_params(kResponder, true, {}, id));
  }
  const Answer answer = client.receive();
  EXPECT_FALSE(answer.is_malformed);
  EXPECT_EQ(answer.unknown_types.size(), 10U);
  EXPECT_EQ(answer.values.size(), 10U);
  EXPECT_EQ(answer.refused.size(), 10U);
  EXPECT_EQ(answer.out.size(), download.size + std::string_view("Status: 200 OK\r\n\r\n").size());
}

TEST(FastcgiServer, AClientThatAsksAndDoesNotReadIsLetGo) {
  const House house(echo);
  Client client(house.path());
  const std::string ask = raw_record(77, 0, "");
  bool is_open = true;
  for (int i = 0; i < 1'000'000 && is_open; ++i) is_open = client.send(ask);
  EXPECT_FALSE(is_open);
}

Task<> head_then_wait(ServerRequest& request, std::shared_future<void> go) {
  const net::Deadline deadline = net::after(10s);
  const http::ResponseHead ok = head(200);
  co_await request.write_head(ok, deadline);
  co_await request.write_body("first ", deadline);
  while (go.wait_for(0s) != std::future_status::ready) co_await pause();
  co_await request.write_body("second", deadline);
}

TEST(FastcgiServer, WhatIsWrittenLeavesBeforeTheHandlerWaits) {
  std::promise<void> go;
  const std::shared_future<void> going = go.get_future().share();
  const House house([&going](ServerRequest& request) { return head_then_wait(request, going); });
  Client client(house.path());
  client.send(responder_request(true, kParams));
  const Answer part = client.receive_until([](const Answer& answer) { return answer.out.ends_with("first "); });
  EXPECT_EQ(part.out, "Status: 200 OK\r\n\r\nfirst ");
  go.set_value();
  EXPECT_EQ(client.receive().out, "second");
}

TEST(FastcgiServer, StalledHeadersAreClosedAndDisturbNobody) {
  ServerOptions options;
  options.header_time = 100ms;
  const House house(echo, options);
  Client idle(house.path());
  Client served_once(house.path());
  expect_whole(served_once.ask(responder_request(true, kParams)), echo_of("responder", kParams));
  std::vector<Client> stalled;
  const std::string request = responder_request(true, kParams);
  for (std::size_t i = 0; i < 200; ++i) {
    stalled.emplace_back(house.path());
    stalled.back().send(request.substr(0, 10 + i % 30));
  }
  Client other(house.path());
  expect_whole(other.ask(responder_request(true, kParams)), echo_of("responder", kParams));
  for (Client& client : stalled) expect_dropped(client.receive());
  // More than the time of a header has passed, and not one byte of theirs has come.
  expect_whole(idle.ask(responder_request(true, kParams)), echo_of("responder", kParams));
  expect_whole(served_once.ask(responder_request(true, kParams)), echo_of("responder", kParams));
}

// --- Many ---

int thread_count() {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.starts_with("Threads:")) return std::stoi(line.substr(8));
  }
  return 0;
}

TEST(FastcgiServer, FiveHundredIdleConnectionsLiveBesideSixtyFourBusyOnes) {
  House house(echo, {}, 2);
  std::vector<Client> idle;
  idle.reserve(500);
  for (int i = 0; i < 500; ++i) idle.emplace_back(house.path());
  for (Client& client : idle) {
    expect_whole(client.ask(responder_request(true, kParams)), echo_of("responder", kParams));
  }
  EXPECT_TRUE(
      house.reaches([](const net::ServerCounts& counts) { return counts.connections == 500 && counts.busy == 0; }));
  const int threads = thread_count();
  std::atomic<int> answered = 0;
  std::atomic<int> most_threads = 0;
  std::vector<std::thread> busy;
  busy.reserve(64);
  for (int i = 0; i < 64; ++i) {
    busy.emplace_back([&house, &answered, i] {
      const Pairs own{{"CLIENT", std::to_string(i)}};
      Client client(house.path());
      for (int j = 0; j < 20; ++j) {
        const std::string body(static_cast<std::size_t>(i * j * 20), 'b');
        if (client.ask(responder_request(true, own, body)).out == echo_of("responder", own, body)) ++answered;
      }
    });
  }
  most_threads = thread_count();
  for (std::thread& thread : busy) thread.join();
  EXPECT_EQ(answered, 64 * 20);
  EXPECT_LE(most_threads, threads + 64) << "every thread but those of the clients would be the server's";
  EXPECT_EQ(thread_count(), threads);
  for (Client& client : idle) {
    expect_whole(client.ask(responder_request(true, kParams)), echo_of("responder", kParams));
  }
}

TEST(FastcgiServer, ConnectionsAreSpreadOverTheReactors) {
  std::mutex mutex;
  std::set<std::thread::id> threads;
  const House house(
      [&](ServerRequest& request) {
        const std::lock_guard lock(mutex);
        threads.insert(std::this_thread::get_id());
        return echo(request);
      },
      {}, 3);
  for (int i = 0; i < 6; ++i) {
    Client client(house.path());
    expect_whole(client.ask(responder_request(false, kParams)), echo_of("responder", kParams));
  }
  EXPECT_EQ(threads.size(), 3U);
}

TEST(FastcgiServer, AcceptsNoMoreThanItsMaximumAndGoesOnWhenOneEnds) {
  ServerOptions options;
  options.max_connections = 3;
  House house(echo, options);
  std::vector<Client> clients;
  clients.reserve(3);
  for (int i = 0; i < 3; ++i) clients.emplace_back(house.path());
  EXPECT_TRUE(house.reaches([](const net::ServerCounts& counts) { return counts.connections == 3; }));
  Client waiting(house.path());
  waiting.send(responder_request(true, kParams));
  EXPECT_FALSE(waiting.sees_anything_within(150));
  EXPECT_EQ(house.server().counts().connections, 3U);
  clients.pop_back();
  expect_whole(waiting.receive(), echo_of("responder", kParams));
}

// The soft limit of descriptors, set to what is in use, and back.
class NoDescriptorsLeft {
 public:
  NoDescriptorsLeft() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const int lowest_free = ::dup(0);
    ::close(lowest_free);
    const rlimit none{.rlim_cur = static_cast<rlim_t>(lowest_free), .rlim_max = before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoDescriptorsLeft() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  NoDescriptorsLeft(const NoDescriptorsLeft&) = delete;
  NoDescriptorsLeft& operator=(const NoDescriptorsLeft&) = delete;

 private:
  rlimit before_{};
};

TEST(FastcgiServer, WithoutDescriptorsItWaitsAndRecovers) {
  House house(echo);
  Client before(house.path());
  expect_whole(before.ask(responder_request(true, kParams)), echo_of("responder", kParams));
  Client late(house.path());
  EXPECT_TRUE(house.reaches([](const net::ServerCounts& counts) { return counts.connections == 2; }));
  late.close();
  EXPECT_TRUE(house.reaches([](const net::ServerCounts& counts) { return counts.connections == 1; }));
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_GE(fd, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  house.path().copy(address.sun_path, sizeof address.sun_path - 1);
  {
    const NoDescriptorsLeft none;
    rusage start{};
    ::getrusage(RUSAGE_SELF, &start);
    ASSERT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    expect_whole(before.ask(responder_request(true, kParams)), echo_of("responder", kParams));
    pollfd state{.fd = fd, .events = POLLIN, .revents = 0};
    ::poll(&state, 1, 300);
    EXPECT_EQ(house.server().counts().connections, 1U);
    rusage end{};
    ::getrusage(RUSAGE_SELF, &end);
    const auto milliseconds = [](const timeval& time) { return time.tv_sec * 1000 + time.tv_usec / 1000; };
    const auto used = milliseconds(end.ru_utime) + milliseconds(end.ru_stime) - milliseconds(start.ru_utime) -
                      milliseconds(start.ru_stime);
    EXPECT_LT(used, 60) << "ms of processor time: it spins";
  }
  const std::string request = responder_request(false, kParams);
  ASSERT_EQ(::send(fd, request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
  std::string answer;
  std::array<char, 1000> buffer{};
  for (ssize_t count = 0; (count = ::recv(fd, buffer.data(), buffer.size(), 0)) > 0;) {
    answer.append(buffer.data(), static_cast<std::size_t>(count));
  }
  ::close(fd);
  EXPECT_NE(answer.find("Status: 200 OK"), std::string::npos);
}

// --- Stopping ---

TEST(FastcgiServer, StopWithNothingToDoDrainsAtOnce) {
  House house(echo);
  house.drain();
  EXPECT_FALSE(Client(house.path()).is_connected());
  EXPECT_FALSE(Client(house.port()).is_connected());
}

// Holds up the whole reactor, which no handler should do.
Task<> block(std::promise<void>& begun, std::shared_future<void> go) {
  begun.set_value();
  go.wait();
  co_return;
}

TEST(FastcgiServer, StopServesWhoHasConnectedBeforeIt) {
  std::promise<void> begun;
  std::promise<void> go;
  const std::shared_future<void> going = go.get_future().share();
  std::atomic<int> requests = 0;
  House house([&](ServerRequest& request) { return ++requests == 1 ? block(begun, going) : echo(request); });
  Client first(house.path());
  first.send(responder_request(true, kParams));
  begun.get_future().wait();
  Client late(house.path());
  late.send(responder_request(true, kParams));
  std::promise<void> drained;
  house.server().stop([&drained] { drained.set_value(); });
  go.set_value();
  expect_whole(late.receive(), echo_of("responder", kParams));
  drained.get_future().wait();
}

TEST(FastcgiServer, StopServesIdleConnectionsForAGraceAndThenClosesThem) {
  ServerOptions options;
  options.shutdown_grace = 200ms;
  options.header_time = 500ms;  // what has begun to arrive has so long to come whole
  House house(echo, options);
  Client idle(house.path());
  Client used(house.path());
  expect_whole(used.ask(responder_request(true, kParams)), echo_of("responder", kParams));
  Client half(house.path());
  half.send("\1\1");
  EXPECT_TRUE(house.reaches([](const net::ServerCounts& counts) { return counts.connections == 3; }));
  std::promise<void> drained;
  house.server().stop([&drained] { drained.set_value(); });
  expect_whole(used.ask(responder_request(true, kParams)), echo_of("responder", kParams));
  drained.get_future().wait();
  EXPECT_TRUE(idle.sees_end());
  EXPECT_TRUE(used.sees_end());
  EXPECT_TRUE(half.sees_end());
  EXPECT_EQ(house.server().counts().connections, 0U);
}

TEST(FastcgiServer, StopWaitsForARequestThatHasBegunToArrive) {
  ServerOptions options;
  options.shutdown_grace = 5ms;
  House house(echo, options);
  const std::string request = responder_request(true, kParams);
  Client in_params(house.path());
  Client in_header(house.path());
  Client idle(house.path());
  in_params.send(request.substr(0, 20));
  in_header.send(request.substr(0, 5));
  EXPECT_TRUE(house.reaches([](const net::ServerCounts& counts) { return counts.connections == 3; }));
  std::promise<void> drained;
  house.server().stop([&drained] { drained.set_value(); });
  EXPECT_TRUE(idle.sees_end()) << "the sweep has been there";
  in_params.send(request.substr(20));
  in_header.send(request.substr(5));
  expect_whole(in_params.receive(), echo_of("responder", kParams));
  expect_whole(in_header.receive(), echo_of("responder", kParams));
  drained.get_future().wait();
}

TEST(FastcgiServer, StopAnswersEverybodyInTheBacklog) {
  std::promise<void> begun;
  std::promise<void> go;
  const std::shared_future<void> going = go.get_future().share();
  std::atomic<int> requests = 0;
  House house([&](ServerRequest& request) { return ++requests == 1 ? block(begun, going) : echo(request); });
  Client first(house.path());
  first.send(responder_request(true, kParams));
  begun.get_future().wait();
  std::vector<std::unique_ptr<Client>> waiting;
  for (int i = 0; i < 200; ++i) {  // more than are accepted in one turn
    waiting.push_back(std::make_unique<Client>(house.path()));
    waiting.back()->send(responder_request(true, kParams));
  }
  std::promise<void> drained;
  house.server().stop([&drained] { drained.set_value(); });
  go.set_value();
  for (const auto& client : waiting) expect_whole(client->receive(), echo_of("responder", kParams));
  drained.get_future().wait();
}

// To close it between two requests is for the web server: it knows when it sends the next one.
TEST(FastcgiServer, StopKeepsAConnectionThatIsInUse) {
  ServerOptions options;
  options.shutdown_grace = 1s;
  House house(echo, options);
  Client used(house.path());
  Client idle(house.path());
  EXPECT_TRUE(house.reaches([](const net::ServerCounts& counts) { return counts.connections == 2; }));
  std::promise<void> drained;
  std::future<void> const has_drained = drained.get_future();
  house.server().stop([&drained] { drained.set_value(); });
  const auto end = std::chrono::steady_clock::now() + 4 * options.shutdown_grace;
  while (std::chrono::steady_clock::now() < end) {
    expect_whole(used.ask(responder_request(true, kParams)), echo_of("responder", kParams));
  }
  EXPECT_TRUE(idle.sees_end());
  EXPECT_NE(has_drained.wait_for(0s), std::future_status::ready);
  EXPECT_TRUE(used.sees_end());
  has_drained.wait();
}

TEST(FastcgiServer, StopHasNoPatienceForEver) {
  ServerOptions options;
  options.shutdown_grace = 5ms;
  options.shutdown_patience = 50ms;
  House house(echo, options);
  Client used(house.path());
  expect_whole(used.ask(responder_request(true, kParams)), echo_of("responder", kParams));
  std::promise<void> drained;
  house.server().stop([&drained] { drained.set_value(); });
  // A connection that is never unused for as long as the grace ends all the same.
  while (used.ask(responder_request(true, kParams)).end) continue;
  drained.get_future().wait();
}

TEST(FastcgiServer, StopLetsARunningRequestFinish) {
  std::promise<void> begun;
  std::promise<void> go;
  const std::shared_future<void> going = go.get_future().share();
  ServerOptions options;
  options.shutdown_grace = 10ms;
  House house([&](ServerRequest& request) { return read_slowly(request, begun, going); }, options);
  Client busy(house.path());
  Client idle(house.path());
  busy.send(responder_request(true, kParams, "body"));
  begun.get_future().wait();
  EXPECT_EQ(house.server().counts().busy, 1U);
  std::promise<void> drained;
  std::future<void> const has_drained = drained.get_future();
  house.server().stop([&drained] { drained.set_value(); });
  EXPECT_TRUE(idle.sees_end());
  EXPECT_NE(has_drained.wait_for(0s), std::future_status::ready);
  go.set_value();
  const Answer answer = busy.receive();
  EXPECT_TRUE(answer.out.ends_with("\r\n\r\n4"));
  EXPECT_TRUE(answer.end);
  EXPECT_TRUE(busy.sees_end());
  has_drained.wait();
}

TEST(FastcgiServer, CloseAllEndsEveryConnectionWithoutAnEndMark) {
  Watch watch;
  House house([&watch](ServerRequest& request) { return watch_visitor(request, watch); }, {}, 2);
  Client busy(house.path());
  busy.send(begin_and_params(kResponder, true, kParams));
  watch.begun.get_future().wait();
  Client idle(house.path());
  EXPECT_TRUE(house.reaches([](const net::ServerCounts& counts) { return counts.connections == 2; }));
  house.server().close_all();
  expect_dropped(busy.receive());
  EXPECT_TRUE(idle.sees_end());
  EXPECT_EQ(watch.read.get_future().get(), StreamError::closed);
  EXPECT_TRUE(
      house.reaches([](const net::ServerCounts& counts) { return counts.connections == 0 && counts.busy == 0; }));
}

// Waits for ever in each of the ways in which a handler can wait.
Task<> wait_for_ever(ServerRequest& request, std::atomic<int>& begun, int way) {
  const net::Deadline deadline = net::after(1h);
  ++begun;
  if (way == 0) {
    std::string body;
    std::optional<StreamError> error;
    co_await read_all(request, body, error);
  } else if (way == 1) {
    const http::ResponseHead ok = head(200);
    co_await request.write_head(ok, deadline);
    std::string much;
    much.resize(50'000'000);
    co_await request.write_body(much, deadline);
  } else {
    const net::asio::any_io_executor executor = co_await net::asio::this_coro::executor;
    net::asio::steady_timer timer(executor, deadline);
    co_await timer.async_wait(net::asio::use_awaitable);
  }
}

TEST(FastcgiServer, ItsEndTakesEveryWaitingRequestWithIt) {
  std::atomic<int> begun = 0;
  auto house = std::make_unique<House>(
      [&begun](ServerRequest& request) {
        return wait_for_ever(request, begun, std::stoi(request.params().front().second));
      },
      ServerOptions{}, 3);
  std::vector<Client> clients;
  for (int i = 0; i < 12; ++i) {
    clients.emplace_back(house->path());
    clients.back().send(begin_and_params(kResponder, true, {{"WAY", std::to_string(i % 4)}}));
  }
  for (int i = 0; i < 5; ++i) clients.emplace_back(house->path());
  while (begun < 12) std::this_thread::yield();
  house.reset();
  for (Client& client : clients) EXPECT_TRUE(client.receive().is_closed);
}

TEST(FastcgiServer, AServerMayGoWhileItsReactorsRunOn) {
  std::promise<void> begun;
  std::promise<void> noticed;
  net::asio::io_context reactor;
  const test::Folder folder;
  const std::string path = folder / "s";
  const auto wait = [&](ServerRequest& request) { return wait_for_abort(request, begun, noticed); };
  const std::vector<net::Listening> listeners{{net::listen_on(test::unix_at(path), {}).value(), connections(wait)}};
  auto server = std::make_unique<net::Server>(std::vector{&reactor}, listeners);
  server->start();
  std::thread thread([&reactor] { reactor.run(); });
  Client busy(path);
  busy.send(responder_request(true, kParams));
  begun.get_future().wait();
  const Client idle(path);
  server.reset();
  noticed.get_future().wait();
  expect_dropped(busy.receive());
  thread.join();  // nothing of the server's keeps the reactor busy
  EXPECT_FALSE(Client(path).is_connected());
}

TEST(FastcgiServer, OneThatWasNeverStartedClosesItsSockets) {
  const test::Folder folder;
  net::asio::io_context reactor;
  const int fd = net::listen_on(test::unix_at(folder / "s"), {}).value();
  {
    const net::Server server({&reactor}, {{fd, connections(echo)}});
  }
  reactor.run();
  EXPECT_FALSE(Client(folder / "s").is_connected());
}

}  // namespace
}  // namespace gatehouse::fastcgi
