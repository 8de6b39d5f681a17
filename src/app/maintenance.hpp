// Small regular work of a serving process: last_used_at, dead rows, the watchdog. Runs as coroutines on one reactor;
// what touches the store goes through its pool, and a failure is only logged: it comes again.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <vector>

#include "auth/store.hpp"
#include "gateway/gateway.hpp"
#include "gateway/last_uses.hpp"
#include "net/worker_pool.hpp"
#include "ops/log.hpp"

namespace gatehouse::app {

/// Confined to its reactor's thread once started; the references must outlive the reactor's run.
class Maintenance {
 public:
  struct World {
    net::asio::io_context& reactor;
    std::vector<net::asio::io_context*>
        reactors;  ///< every one is asked whether it still turns, before the watchdog is fed
    net::WorkerPool& write_pool;
    auth::Store& store;
    const auth::Clock& clock;
    gateway::LastUses& last_uses;
    ops::Log& log;
    const gateway::Gateway& gateway;  ///< whose settings say how long a session lives, also after a reload
  };

  explicit Maintenance(World world);
  void start();
  /// Ends every loop. Thread-safe.
  void stop();
  /// Writes what is noted now; at the end of the process, on any thread.
  void flush();

 private:
  using Timer = net::asio::steady_timer;
  [[nodiscard]] net::Task<bool> pause(Timer& timer, std::chrono::milliseconds span);
  [[nodiscard]] net::Task<> flush_each_minute();
  [[nodiscard]] net::Task<> prune_each_hour();
  [[nodiscard]] net::Task<> feed_watchdog(std::chrono::milliseconds interval);

  World world_;
  bool is_stopped_ = false;  // on the reactor's thread
  Timer flush_timer_;
  Timer prune_timer_;
  Timer watchdog_timer_;
};

}  // namespace gatehouse::app
