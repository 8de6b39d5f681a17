// What one coroutine waits for while others, on the same thread, make it happen.
#pragma once

#include <utility>  // Boost 1.74's awaitable.hpp uses std::exchange without including it

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "net/task.hpp"

namespace gatehouse::net {

/// A condition variable for one thread and one waiter at a time, who looks at what it waits for before and afterwards.
class Signal {
 public:
  explicit Signal(const asio::any_io_executor& executor) : timer_(executor) {}

  /// Returns when notify() is called, or at the deadline.
  [[nodiscard]] Task<> wait(Deadline deadline) {
    boost::system::error_code ignored;
    timer_.expires_at(deadline);
    co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  /// Wakes who waits now; nobody who waits later.
  void notify() { timer_.cancel(); }

 private:
  asio::steady_timer timer_;
};

}  // namespace gatehouse::net
