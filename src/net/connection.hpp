// One accepted connection as the server that owns it sees it, and what the connections of a server share. The protocols
// (FastCGI, HTTP) make theirs of it.
#pragma once

#include <utility>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/intrusive/list.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>

#include "net/task.hpp"

namespace gatehouse::net {

using ReactorExecutor = asio::io_context::executor_type;
using Timer = asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>,
                                         ReactorExecutor>;

/// How many connections there may be, and how they end. Defaults are the house's; tests shorten them.
struct ServerOptions {
  std::size_t max_connections = 4096;  ///< accept pauses at this number
  /// After stop() a kept connection is closed when it was not used for this long, up to twice that. One in constant use
  /// is left to the web server, which can end it between two requests (nginx: keepalive_requests) and we cannot: …
  std::chrono::milliseconds shutdown_grace{200};
  std::chrono::milliseconds shutdown_patience{10'000};  ///< … until then; from then on it closes after an answer
};

/// What all connections of one server share. The options are constant, the figures thread-safe.
class ServerHost {
 public:
  explicit ServerHost(const ServerOptions& bounds) : options(bounds) {}
  virtual ~ServerHost() = default;
  ServerHost(const ServerHost&) = delete;
  ServerHost& operator=(const ServerHost&) = delete;

  /// Called once by each connection that ends, on whatever thread.
  virtual void connection_ended() noexcept = 0;

  const ServerOptions options;
  std::atomic<std::size_t> connections{0};
  std::atomic<std::size_t> busy{0};
};

class Connection;

using ConnectionHook = boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

/// What the connections of one reactor share. Confined to its thread.
struct Reactor {
  static constexpr std::size_t kScratchSize = std::size_t{64} * 1024;

  explicit Reactor(asio::io_context& io) : context(io), scratch(std::make_unique<char[]>(kScratchSize)) {}

  asio::io_context& context;
  std::unique_ptr<char[]> scratch;  // what was received last: nothing in it outlives the call that received it
  boost::intrusive::list<Connection, boost::intrusive::base_hook<ConnectionHook>,
                         boost::intrusive::constant_time_size<false>>
      connections;
  bool is_draining = false;  // the server has stopped: a protocol that can say so ends the connection with an answer
  bool keeps_idle = true;    // false once the server's patience is over
};

/// Confined to its reactor's thread, but for construction and destruction. Lives by what it waits for.
class Connection : public ConnectionHook {
 public:
  Connection(std::shared_ptr<ServerHost> host, Reactor& reactor) : host_(std::move(host)), reactor_(reactor) {
    host_->connections.fetch_add(1);
  }
  virtual ~Connection() {
    host_->connections.fetch_sub(1);
    host_->connection_ended();
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Begins to serve it.
  void start() {
    reactor_.connections.push_back(*this);
    reactor_.keeps_idle ? begin() : close_now();
  }
  /// Closes unless a request is under way, or has begun to arrive. What is in the socket unread is a request too: the
  /// web server counts it as sent, and nginx sends no POST twice.
  virtual void close_if_idle() = 0;
  /// The same, unless it was used since the last call.
  void close_if_forgotten() {
    if (!std::exchange(was_used_, false)) close_if_idle();
  }
  void forget_use() { was_used_ = false; }
  /// Closes whatever is under way, and tells it so.
  virtual void close_now() = 0;
  /// Keeps it alive while one looks at it.
  [[nodiscard]] virtual std::shared_ptr<Connection> hold() = 0;

 protected:
  virtual void begin() = 0;
  void note_use() { was_used_ = true; }
  void enter_busy() { host_->busy.fetch_add(1, std::memory_order_relaxed); }
  void leave_busy() { host_->busy.fetch_sub(1, std::memory_order_relaxed); }
  [[nodiscard]] const ServerOptions& server_options() const { return host_->options; }
  [[nodiscard]] Reactor& reactor() { return reactor_; }

 private:
  const std::shared_ptr<ServerHost> host_;
  Reactor& reactor_;
  bool was_used_ = false;  // since the last close_if_forgotten
};

/// A descriptor fresh from accept: connected, non-blocking.
struct Accepted {
  std::shared_ptr<ServerHost> host;
  Reactor& reactor;
  int fd = -1;
  bool is_tcp = false;
};

/// Makes the connection that owns the descriptor. Called on the first reactor's thread.
using ConnectionFactory = std::function<std::shared_ptr<Connection>(Accepted)>;

}  // namespace gatehouse::net
