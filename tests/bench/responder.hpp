// The bare limit: one thread that reads requests to their end, decides nothing and sends the same answer to each. What
// is slower than this pays for what it does; what a protocol costs, this pays too.
#pragma once

#include <list>
#include <optional>
#include <string>
#include <string_view>

#include "bench/sockets.hpp"

namespace bench {

/// A request at the front of what was received.
struct RequestEnd {
  std::size_t size = 0;
  bool closes = false;  ///< the peer wants no further answer on this connection
};

/// Returns nullopt if the request is not all there.
using ReadRequest = std::optional<RequestEnd> (*)(std::string_view received);

/// Reads `path`, a file that holds an answer as it goes over the wire.
[[nodiscard]] std::string read_answer(const char* path);

/// Answers requests on a unix socket until a signal ends the process.
template <ReadRequest read_request>
[[noreturn]] void respond(const std::string& path, std::string_view answer) {
  struct Connection {
    Socket socket;
    std::string received;
    std::list<Connection>::iterator self;
  };
  const auto serve = [answer](Connection& connection) {
    if (!connection.socket.receive(connection.received)) return false;
    while (const auto request = read_request(connection.received)) {
      if (!connection.socket.send(answer) || request->closes) return false;
      connection.received.erase(0, request->size);
    }
    return true;
  };

  const Socket listener = listen_on(path);
  std::list<Connection> connections;
  Poll poll;
  poll.add(listener, nullptr);
  const auto accept_one = [&] {
    Socket socket = accept_from(listener);
    if (socket.fd() < 0) return;
    connections.push_front(Connection{std::move(socket), {}, {}});
    connections.front().self = connections.begin();
    poll.add(connections.front().socket, &connections.front());
  };
  for (;;) {
    for (const epoll_event& event : poll.wait(std::chrono::milliseconds{-1})) {
      if (auto* connection = static_cast<Connection*>(event.data.ptr); connection == nullptr) {
        accept_one();
      } else if (!serve(*connection)) {
        connections.erase(connection->self);
      }
    }
  }
}

}  // namespace bench
