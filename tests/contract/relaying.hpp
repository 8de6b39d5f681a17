// A request through the relay to an application that is scripted, from a visitor made by hand: what the tests of the
// relay share.
#pragma once

#include <gtest/gtest.h>

#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <csignal>
#include <list>
#include <memory>
#include <semaphore>
#include <vector>

#include "contract/fake_exchange.hpp"
#include "contract/fastcgi_client.hpp"
#include "contract/scripted_application.hpp"
#include "contract/surroundings.hpp"
#include "relay/relay.hpp"

namespace gatehouse::relay::test {

namespace asio = net::asio;
using namespace std::chrono_literals;
using cgi::BrokenOff;
using cgi::Delivered;
using cgi::Failed;
using cgi::LocalRedirect;
using cgi::RunOutcome;
using contract::describe;
using contract::FakeExchange;
using contract::open_descriptors;
using fastcgi::ProtocolStatus;
using fastcgi::RecordType;
using fastcgi::test::Application;
using fastcgi::test::Link;
using fastcgi::test::raw_record;

inline constexpr auto kShort = 300ms;  // a timeout that is to expire

// ---- What applications send ----

inline std::string out(std::string_view bytes) {
  std::string records;
  append_stream(records, RecordType::stdout_stream, 1, bytes);
  return records;
}
inline std::string err(std::string_view bytes) {
  std::string records;
  append_stream(records, RecordType::stderr_stream, 1, bytes);
  return records;
}
inline std::string out_end() {
  return raw_record(6, 1, "");
}
inline std::string end(std::uint32_t app_status = 0,
                       ProtocolStatus protocol_status = ProtocolStatus::request_complete) {
  std::string record;
  fastcgi::append_end_request(record, 1, {.app_status = app_status, .protocol_status = protocol_status});
  return record;
}
inline std::string whole(std::string_view text) {
  return out(text) + out_end() + end();
}
inline const std::string kHead = "Content-Type: text/plain\r\n\r\n";

// What is sent over the whole of a connection, and then its end.
inline Application::Script says(std::string bytes) {
  return [bytes = std::move(bytes)](Link& link) {
    link.read_request();
    link.send(bytes);
  };
}
// The same, but the connection stays open until the other side closes it.
inline Application::Script says_and_stays(std::string bytes) {
  return [bytes = std::move(bytes)](Link& link) {
    link.read_request();
    link.send(bytes);
    EXPECT_TRUE(link.sees_end());
  };
}

struct Answered {
  RunOutcome outcome;
  std::exception_ptr exception;
  bool is_done = false;
};

class Relaying : public testing::Test {
 protected:
  static void SetUpTestSuite() { EXPECT_NE(::signal(SIGPIPE, SIG_IGN), SIG_ERR); }

  void TearDown() override {
    if (application) application->finish();
    application.reset();
    client.reset();
    visitors.clear();
    bodies.clear();
    reactor.reset();
    EXPECT_EQ(open_descriptors(), descriptors);
  }

  void start(Application::Script script, Application::Family family = Application::Family::unix_socket) {
    application.emplace(std::move(script), family);
    connect_to(application->address());
  }
  void connect_to(const net::ConnectAddress& address) { client.emplace(address, most_kept); }

  FakeExchange& visitor() { return *visitors.back(); }
  void next_visitor() { visitors.push_back(std::make_unique<FakeExchange>(*reactor)); }

  // Begins a request of the last visitor; its end is noted in `answered`.
  void begin(Answered& answered, std::string_view with_body = {}) {
    auto& kept = bodies.emplace_back();
    EXPECT_TRUE(kept.put(with_body));
    Relayed relayed{.application = *client,
                    .params = params,
                    .body = kept,
                    .body_size = with_body.size(),
                    .place = std::exchange(place, nullptr),
                    .without_body = without_body,
                    .timeout = timeout,
                    .visitor_stall = visitor_stall,
                    .most_kept = answer_buffer};
    auto on_line = [this](std::string_view line) {
      log.emplace_back(line);
      if (on_stderr) on_stderr(line);
    };
    asio::co_spawn(*reactor, relay(std::move(relayed), visitor(), on_head, on_line),
                   [&answered](std::exception_ptr exception, RunOutcome outcome) {
                     answered = {std::move(outcome), std::move(exception), true};
                   });
  }
  // Runs what was begun. A request that never ends fails the test.
  void finish(const Answered& answered) {
    reactor->restart();
    reactor->run_for(20s);
    if (!answered.is_done) {
      ADD_FAILURE() << "the request does not end";
      for (const auto& each : visitors) each->leave();
      reactor->run_for(5s);
    }
    for (const auto& each : visitors) EXPECT_FALSE(each->has_notice);
  }
  RunOutcome ask(std::string_view with_body = {}) {
    if (is_asked) next_visitor();
    is_asked = true;
    Answered answered;
    begin(answered, with_body);
    finish(answered);
    if (answered.exception) std::rethrow_exception(answered.exception);
    return answered.outcome;
  }

  Delivered delivered(std::string_view with_body = {}) {
    const auto outcome = ask(with_body);
    EXPECT_TRUE(std::holds_alternative<Delivered>(outcome)) << describe(outcome);
    EXPECT_FALSE(visitor().is_broken_off);
    EXPECT_TRUE(visitor().head);
    return std::holds_alternative<Delivered>(outcome) ? std::get<Delivered>(outcome) : Delivered{};
  }
  Failed failed(std::string_view with_body = {}) {
    const auto outcome = ask(with_body);
    EXPECT_TRUE(std::holds_alternative<Failed>(outcome)) << describe(outcome);
    EXPECT_FALSE(visitor().head);
    EXPECT_FALSE(visitor().is_broken_off);
    return std::holds_alternative<Failed>(outcome) ? std::get<Failed>(outcome) : Failed{.status = 0, .reason = {}};
  }
  std::string broken_off(std::string_view with_body = {}) {
    const auto outcome = ask(with_body);
    EXPECT_TRUE(std::holds_alternative<BrokenOff>(outcome)) << describe(outcome);
    EXPECT_EQ(visitor().is_broken_off, visitor().head.has_value());
    return std::holds_alternative<BrokenOff>(outcome) ? std::get<BrokenOff>(outcome).reason : "";
  }
  // As seen by the application, whose script has returned by then.
  const fastcgi::test::Received& got() {
    application->finish();
    return received;
  }
  // For the application: waits until the visitor has got a piece of the answer's body, if note_body() was called.
  bool body_came() { return has_body.try_acquire_for(10s); }
  void note_body() {
    visitor().at_body = [this] { has_body.release(); };
  }
  // From any thread.
  template <typename Do>
  void on_reactor(Do what) {
    asio::post(*reactor, std::move(what));
  }

  const std::size_t descriptors = open_descriptors();
  std::unique_ptr<asio::io_context> reactor = std::make_unique<asio::io_context>(1);
  std::vector<std::unique_ptr<FakeExchange>> visitors = [this] {
    std::vector<std::unique_ptr<FakeExchange>> first;
    first.push_back(std::make_unique<FakeExchange>(*reactor));
    return first;
  }();
  std::list<net::Spool> bodies;
  std::optional<Application> application;
  std::optional<fastcgi::Client> client;
  fastcgi::test::Received received;  // by a script that puts it there
  std::counting_semaphore<> has_body{0};
  bool is_asked = false;

  cgi::Variables params{{"REQUEST_METHOD", "GET"}, {"SCRIPT_NAME", "/app"}};
  std::size_t most_kept = 0;
  std::shared_ptr<void> place;
  bool without_body = false;
  std::chrono::milliseconds timeout = 60s;
  std::chrono::milliseconds visitor_stall = 60s;
  std::uint64_t answer_buffer = std::uint64_t{64} << 20U;
  cgi::HeadHook on_head;
  cgi::StderrLine on_stderr;
  std::vector<std::string> log;
};

}  // namespace gatehouse::relay::test
