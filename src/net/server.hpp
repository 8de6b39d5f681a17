// Listening sockets served: accepting, spreading connections over the reactors, and the ways to stop. One server for
// every socket of the process (systemd's, fd 0, our own), whatever its connections speak.
#pragma once

#include <memory>
#include <vector>

#include "net/connection.hpp"

namespace gatehouse::net {

/// A bound, listening descriptor, and what its connections speak.
struct Listening {
  int fd = -1;
  ConnectionFactory make;
};

/// Figures for tests and metrics; each is momentary.
struct ServerCounts {
  std::size_t connections = 0;
  std::size_t busy = 0;  ///< connections with a request under way
};

class Server {
 public:
  /// Owns the listeners' descriptors. Connections are spread over `reactors` (each run by exactly one thread; at least
  /// one), which must outlive the server and be kept running by their owner.
  Server(const std::vector<asio::io_context*>& reactors, std::vector<Listening> listeners,
         const ServerOptions& options = {});
  /// Closes everything, like close_all, and forgets `drained`. What a handler still waits for ends on its reactor.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Starts accepting. Thread-safe.
  void start();
  /// Stops accepting, closes idle connections after the grace, lets running requests finish; then calls `drained` once,
  /// on a reactor. Only the first call counts. Thread-safe.
  void stop(std::function<void()> drained);
  /// Closes every connection at once, without the end of an answer. Thread-safe.
  void close_all();
  [[nodiscard]] ServerCounts counts() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace gatehouse::net
