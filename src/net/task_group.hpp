// Coroutines that work on one thing side by side, and the one that watches over them.
#pragma once

#include <utility>  // Boost 1.74's awaitable.hpp uses std::exchange without including it

#include <boost/asio/co_spawn.hpp>

#include <exception>
#include <memory>

#include "net/signal.hpp"

namespace gatehouse::net {

/// Confined to one thread.
class TaskGroup {
 public:
  explicit TaskGroup(const asio::any_io_executor& executor) : executor_(executor), changed_(executor) {}

  /// Starts a coroutine. `owner` of it and of this group lives on until it has ended.
  void start(Task<> task, std::shared_ptr<void> owner) {
    ++active_;
    asio::co_spawn(executor_, std::move(task), [this, owner = std::move(owner)](std::exception_ptr exception) {
      if (exception && !exception_) exception_ = std::move(exception);
      --active_;
      notify();
    });
  }
  /// Returns when one of them has ended, or called notify(), or at the deadline.
  [[nodiscard]] Task<> wait_until(Deadline deadline) { return changed_.wait(deadline); }
  void notify() { changed_.notify(); }

  [[nodiscard]] bool is_quiet() const { return active_ == 0; }
  /// True if one has ended with an exception.
  [[nodiscard]] bool has_failed() const { return exception_ != nullptr; }
  /// Throws the first exception with which one has ended.
  void rethrow() const {
    if (exception_) std::rethrow_exception(exception_);
  }

 private:
  const asio::any_io_executor executor_;
  Signal changed_;
  int active_ = 0;
  std::exception_ptr exception_;
};

}  // namespace gatehouse::net
