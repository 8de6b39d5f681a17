// What the watchdog is fed by: who must answer, and what is no reason to restart.
#include "app/self_test.hpp"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>

#include <future>
#include <thread>

namespace gatehouse::app {
namespace {

using namespace std::chrono_literals;
namespace asio = net::asio;

constexpr auto kLong = 20s;  // that a wait may take before the test fails

template <typename Claim>
bool becomes(Claim claim) {
  const auto end = std::chrono::steady_clock::now() + kLong;
  while (!claim()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

class Reactor {
 public:
  ~Reactor() {
    guard_.reset();
    thread_.join();
  }
  asio::io_context& context() { return context_; }

 private:
  asio::io_context context_{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard_{asio::make_work_guard(context_)};
  std::thread thread_{[this] { context_.run(); }};
};

// Threads of a pool that are in a call until they are let go.
class HeldUp {
 public:
  HeldUp(net::WorkerPool& pool, int threads) {
    for (int i = 0; i < threads; ++i) asio::co_spawn(reactor_.context(), hold(pool), asio::detached);
    for (int i = 0; i < threads; ++i) becomes([this, i] { return begun_ > i; });
  }
  ~HeldUp() { opened_.set_value(); }
  void queue(net::WorkerPool& pool, int calls) {
    for (int i = 0; i < calls; ++i) asio::co_spawn(reactor_.context(), hold(pool), asio::detached);
  }

 private:
  net::Task<> hold(net::WorkerPool& pool) {
    const auto call = [this] {
      ++begun_;
      open_.wait();
      return 1;
    };
    const auto held = co_await pool.run(call);
    std::ignore = held;
  }

  std::promise<void> opened_;
  std::shared_future<void> open_ = opened_.get_future().share();
  std::atomic<int> begun_ = 0;
  Reactor reactor_;
};

TEST(SelfTest, PassesWhileEveryReactorTurnsAndEveryPoolTakesCalls) {
  Reactor first;
  Reactor second;
  net::WorkerPool pool(2, 8);
  SelfTest test({&first.context(), &second.context()}, {&pool}, kLong);
  EXPECT_FALSE(test.passed()) << "nobody was asked yet";
  for (int i = 0; i < 3; ++i) {
    test.ask();
    EXPECT_TRUE(becomes([&] { return test.passed(); }));
  }
}

TEST(SelfTest, AReactorThatDoesNotTurnFailsIt) {
  Reactor turning;
  Reactor frozen;
  net::WorkerPool pool(1, 8);
  SelfTest test({&turning.context(), &frozen.context()}, {&pool}, kLong);
  std::promise<void> go;
  asio::post(frozen.context(), [going = go.get_future().share()] { going.wait(); });
  test.ask();
  std::promise<void> answered;
  asio::post(turning.context(), [&answered] { answered.set_value(); });
  answered.get_future().wait();
  EXPECT_FALSE(test.passed());
  go.set_value();
  EXPECT_TRUE(becomes([&] { return test.passed(); })) << "a late answer is one";
}

TEST(SelfTest, APoolWhoseThreadsNeverComeBackFailsIt) {
  Reactor reactor;
  net::WorkerPool stuck(2, 8);
  net::WorkerPool idle(1, 8);
  HeldUp held(stuck, 2);
  SelfTest test({&reactor.context()}, {&idle, &stuck}, 50ms);
  test.ask();
  EXPECT_TRUE(becomes([&] { return stuck.is_stuck(50ms); }));
  EXPECT_FALSE(test.passed());
}

// As with a store that does not answer: each call ends by its own deadline, and the visitors get 503 meanwhile.
TEST(SelfTest, APoolWhoseEveryThreadWaitsForTheStorePassesIt) {
  Reactor reactor;
  net::WorkerPool pool(2, 8);
  HeldUp held(pool, 2);
  SelfTest test({&reactor.context()}, {&pool}, kLong);
  held.queue(pool, 20);  // it is full, too
  test.ask();
  EXPECT_TRUE(becomes([&] { return test.passed(); }));
  std::this_thread::sleep_for(net::WorkerPool::kMaxWait + 100ms);  // the time is what it is about
  EXPECT_TRUE(test.passed());
}

TEST(SelfTest, OneLongCallBesideAFreeThreadPassesIt) {
  Reactor reactor;
  net::WorkerPool pool(2, 8);
  HeldUp held(pool, 1);
  SelfTest test({&reactor.context()}, {&pool}, 0ms);
  for (int i = 0; i < 3; ++i) {
    test.ask();
    EXPECT_TRUE(becomes([&] { return test.passed(); }));
  }
}

}  // namespace
}  // namespace gatehouse::app
