// The pool for blocking calls: where the call runs, where the caller goes on, and what happens beyond the bound.
#include "net/worker_pool.hpp"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace gatehouse::net {
namespace {

using Number = std::expected<int, WorkerPool::QueueFull>;

// Coroutines get their world by parameters: a lambda's captures may be gone when they resume.
Task<> square(WorkerPool& pool, int number, int& result) {
  const auto call = [number] { return number * number; };
  const Number squared = co_await pool.run(call);
  result = squared.value_or(-1);
}

TEST(WorkerPool, GivesBackWhatTheCallReturns) {
  asio::io_context reactor;
  WorkerPool pool(2, 8);
  int result = 0;
  asio::co_spawn(reactor, square(pool, 7, result), asio::detached);
  reactor.run();
  EXPECT_EQ(result, 49);
}

TEST(WorkerPool, ACallThatWaitedTooLongIsNotRun) {
  asio::io_context reactor;
  WorkerPool pool(1, 8);
  int blocked = 0;
  int late = 0;
  const auto hold = [](WorkerPool& on, int& result) -> Task<> {
    const auto call = [] {
      const auto until = std::chrono::steady_clock::now() + WorkerPool::kMaxWait;
      while (std::chrono::steady_clock::now() < until) std::this_thread::yield();
      return 1;
    };
    const Number held = co_await on.run(call);
    result = held.value_or(-1);
  };
  asio::co_spawn(reactor, hold(pool, blocked), asio::detached);
  asio::co_spawn(reactor, square(pool, 7, late), asio::detached);
  reactor.run();
  EXPECT_EQ(blocked, 1);
  EXPECT_EQ(late, -1);
}

struct Threads {
  std::thread::id call;
  std::thread::id caller;
};

Task<> note_threads(WorkerPool& pool, Threads& threads) {
  const auto call = [] { return std::this_thread::get_id(); };
  const auto id = co_await pool.run(call);
  threads = {.call = id.value_or(std::thread::id{}), .caller = std::this_thread::get_id()};
}

TEST(WorkerPool, RunsTheCallElsewhereAndResumesTheCallerOnItsReactor) {
  asio::io_context reactor;
  WorkerPool pool(1, 8);
  Threads threads;
  asio::co_spawn(reactor, note_threads(pool, threads), asio::detached);
  reactor.run();
  EXPECT_EQ(threads.caller, std::this_thread::get_id());
  EXPECT_NE(threads.call, std::this_thread::get_id());
}

Task<> catch_message(WorkerPool& pool, std::string& message) {
  const auto call = []() -> int { throw std::runtime_error("the disk is gone"); };
  try {
    const Number number = co_await pool.run(call);
    message = number ? "a number" : "full";
  } catch (const std::runtime_error& error) {
    message = error.what();
  }
}

TEST(WorkerPool, WhatTheCallThrowsIsThrownAtTheCaller) {
  asio::io_context reactor;
  WorkerPool pool(1, 8);
  std::string message;
  asio::co_spawn(reactor, catch_message(pool, message), asio::detached);
  reactor.run();
  EXPECT_EQ(message, "the disk is gone");
}

Task<> carry(WorkerPool& pool, std::unique_ptr<std::string>& result) {
  const auto call = [] { return std::make_unique<std::string>("only to be moved"); };
  auto carried = co_await pool.run(call);
  if (carried) result = std::move(*carried);
}

TEST(WorkerPool, ValuesNeedOnlyBeMovable) {
  asio::io_context reactor;
  WorkerPool pool(1, 8);
  std::unique_ptr<std::string> result;
  asio::co_spawn(reactor, carry(pool, result), asio::detached);
  reactor.run();
  ASSERT_TRUE(result);
  EXPECT_EQ(*result, "only to be moved");
}

// A call that begins, says so, and ends when it is told to.
struct Gate {
  std::promise<void> begun;
  std::promise<void> opened;
};

Task<> pass(WorkerPool& pool, Gate& gate, int& result) {
  const auto call = [&gate] {
    gate.begun.set_value();
    gate.opened.get_future().wait();
    return 1;
  };
  const Number passed = co_await pool.run(call);
  result = passed.value_or(-1);
}

TEST(WorkerPool, BeyondMaxPendingNothingIsRunAndTheCallerKnowsAtOnce) {
  asio::io_context reactor;
  WorkerPool pool(1, 2);
  Gate gate;
  int first = 0;
  int second = 0;
  int third = 0;
  asio::co_spawn(reactor, pass(pool, gate, first), asio::detached);
  asio::co_spawn(reactor, square(pool, 3, second), asio::detached);
  asio::co_spawn(reactor, square(pool, 4, third), asio::detached);
  for (int i = 0; i < 3; ++i) reactor.run_one();  // one to begin with each
  EXPECT_EQ(third, -1);
  EXPECT_EQ(second, 0) << "the second one waits for the only thread";
  gate.opened.set_value();
  reactor.run();
  EXPECT_EQ(first, 1);
  EXPECT_EQ(second, 9);
}

TEST(WorkerPool, ThereIsRoomAgainWhenCallsHaveEnded) {
  asio::io_context reactor;
  WorkerPool pool(1, 1);
  for (int i = 1; i <= 20; ++i) {
    int result = 0;
    asio::co_spawn(reactor, square(pool, i, result), asio::detached);
    reactor.run();
    reactor.restart();
    EXPECT_EQ(result, i * i);
  }
}

TEST(WorkerPool, StopWaitsForWhatRunsAndDropsNothing) {
  asio::io_context reactor;
  WorkerPool pool(1, 8);
  Gate gate;
  int first = 0;
  int second = 0;
  asio::co_spawn(reactor, pass(pool, gate, first), asio::detached);
  asio::co_spawn(reactor, square(pool, 5, second), asio::detached);
  reactor.run_one();
  reactor.run_one();  // both calls are with the pool now
  gate.begun.get_future().wait();
  std::thread stopping([&pool] { pool.stop(); });
  gate.opened.set_value();
  stopping.join();
  reactor.run();
  EXPECT_EQ(first, 1);
  EXPECT_EQ(second, 25);
}

TEST(WorkerPool, AfterStopEveryCallIsRefused) {
  asio::io_context reactor;
  WorkerPool pool(1, 8);
  pool.stop();
  int result = 0;
  asio::co_spawn(reactor, square(pool, 5, result), asio::detached);
  reactor.run();
  EXPECT_EQ(result, -1);
}

TEST(WorkerPool, AReactorThatIsDestroyedTakesTheWaitingCallerWithIt) {
  auto reactor = std::make_unique<asio::io_context>();
  WorkerPool pool(1, 8);
  int result = 0;
  asio::co_spawn(*reactor, square(pool, 5, result), asio::detached);
  reactor->run_one();  // the call is posted, and its caller never resumed
  pool.stop();
  reactor.reset();
  EXPECT_EQ(result, 0);
}

Task<> add_many(WorkerPool& pool, std::atomic<int>& sum, int times) {
  for (int i = 0; i < times; ++i) {
    const auto call = [&sum] { return sum.fetch_add(1); };
    const Number added = co_await pool.run(call);
    EXPECT_TRUE(added);
  }
}

TEST(WorkerPool, ServesSeveralReactorsAtOnce) {
  std::vector<std::unique_ptr<asio::io_context>> reactors;  // before the pool, whose threads know them to the end
  WorkerPool pool(3, 1000);
  std::atomic<int> sum = 0;
  for (int i = 0; i < 3; ++i) {
    reactors.push_back(std::make_unique<asio::io_context>());
    for (int j = 0; j < 4; ++j) asio::co_spawn(*reactors.back(), add_many(pool, sum, 100), asio::detached);
  }
  std::vector<std::thread> threads;
  threads.reserve(reactors.size());
  for (auto& reactor : reactors) threads.emplace_back([&reactor] { reactor->run(); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(sum, 1200);
}

}  // namespace
}  // namespace gatehouse::net
