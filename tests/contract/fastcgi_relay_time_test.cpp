// The relay and who makes whom wait, or has gone: the application, the visitor, a connection that is kept, and nobody
// there at all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/detached.hpp>

#include <latch>

#include "contract/relaying.hpp"

namespace gatehouse::relay {
namespace {

using namespace test;
using contract::NoDescriptors;
using contract::TemporaryVariable;
using testing::HasSubstr;

// ---- Time ----

TEST_F(Relaying, SilenceBeforeTheHeadIsATimeout) {
  timeout = kShort;
  start([this](Link& link) {
    link.read_request();
    EXPECT_TRUE(link.sees_end());
    received = link.got;
  });
  EXPECT_EQ(failed().status, 504);
  EXPECT_TRUE(got().is_aborted);
}

TEST_F(Relaying, ApplicationThatReadsNothingIsATimeout) {
  timeout = kShort;
  std::latch is_over(1);
  start([&is_over](Link&) { is_over.wait(); });
  EXPECT_EQ(failed(std::string(4'000'000, 'i')).status, 504);
  is_over.count_down();
  application->finish();
}

TEST_F(Relaying, ApplicationThatReadsTheBodySlowlyIsAlive) {
  timeout = 1s;
  start([this](Link& link) {
    link.read_params();
    // Longer in all than the timeout.
    for (int piece = 0; piece < 8; ++piece) {
      std::this_thread::sleep_for(200ms);
      link.take(250'000);
    }
    link.read_body();
    received = link.got;
    link.send(whole(kHead));
  });
  delivered(std::string(2'000'000, 'i'));
  EXPECT_EQ(got().body.size(), 2'000'000U);
}

TEST_F(Relaying, HeaderThatTricklesIsATimeout) {
  timeout = 500ms;
  start([](Link& link) {
    link.read_request();
    // Each byte comes well within the timeout.
    while (link.send(out("x"))) std::this_thread::sleep_for(20ms);
  });
  EXPECT_EQ(failed().status, 504);
}

TEST_F(Relaying, BodyThatTricklesIsAlive) {
  timeout = 1s;
  start([](Link& link) {
    link.read_request();
    link.send(out(kHead));
    for (int i = 0; i < 8; ++i) {
      std::this_thread::sleep_for(200ms);
      link.send(out("x"));
    }
    link.send(out_end() + end());
  });
  delivered();
  EXPECT_EQ(visitor().answer, "xxxxxxxx");
}

TEST_F(Relaying, LineOfTheLogIsASignOfLife) {
  timeout = 1s;
  start([](Link& link) {
    link.read_request();
    for (int i = 0; i < 8; ++i) {
      std::this_thread::sleep_for(200ms);
      link.send(err("working\n"));
    }
    link.send(whole(kHead));
  });
  delivered();
  EXPECT_EQ(log.size(), 8U);
}

TEST_F(Relaying, SilenceWithinTheBodyBreaksOff) {
  timeout = kShort;
  start([this](Link& link) {
    link.read_request();
    link.send(out(kHead + "some"));
    EXPECT_TRUE(link.sees_end());
    received = link.got;
  });
  EXPECT_THAT(broken_off(), HasSubstr("silent"));
  EXPECT_EQ(visitor().answer, "some");
  EXPECT_TRUE(got().is_aborted);
}

TEST_F(Relaying, SilenceAfterAWholeAnnouncedAnswerIsItsEnd) {
  timeout = kShort;
  start(says_and_stays(out("Content-Length: 4\r\n" + kHead + "fine")));
  delivered();
  EXPECT_EQ(visitor().answer, "fine");
}

TEST_F(Relaying, SilenceAfterTheEndOfStdoutIsItsEnd) {
  timeout = kShort;
  start(says_and_stays(out(kHead + "fine") + out_end()));
  delivered();
  EXPECT_EQ(visitor().answer, "fine");
}

// ---- The visitor ----

TEST_F(Relaying, VisitorWhoHasGoneAlreadyReachesNobody) {
  start([this](Link& link) {
    EXPECT_FALSE(link.read_request());
    received = link.got;
  });
  visitor().leave();
  broken_off();
  EXPECT_FALSE(got().begin);
}

TEST_F(Relaying, VisitorWhoLeavesWhileTheBodyIsSentClosesTheConnection) {
  start([this](Link& link) {
    link.read_params();
    on_reactor([this] { visitor().leave(); });
    EXPECT_TRUE(link.sees_end());
    received = link.got;
  });
  broken_off(std::string(4'000'000, 'i'));
  EXPECT_FALSE(got().has_ended_stdin);
  EXPECT_FALSE(got().is_malformed);
}

TEST_F(Relaying, VisitorWhoLeavesBeforeTheHeadAbortsTheRequest) {
  start([this](Link& link) {
    link.read_request();
    on_reactor([this] { visitor().leave(); });
    EXPECT_TRUE(link.sees_end());
    received = link.got;
  });
  EXPECT_THAT(broken_off(), HasSubstr("visitor"));
  EXPECT_TRUE(got().is_aborted);
}

TEST_F(Relaying, VisitorWhoLeavesAtTheHeadAbortsTheRequest) {
  visitor().leaves_at_head = true;
  start([this](Link& link) {
    link.read_request();
    link.send(out(kHead));
    EXPECT_TRUE(link.sees_end());
    received = link.got;
  });
  broken_off();
  EXPECT_TRUE(got().is_aborted);
}

TEST_F(Relaying, VisitorWhoLeavesWithinTheBodyAbortsTheRequest) {
  visitor().takes_body = false;
  start([this](Link& link) {
    link.read_request();
    link.send_alone(out(kHead + "some"));
    on_reactor([this] { visitor().leave(); });
    EXPECT_TRUE(link.sees_end());
    received = link.got;
  });
  broken_off();
  EXPECT_TRUE(got().is_aborted);
}

TEST_F(Relaying, VisitorWhoLeavesAfterTheApplicationHasEndedIsBrokenOff) {
  visitor().takes_body = false;
  start([this](Link& link) {
    link.read_request();
    link.send_alone(whole(kHead + "some"));
    on_reactor([this] { visitor().leave(); });
  });
  broken_off();
}

TEST_F(Relaying, VisitorWhoTakesNothingIsGivenUp) {
  visitor().takes_body = false;
  visitor_stall = kShort;
  answer_buffer = 100'000;
  start([this](Link& link) {
    link.read_request();
    link.send(out(kHead));
    link.flood(out(std::string(10'000, 'x')));
    EXPECT_TRUE(link.sees_end());
    received = link.got;
  });
  EXPECT_THAT(broken_off(), HasSubstr("deadline"));
}

TEST_F(Relaying, VisitorWhoTakesNoHeadIsGivenUp) {
  visitor().takes_answer = false;
  visitor_stall = kShort;
  start(says_and_stays(out(kHead)));
  EXPECT_THAT(broken_off(), HasSubstr("deadline"));
}

TEST_F(Relaying, VisitorWhoReadsSlowlyIsNotTheApplicationsFault) {
  timeout = kShort;
  answer_buffer = 0;
  visitor().before_write = 700ms;
  start(says(whole(kHead + std::string(20'000, 'x'))));
  delivered();
  EXPECT_EQ(visitor().answer.size(), 20'000U);
}

// The place of the application is given back while the visitor has not taken a byte of the body.
TEST_F(Relaying, SlowVisitorDoesNotOccupyTheApplication) {
  visitor().takes_body = false;
  answer_buffer = 4 << 20;
  std::size_t taken_before = 0;
  place = std::shared_ptr<void>(nullptr, [&](void*) {
    taken_before = visitor().answer.size();
    visitor().take_body();
  });
  start([](Link& link) {
    link.read_request();
    EXPECT_TRUE(link.send(whole(kHead + std::string(2'000'000, 'x'))));
  });
  delivered();
  EXPECT_LE(taken_before, 65'536U);
  EXPECT_EQ(visitor().answer.size(), 2'000'000U);
}

class Waiting : public Relaying {
 protected:
  static constexpr std::size_t kSize = 8'000'000;
  // Sends a long answer to a visitor who takes nothing until the application can send no more.
  void start_long_answer() {
    visitor().takes_body = false;
    start([this](Link& link) {
      link.read_request();
      const std::string answer = whole(kHead + std::string(kSize, 'x'));
      sent_before = link.send_what_fits(answer);
      on_reactor([this] { visitor().take_body(); });
      EXPECT_TRUE(link.send(std::string_view(answer).substr(sent_before)));
    });
  }
  std::size_t sent_before = 0;
};

TEST_F(Waiting, IsTheApplicationBeyondTheBuffer) {
  answer_buffer = 500'000;
  timeout = kShort;
  start_long_answer();
  delivered();
  EXPECT_EQ(visitor().answer.size(), kSize);
  application->finish();
  EXPECT_GE(sent_before, answer_buffer);
  EXPECT_LT(sent_before, 4'000'000U);
}

TEST_F(Waiting, IsTheApplicationWhereNothingIsKept) {
  answer_buffer = 0;
  start_long_answer();
  delivered();
  EXPECT_EQ(visitor().answer.size(), kSize);
  application->finish();
  EXPECT_LT(sent_before, 4'000'000U);
}

TEST_F(Waiting, IsTheApplicationWhereNoFileCanBeMade) {
  start_long_answer();
  const TemporaryVariable nowhere("TMPDIR", "/nonexistent");
  delivered();
  EXPECT_EQ(visitor().answer.size(), kSize);
  application->finish();
  EXPECT_LT(sent_before, 4'000'000U);
}

// ---- Kept connections ----

class Kept : public Relaying {
 protected:
  Kept() { most_kept = 4; }

  // Answers each request on a connection with the same.
  static Application::Script answers(std::string bytes) {
    return [bytes = std::move(bytes)](Link& link) {
      while (link.read_request()) link.send(bytes);
    };
  }
  void TearDown() override {
    close_all();
    Relaying::TearDown();
  }
  // The application waits for the next request on what is kept.
  void close_all() {
    client.reset();
    application->finish();
  }
};

TEST_F(Kept, ConnectionServesTheNextRequest) {
  start([this](Link& link) {
    while (link.read_request()) {
      received = link.got;
      link.send(whole(kHead + "hello"));
    }
  });
  for (int i = 0; i < 5; ++i) {
    delivered();
    EXPECT_EQ(visitor().answer, "hello");
  }
  EXPECT_EQ(application->connections(), 1);
  close_all();
  EXPECT_EQ(received.begin->flags, fastcgi::kKeepConnection);
}

TEST_F(Kept, NoneIsAskedForWithABody) {
  start([this](Link& link) {
    link.read_request();
    received = link.got;
    link.send(whole(kHead));
    EXPECT_TRUE(link.sees_end());
  });
  delivered("body");
  delivered("body");
  EXPECT_EQ(application->connections(), 2);
  EXPECT_EQ(got().begin->flags, 0);
}

TEST_F(Kept, OneInWhichSomethingLiesIsNotUsed) {
  start(answers(whole(kHead) + out("more")));
  delivered();
  delivered();
  EXPECT_EQ(application->connections(), 2);
}

TEST_F(Kept, OneIntoWhichSomethingCameLaterIsNotUsed) {
  std::latch is_delivered(1);
  std::latch is_spoilt(1);
  start([&](Link& link) {
    link.read_request();
    link.send_alone(whole(kHead));
    if (application->connections() > 1) return;
    is_delivered.wait();
    link.send(out("more"));
    is_spoilt.count_down();
    link.sees_end();
  });
  delivered();
  is_delivered.count_down();
  is_spoilt.wait();
  delivered();
  EXPECT_EQ(application->connections(), 2);
  close_all();
}

TEST_F(Kept, OneThatTheApplicationClosedIsNotUsed) {
  std::latch is_closed(1);
  start([&](Link& link) {
    link.read_request();
    link.send(whole(kHead));
    link.close();
    if (application->connections() == 1) is_closed.count_down();
  });
  delivered();
  is_closed.wait();
  delivered();
  EXPECT_EQ(application->connections(), 2);
  close_all();
}

// Its padding would be read as the beginning of the next answer.
TEST_F(Kept, OneWhoseLastRecordIsNotCompleteIsNotUsed) {
  for (const std::size_t missing : {100U, 50U}) {
    const std::string last = raw_record(3, 1, std::string(8, '\0'), 100);
    start(answers(out(kHead) + last.substr(0, last.size() - missing)));
    delivered();
    delivered();
    EXPECT_EQ(application->connections(), 2) << missing;
    close_all();
  }
}

TEST_F(Kept, NoMoreThanConfigured) {
  most_kept = 1;
  std::latch both(2);
  std::counting_semaphore<> closed(0);
  start([&](Link& link) {
    link.read_request();
    both.arrive_and_wait();
    link.send(whole(kHead));
    if (link.sees_end()) closed.release();
  });
  Answered first;
  Answered second;
  begin(first);
  next_visitor();
  begin(second);
  finish(first);
  EXPECT_TRUE(second.is_done);
  EXPECT_TRUE(std::holds_alternative<Delivered>(second.outcome)) << describe(second.outcome);
  EXPECT_TRUE(closed.try_acquire_for(10s));
  EXPECT_FALSE(closed.try_acquire());
  close_all();
  EXPECT_TRUE(closed.try_acquire());
}

// The application may have run it: nobody can tell.
TEST_F(Kept, RequestIsNotSentAgainWhenTheConnectionDiesUnderIt) {
  std::atomic<int> requests = 0;
  start([&requests](Link& link) {
    link.read_request();
    ++requests;
    link.send(whole(kHead));
    if (link.read_request()) ++requests;
  });
  delivered();
  EXPECT_EQ(failed().status, 502);
  close_all();
  EXPECT_EQ(application->connections(), 1);
  EXPECT_EQ(requests, 2);
}

TEST_F(Kept, AbortedOneIsNotUsed) {
  start([this](Link& link) {
    link.read_request();
    if (application->connections() == 1) {
      on_reactor([this] { visitor().leave(); });
    } else {
      link.send(whole(kHead));
    }
    link.sees_end();
  });
  broken_off();
  delivered();
  EXPECT_EQ(application->connections(), 2);
}

// ---- Where nobody answers ----

TEST_F(Relaying, MissingSocketIsABadGateway) {
  connect_to(*net::ConnectAddress::parse("unix:/nonexistent/application"));
  EXPECT_EQ(failed().status, 502);
}

TEST_F(Relaying, SocketWithoutAListenerIsABadGateway) {
  for (const auto family : {Application::Family::unix_socket, Application::Family::ipv4}) {
    Application gone([](Link&) {}, family);
    connect_to(gone.address());
    gone.finish();
    EXPECT_EQ(failed().status, 502);
  }
}

TEST_F(Relaying, NameThatIsNotLookedUpIsABadGateway) {
  connect_to(*net::ConnectAddress::parse("tcp:nobody.invalid:9000"));
  EXPECT_EQ(failed().status, 502);
}

TEST_F(Relaying, ApplicationMayHaveAName) {
  start(says(whole(kHead + "hello")), Application::Family::ipv4);
  auto address = net::ConnectAddress::parse("tcp:localhost:" + std::to_string(application->address().port));
  ASSERT_TRUE(address && address->look_up());
  connect_to(*address);
  delivered();
  EXPECT_EQ(visitor().answer, "hello");
}

bool has_ipv6() {
  const int fd = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in6 name{};
  name.sin6_family = AF_INET6;
  name.sin6_addr = in6addr_loopback;
  const bool is_bound = fd >= 0 && ::bind(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0;
  if (fd >= 0) ::close(fd);
  return is_bound;
}

TEST_F(Relaying, ApplicationMayHaveAnIpv6Address) {
  if (!has_ipv6()) GTEST_SKIP() << "no IPv6 here";
  start(says(whole(kHead + "hello")), Application::Family::ipv6);
  delivered();
  EXPECT_EQ(visitor().answer, "hello");
}

class FullBacklog : public Relaying {
 protected:
  // An application that accepts nobody yet, and as many connections as may wait for it.
  void start_full(Application::Script script, Application::Family family) {
    constexpr int kBacklog = 2;
    application.emplace(std::move(script), family, kBacklog, false);
    connect_to(application->address());
    for (int i = 0; i <= kBacklog; ++i) waiting.push_back(std::make_unique<fastcgi::test::Client>(make_client()));
  }
  fastcgi::test::Client make_client() const {
    const auto& address = application->address();
    return address.path.empty() ? fastcgi::test::Client(address.port) : fastcgi::test::Client(address.path);
  }
  void TearDown() override {
    waiting.clear();
    Relaying::TearDown();
  }
  std::vector<std::unique_ptr<fastcgi::test::Client>> waiting;
};

TEST_F(FullBacklog, IsUnavailableAtTheDeadline) {
  timeout = kShort;
  start_full(says(""), Application::Family::unix_socket);
  EXPECT_EQ(failed().status, 503);
}

// Nothing tells it from a machine that is off.
TEST_F(FullBacklog, OfTcpIsATimeout) {
  timeout = kShort;
  start_full(says(""), Application::Family::ipv4);
  EXPECT_EQ(failed().status, 504);
}

TEST_F(FullBacklog, IsWaitedFor) {
  start_full(says(whole(kHead + "hello")), Application::Family::unix_socket);
  asio::steady_timer later(*reactor, 200ms);
  later.async_wait([this](const boost::system::error_code&) {
    waiting.clear();
    application->accept();
  });
  delivered();
  EXPECT_EQ(visitor().answer, "hello");
}

TEST_F(Relaying, NoDescriptorLeftIsUnavailable) {
  for (const auto family : {Application::Family::unix_socket, Application::Family::ipv4}) {
    std::counting_semaphore<> closed(0);
    start(
        [&closed](Link& link) {
          link.read_request();
          link.send(whole(kHead));
          link.close();
          closed.release();
        },
        family);
    delivered();  // what Asio itself needs is there from now on
    EXPECT_TRUE(closed.try_acquire_for(10s));
    {
      const NoDescriptors none;
      const auto result = failed();
      EXPECT_EQ(result.status, 503) << result.reason;
    }
    application->finish();
  }
}

// ---- The end of the process ----

// As a door does it: the exchange lives in the coroutine that runs the request.
net::Task<> serve_alone(std::unique_ptr<FakeExchange> someone, Relayed relayed) {
  const auto outcome = co_await relay(std::move(relayed), *someone, {}, {});
  ADD_FAILURE() << describe(outcome);
}

TEST_F(Relaying, ReactorThatIsThrownAwayLeavesNobody) {
  start([](Link& link) {
    link.read_request();
    link.send(out(kHead + "some"));
    EXPECT_TRUE(link.sees_end());
  });
  net::Spool nothing;
  auto own = std::make_unique<FakeExchange>(*reactor);
  const FakeExchange& someone = *own;
  asio::co_spawn(*reactor, serve_alone(std::move(own), {.application = *client, .params = params, .body = nothing}),
                 asio::detached);
  while (!someone.head) reactor->run_one();
  visitors.clear();
  reactor.reset();
}

// ---- Many at once ----

TEST_F(Relaying, FourReactorsShareOneClient) {
  most_kept = 8;
  start([](Link& link) {
    for (int number = 0; link.read_request(); ++number) {
      link.send(whole(kHead + link.got.params.back().second));
      if (number == 5) return;
    }
  });
  std::atomic<int> right = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int number = 0; number < 50; ++number) {
        asio::io_context own(1);
        FakeExchange someone(own);
        net::Spool nothing;
        const std::string name = std::to_string(thread) + "." + std::to_string(number);
        const cgi::Variables numbered{{"NUMBER", name}};
        bool is_delivered = false;
        asio::co_spawn(own, relay({.application = *client, .params = numbered, .body = nothing}, someone, {}, {}),
                       [&](const std::exception_ptr&, const RunOutcome& outcome) {
                         is_delivered = std::holds_alternative<Delivered>(outcome);
                       });
        own.run();
        // A connection that the application closes under a request fails it, and no other.
        if (is_delivered) {
          EXPECT_EQ(someone.answer, name);
        }
        right += is_delivered ? 1 : 0;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_GT(right, 100);
  client.reset();
}

}  // namespace
}  // namespace gatehouse::relay
