// The HTTP listener over real sockets: what is served, what is refused, and how connections end.
#include <gtest/gtest.h>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <future>
#include <span>
#include <stdexcept>

#include "contract/house.hpp"
#include "contract/http_client.hpp"
#include "httpd/server.hpp"

namespace gatehouse::httpd {
namespace {

using namespace std::chrono_literals;
using net::Task;
using test::Answer;
using test::Client;

// --- Handlers. Coroutines get all they use by parameters. ---

Task<> answer_with(ServerRequest& request, int status, std::string body) {
  const net::Deadline deadline = net::after(10s);
  http::ResponseHead head{.status = status, .reason = {}, .headers = {{"Content-Type", "text/plain"}}};
  head.headers.add("Content-Length", std::to_string(body.size()));
  const auto written = co_await request.write_head(head, deadline);
  if (written) std::ignore = co_await request.write_body(body, deadline);
}

std::string describe(const ServerRequest& request) {
  std::string out = request.head().method + " " + request.head().target + "\n";
  for (const auto& [name, value] : request.head().fields.fields())
    out.append(name).append("=").append(value).append("\n");
  return out;
}

Task<> echo(ServerRequest& request) {
  std::string body = describe(request);
  std::array<char, 5000> buffer{};
  const std::span<char> into{buffer};
  const net::Deadline deadline = net::after(10s);
  while (true) {
    const auto count = co_await request.read_body(into, deadline);
    if (!count) body += "broken: " + std::string(name(count.error()));
    if (!count || *count == 0) break;
    body.append(buffer.data(), *count);
  }
  co_await answer_with(request, 200, std::move(body));
}

Task<> answer_at_once(ServerRequest& request) {
  return answer_with(request, 200, "at once");
}

Task<> refuse(ServerRequest& request, ParseProblem problem) {
  return answer_with(request, problem.status, std::string(problem.reason));
}

// Nobody here sends what a closing connection would have to wait for.
ServerOptions quick() {
  ServerOptions options;
  options.drain_time = 20ms;
  return options;
}

class House : public gatehouse::test::House {
 public:
  explicit House(Handler handler, const ServerOptions& options = quick(), std::size_t reactors = 1)
      : gatehouse::test::House(connections(std::move(handler), refuse, options), options, reactors) {}
};

constexpr std::string_view kGet = "GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n";

// --- Requests ---

TEST(HttpServer, AnswersAndKeepsTheConnection) {
  const House house(echo);
  for (Client* client : {new Client(house.path()), new Client(house.port())}) {
    const std::unique_ptr<Client> owned(client);
    for (int i = 0; i < 3; ++i) {
      const Answer answer = client->ask(kGet);
      EXPECT_EQ(answer.status, 200);
      EXPECT_EQ(answer.body, "GET /a?b\nHost=x\n");
      EXPECT_FALSE(answer.fields.has("connection"));
      EXPECT_TRUE(answer.field("date").ends_with(" GMT"));
    }
  }
}

TEST(HttpServer, ARequestMayComeByteByByte) {
  const House house(echo);
  Client client(house.path());
  for (const std::string_view body :
       {"Content-Length: 4\r\n\r\nslow",
        "Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nsl\r\n2\r\now\r\n0\r\nT: u\r\n\r\n"}) {
    client.send_bytewise("POST / HTTP/1.1\r\nHost: x\r\n" + std::string(body));
    const Answer answer = client.receive();
    EXPECT_TRUE(answer.body.ends_with("\nslow")) << answer.body;
    EXPECT_FALSE(answer.body.contains("T=u")) << "a trailer is no field";
  }
}

TEST(HttpServer, RequestsMayBeSentAhead) {
  const House house(echo);
  Client client(house.path());
  client.send("POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\none" + std::string(kGet) +
              "POST /3 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nthree\r\n0\r\n\r\n" +
              std::string(kGet));
  EXPECT_TRUE(client.receive().body.ends_with("one"));
  EXPECT_TRUE(client.receive().body.starts_with("GET /a?b\n"));
  EXPECT_TRUE(client.receive().body.ends_with("three"));
  EXPECT_TRUE(client.receive().body.starts_with("GET /a?b\n"));
}

TEST(HttpServer, AnUnreadBodyIsDroppedAndTheNextRequestServed) {
  const House house(answer_at_once, {});
  Client client(house.path());
  const std::string large(3'000'000, 'x');
  for (int i = 0; i < 2; ++i) {
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n");
    client.send(large);
    EXPECT_EQ(client.receive().body, "at once");
  }
  EXPECT_EQ(client.ask(kGet).body, "at once");
}

TEST(HttpServer, AnUnreadBodyThatStallsEndsTheConnectionAfterTheAnswer) {
  const House house(answer_at_once);
  Client client(house.path());
  EXPECT_EQ(client.ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\nhalf").body, "at once");
  EXPECT_TRUE(client.sees_end());
}

// Sends the body byte by byte until the peer has had enough. Returns whether that was before the body's end.
bool drips_until_closed(Client& client) {
  for (int i = 0; i < 10'000; ++i) {
    if (!client.send("x")) return true;
    std::this_thread::sleep_for(1ms);  // faster than what is stalled
  }
  return false;
}

constexpr std::string_view kUnreadBody = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n";

TEST(HttpServer, AnUnreadBodyThatDripsIsNotDroppedForEver) {
  ServerOptions options = quick();
  options.write_time = 50ms;
  const House house(answer_at_once, options);
  Client client(house.path());
  EXPECT_EQ(client.ask(kUnreadBody).body, "at once");
  EXPECT_TRUE(drips_until_closed(client));
}

TEST(HttpServer, ADrainingServerDoesNotWaitForAnUnreadBody) {
  House house(answer_at_once);
  Client client(house.path());
  EXPECT_EQ(client.ask(kUnreadBody).body, "at once");
  std::promise<void> drained;
  house.server().stop([&] { drained.set_value(); });
  EXPECT_TRUE(drips_until_closed(client));
  drained.get_future().wait();
}

TEST(HttpServer, WhoExpectsToBeToldToContinueIs) {
  const House house(echo);
  Client client(house.path());
  const Answer told = client.ask("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  EXPECT_EQ(told.status, 100);
  EXPECT_TRUE(client.ask("body").body.ends_with("\nbody"));
  EXPECT_EQ(client.ask(kGet).status, 200);
}

TEST(HttpServer, ABodyThatNobodyAskedForEndsTheConnection) {
  const House house(answer_at_once);
  Client client(house.path());
  const Answer answer = client.ask("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.field("connection"), "close");
  EXPECT_TRUE(client.sees_end());
}

TEST(HttpServer, HeadHasNoBody) {
  const House house(answer_at_once);
  Client client(house.path());
  const Answer answer = client.ask("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(answer.field("content-length"), "7");
  EXPECT_EQ(client.ask(kGet).body, "at once") << "nothing of the first answer's body came";
}

struct Keeping {
  const char* request;
  bool is_kept;
};

TEST(HttpServer, KeepsAsThePeerWants) {
  constexpr Keeping kCases[] = {
      {"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", false},
      {"GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n", true},
      {"GET / HTTP/1.0\r\n\r\n", false},
      {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true},
      {"GET / HTTP/1.0\r\nHost: x\r\nConnection: Keep-Alive\r\n\r\n", true},
  };
  const House house(answer_at_once);
  for (const auto& [request, is_kept] : kCases) {
    Client client(house.path());
    const Answer answer = client.ask(request);
    EXPECT_EQ(answer.body, "at once") << request;
    EXPECT_EQ(answer.field("connection") != "close", is_kept) << request;
    if (is_kept) {
      EXPECT_EQ(client.ask(kGet).status, 200) << request;
    } else {
      EXPECT_TRUE(client.sees_end()) << request;
    }
  }
}

// --- What is no request ---

TEST(HttpServer, WhatTwoReadersCouldTakeDifferentlyIsRefusedAndTheConnectionEnds) {
  constexpr std::string_view kRefused[] = {
      "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
      "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\nx",
      "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
      "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\nx",
      "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x1\r\n\r\nx",
      "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\nx",
      "GET / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\nx",
      "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\nx",
      "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n",
      "GET / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "GET / HTTP/1.1\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
      "GET / HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nA:\r\n\tc\r\n\r\n",
      "GET / HTTP/1.1\r\n Host: x\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nA\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nA(b): c\r\n\r\n",
      "GET / HTTP/1.1\nHost: x\n\n",
      "GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nA: b\x01\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nA: b\x7f\r\n\r\n",
      "GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET / a HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /\r\n\r\n",
      "GET / HTTP/1.2\r\nHost: x\r\n\r\n",
      "GET / HTTP/2.0\r\nHost: x\r\n\r\n",
      "GET / http/1.1\r\nHost: x\r\n\r\n",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
      "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
      "G(T / HTTP/1.1\r\nHost: x\r\n\r\n",
      " GET / HTTP/1.1\r\nHost: x\r\n\r\n",
  };
  const House house(answer_at_once);
  for (const std::string_view request : kRefused) {
    Client client(house.path());
    // A second request behind it must never be answered: whose end the first one's was, nobody knows.
    const Answer answer = client.ask(std::string(request) + std::string(kGet));
    EXPECT_EQ(answer.status, 400) << request;
    EXPECT_EQ(answer.field("connection"), "close") << request;
    EXPECT_TRUE(client.sees_end()) << request;
  }
}

TEST(HttpServer, ANulIsRefused) {
  const House house(answer_at_once);
  const std::string nul(1, '\0');
  for (const std::string& request :
       {"GET /" + nul + " HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\nA: b" + nul + "\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA" + nul + ": b\r\n\r\n"}) {
    Client client(house.path());
    EXPECT_EQ(client.ask(request).status, 400) << request;
  }
}

TEST(HttpServer, ABrokenChunkEndsTheBodyAndTheConnection) {
  const House house(echo);
  for (const char* chunk : {"x\r\nab\r\n0\r\n\r\n", "-1\r\na\r\n0\r\n\r\n", "2\r\nabc\r\n0\r\n\r\n", "\r\n\r\n\r\n",
                            "ffffffffffffffffff\r\na"}) {
    Client client(house.path());
    client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + std::string(chunk));
    EXPECT_TRUE(client.receive().body.contains("broken: malformed")) << chunk;
    EXPECT_TRUE(client.sees_end()) << chunk;
  }
}

TEST(HttpServer, AChunkHeadThatNeverEndsIsRefused) {
  const House house(echo);
  Client client(house.path());
  client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;" + std::string(100'000, 'a'));
  EXPECT_TRUE(client.receive().body.contains("broken: malformed"));
}

TEST(HttpServer, BeyondALimitItIs431) {
  ServerOptions options = quick();
  options.max_head_bytes = 1000;
  options.max_fields = 5;
  const House house(answer_at_once, options);
  const std::string begin = "GET / HTTP/1.1\r\nHost: x\r\n";
  const auto status_of = [&](const std::string& request) {
    Client client(house.path());
    return client.ask(request).status;
  };
  const std::string filler(1000 - begin.size() - 7, 'a');
  EXPECT_EQ(status_of(begin + "A: " + filler + "\r\n\r\n"), 200);
  EXPECT_EQ(status_of(begin + "A: " + filler + "a\r\n\r\n"), 431);
  EXPECT_EQ(status_of(begin + "A: " + std::string(5000, 'a')), 431) << "without waiting for its end";
  EXPECT_EQ(status_of(begin + "A:\r\nA:\r\nA:\r\nA:\r\n\r\n"), 200);
  EXPECT_EQ(status_of(begin + "A:\r\nA:\r\nA:\r\nA:\r\nA:\r\n\r\n"), 431);
}

TEST(HttpServer, ANulTargetOrALongOneIsCountedToo) {
  ServerOptions options = quick();
  options.max_head_bytes = 100;
  const House house(answer_at_once, options);
  Client client(house.path());
  EXPECT_EQ(client.ask("GET /" + std::string(200, 'a')).status, 431);
}

// --- What goes wrong ---

Task<> throw_at_once(ServerRequest&) {
  throw std::runtime_error("a bug");
  co_return;
}

Task<> say_nothing(ServerRequest&) {
  co_return;
}

Task<> break_off(ServerRequest& request) {
  co_await answer_with(request, 200, "half");
  request.break_off();
}

TEST(HttpServer, WithoutAnAnswerTheConnectionClosesAndNothingIsSent) {
  for (const Handler& handler : {Handler(throw_at_once), Handler(say_nothing), Handler(break_off)}) {
    const House house(handler);
    for (Client* client : {new Client(house.path()), new Client(house.port())}) {
      const std::unique_ptr<Client> owned(client);
      const Answer answer = client->ask(kGet);
      EXPECT_EQ(answer.status, 0);
      EXPECT_TRUE(answer.is_closed);
    }
  }
}

Task<> write_a_line_of_its_own(ServerRequest& request) {
  const net::Deadline deadline = net::after(10s);
  const http::ResponseHead head{.status = 200, .reason = {}, .headers = {{"A", "b\r\nSet-Cookie: c=d"}}};
  std::ignore = co_await request.write_head(head, deadline);
  std::ignore = co_await request.write_body("secret", deadline);
}

TEST(HttpServer, AHeaderThatMakesALineOfItsOwnIsABare500) {
  const House house(write_a_line_of_its_own);
  Client client(house.path());
  const Answer answer = client.ask(kGet);
  EXPECT_EQ(answer.status, 500);
  EXPECT_FALSE(answer.fields.has("set-cookie"));
  EXPECT_EQ(answer.body, "");
}

Task<> answer_without_length(ServerRequest& request) {
  const net::Deadline deadline = net::after(10s);
  const http::ResponseHead head{.status = 200, .reason = {}, .headers = {{"Connection", "keep-alive"}}};
  std::ignore = co_await request.write_head(head, deadline);
  const std::string large(1'000'000, 'y');
  std::ignore = co_await request.write_body(large, deadline);
}

TEST(HttpServer, AnAnswerWithoutALengthEndsWithItsConnection) {
  const House house(answer_without_length);
  Client client(house.path());
  const Answer answer = client.ask(kGet);
  EXPECT_EQ(answer.field("connection"), "close");
  EXPECT_EQ(answer.body.size(), 1'000'000U);
  EXPECT_TRUE(answer.is_closed && !answer.is_reset);
}

// --- Time ---

TEST(HttpServer, AHalfHeadIsLetGoAndOthersAreServed) {
  ServerOptions options = quick();
  options.header_time = 100ms;
  const House house(answer_at_once, options);
  std::vector<std::unique_ptr<Client>> slow;
  for (int i = 0; i < 50; ++i) {
    slow.push_back(std::make_unique<Client>(house.path()));
    slow.back()->send("GET / HT");
  }
  Client client(house.path());
  EXPECT_EQ(client.ask(kGet).status, 200);
  for (const auto& one : slow) EXPECT_TRUE(one->sees_end());
}

TEST(HttpServer, AConnectionThatIsNotUsedIsLetGo) {
  ServerOptions options = quick();
  options.idle_time = 50ms;
  const House house(answer_at_once, options);
  Client client(house.path());
  EXPECT_TRUE(client.sees_end());
  Client used(house.path());
  EXPECT_EQ(used.ask(kGet).status, 200);
  EXPECT_TRUE(used.sees_end());
}

// --- The end ---

Task<> wait_for(ServerRequest& request, std::promise<void>& begun, std::shared_future<void> go) {
  begun.set_value();
  const auto executor = co_await net::asio::this_coro::executor;
  while (go.wait_for(0s) != std::future_status::ready) {
    net::asio::steady_timer timer(executor, 1ms);
    co_await timer.async_wait(net::asio::use_awaitable);
  }
  co_await answer_with(request, 200, "late");
}

TEST(HttpServer, ADrainingServerAnswersWhatRunsAndSaysThatItCloses) {
  std::promise<void> begun;
  std::promise<void> go;
  const std::shared_future<void> goes = go.get_future().share();
  House house([&](ServerRequest& request) { return wait_for(request, begun, goes); });
  Client client(house.path());
  Client idle(house.path());
  client.send(kGet);
  begun.get_future().wait();
  std::promise<void> drained;
  house.server().stop([&] { drained.set_value(); });
  EXPECT_TRUE(idle.sees_end());
  go.set_value();
  const Answer answer = client.receive();
  EXPECT_EQ(answer.body, "late");
  EXPECT_EQ(answer.field("connection"), "close");
  EXPECT_TRUE(client.sees_end());
  drained.get_future().wait();
}

TEST(HttpServer, WhatHasArrivedBeforeTheEndIsServed) {
  ServerOptions options = quick();
  options.shutdown_grace = 5ms;
  House house(answer_at_once, options);
  Client client(house.path());
  client.send("GET / HTTP/1.1\r\nHo");
  EXPECT_TRUE(house.reaches([](const net::ServerCounts& counts) { return counts.connections == 1; }));
  std::promise<void> drained;
  house.server().stop([&] { drained.set_value(); });
  while (Client(house.path()).is_connected()) std::this_thread::yield();
  EXPECT_EQ(client.ask("st: x\r\n\r\n").body, "at once");
  drained.get_future().wait();
}

TEST(HttpServer, CloseAllEndsWhatRuns) {
  std::promise<void> begun;
  std::promise<void> go;
  const std::shared_future<void> goes = go.get_future().share();
  House house([&](ServerRequest& request) { return wait_for(request, begun, goes); });
  Client client(house.path());
  client.send(kGet);
  begun.get_future().wait();
  house.server().close_all();
  EXPECT_EQ(client.receive().status, 0);
  go.set_value();
  EXPECT_TRUE(
      house.reaches([](const net::ServerCounts& counts) { return counts.connections == 0 && counts.busy == 0; }));
}

TEST(HttpServer, ManyConnectionsOnSeveralReactors) {
  const House house(echo, quick(), 3);
  std::vector<std::thread> threads;
  threads.reserve(8);
  std::atomic<int> right = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      Client client(house.path());
      for (int j = 0; j < 200; ++j) {
        if (client.ask("POST /" + std::to_string(j) + " HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab").body ==
            "POST /" + std::to_string(j) + "\nHost=x\nContent-Length=2\nab") {
          ++right;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 1600);
}

TEST(HttpServer, TheReactorsMayStopWhileRequestsRun) {
  std::promise<void> begun;
  std::promise<void> stays;
  const std::shared_future<void> waits = stays.get_future().share();
  auto house = std::make_unique<House>([&](ServerRequest& request) { return wait_for(request, begun, waits); });
  Client client(house->path());
  client.send(kGet);
  begun.get_future().wait();
  house.reset();
  EXPECT_EQ(client.receive().status, 0);
}

}  // namespace
}  // namespace gatehouse::httpd
