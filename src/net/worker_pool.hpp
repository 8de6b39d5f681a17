// Where blocking calls go (SQLite, Connector/C++, password hashes): a bounded pool, awaited from a reactor.
#pragma once

#include <utility>

#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <expected>
#include <functional>
#include <mutex>
#include <type_traits>

#include "net/task.hpp"

namespace gatehouse::net {

/// A fixed number of threads with a bounded queue. Thread-safe. A call that is under way comes back to its reactor, so
/// `stop` before the reactors are destroyed.
class WorkerPool {
 public:
  struct QueueFull {};
  /// How long a call may wait for a thread: a visitor is better told "not now" than kept.
  static constexpr std::chrono::seconds kMaxWait{2};

  /// `threads` at least 1; at most `max_pending` calls wait or run at once.
  WorkerPool(std::size_t threads, std::size_t max_pending)
      : threads_(threads), max_pending_(max_pending), pool_(threads) {}
  ~WorkerPool() { stop(); }
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  /// Runs `call`, which returns a value, on a pool thread and resumes the caller on its own executor. What the call
  /// throws is thrown there. Returns QueueFull, without running it, when max_pending calls are under way, when the pool
  /// has stopped, or when no thread was free within kMaxWait.
  template <typename Call>
  [[nodiscard]] Task<std::expected<std::invoke_result_t<Call&>, QueueFull>> run(Call call) {
    if (!enter()) co_return std::unexpected(QueueFull{});
    Outcome<std::invoke_result_t<Call&>> outcome{std::unexpect, nullptr};
    const Deadline latest = after(kMaxWait);
    const auto executor = co_await asio::this_coro::executor;
    const auto initiate = [this, &call, &outcome, executor, latest](auto&& handler) {
      // The handler owns this coroutine, and so the outcome: it travels to the pool and back and is never shared.
      asio::post(pool_, [this, &call, &outcome, executor, latest,
                         handler = std::forward<decltype(handler)>(handler)]() mutable {
        begin();
        if (std::chrono::steady_clock::now() < latest) take(outcome, call);
        leave();
        asio::post(executor, std::move(handler));
      });
    };
    co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(initiate, asio::use_awaitable);
    if (!outcome && !outcome.error()) co_return std::unexpected(QueueFull{});
    if (!outcome) std::rethrow_exception(outcome.error());
    co_return std::move(*outcome);
  }

  /// Asks for a sign of life: queues a call that does nothing, unless one is queued or nothing is taken any more.
  void probe() {
    if (is_probed_.exchange(true)) return;
    if (!enter()) {
      is_probed_ = false;
      return;
    }
    asio::post(pool_, [this] {
      begin();
      is_probed_ = false;
      leave();
    });
  }
  /// True if calls wait and nothing moves: a thread is free and took none for kMaxWait, or every thread is in a call
  /// and none came back for `longest_call`. A pool that is full and works is not stuck.
  [[nodiscard]] bool is_stuck(std::chrono::milliseconds longest_call) {
    const std::lock_guard lock(mutex_);
    if (pending_ == running_) return false;
    const std::chrono::milliseconds patience = running_ < threads_ ? kMaxWait : longest_call;
    return std::chrono::steady_clock::now() - moved_ > patience;
  }

  /// Takes no more calls, waits for those under way and joins the threads. Not from a call.
  void stop() {
    {
      std::unique_lock lock(mutex_);
      is_stopped_ = true;
      is_empty_.wait(lock, [this] { return pending_ == 0; });
    }
    pool_.join();
  }

 private:
  template <typename Value>
  using Outcome = std::expected<Value, std::exception_ptr>;

  template <typename Value, typename Call>
  static void take(Outcome<Value>& outcome, Call& call) noexcept {
    try {
      outcome = std::invoke(call);
    } catch (...) {  // belongs to the caller, and would end the process here
      outcome = std::unexpected(std::current_exception());
    }
  }

  [[nodiscard]] bool enter() {
    const std::lock_guard lock(mutex_);
    if (is_stopped_ || pending_ >= max_pending_) return false;
    if (pending_++ == running_) moved_ = std::chrono::steady_clock::now();
    return true;
  }
  void begin() {
    const std::lock_guard lock(mutex_);
    ++running_;
    moved_ = std::chrono::steady_clock::now();
  }
  void leave() {
    const std::lock_guard lock(mutex_);
    --running_;
    moved_ = std::chrono::steady_clock::now();
    if (--pending_ == 0) is_empty_.notify_all();
  }

  const std::size_t threads_;
  const std::size_t max_pending_;
  std::atomic<bool> is_probed_{false};
  std::mutex mutex_;
  std::condition_variable is_empty_;
  std::size_t pending_ = 0;  // guarded by mutex_
  std::size_t running_ = 0;  // of these, the ones that a thread has taken; guarded by mutex_
  Deadline moved_;           // when a call came to an idle queue, began or ended; guarded by mutex_
  bool is_stopped_ = false;  // guarded by mutex_
  asio::thread_pool pool_;   // last: its threads use the others
};

}  // namespace gatehouse::net
