// Small regular work of a serving process: idle connections, last_used_at, dead rows, the watchdog. Runs as coroutines
// on one reactor; what touches the store goes through its pool, and a failure is only logged: it comes again.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <vector>

#include "app/house.hpp"
#include "app/self_test.hpp"

namespace gatehouse::app {

/// Confined to its reactor's thread once started; the references must outlive the reactor's run.
class Maintenance {
 public:
  /// Works on `reactor`. Every one of `reactors`, and every pool of the house's, must do so too for the watchdog to be
  /// fed.
  Maintenance(net::asio::io_context& reactor, std::vector<net::asio::io_context*> reactors, House& house);
  void start();
  /// Ends every loop. Thread-safe.
  void stop();

 private:
  using Timer = net::asio::steady_timer;
  [[nodiscard]] net::Task<bool> pause(Timer& timer, std::chrono::milliseconds span);
  [[nodiscard]] net::Task<> tidy_downstreams();
  [[nodiscard]] net::Task<> flush_each_minute();
  [[nodiscard]] net::Task<> prune_each_hour();
  [[nodiscard]] net::Task<> feed_watchdog(std::chrono::milliseconds interval);

  net::asio::io_context& reactor_;
  House& house_;
  SelfTest self_test_;
  bool is_stopped_ = false;  // on the reactor's thread
  Timer tidy_timer_;
  Timer flush_timer_;
  Timer prune_timer_;
  Timer watchdog_timer_;
};

}  // namespace gatehouse::app
