// FastCGI 1.0, the application's side: reads records, hands complete requests to a handler, writes its
// answer. One protocol reader for every listening socket: systemd's, fd 0, our own. Not a policy: it knows nothing of
// sessions, and it never answers 200 by itself.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "net/connection.hpp"
#include "net/exchange.hpp"

namespace gatehouse::fastcgi {

enum class Role : std::uint16_t { responder = 1, authorizer = 2 };

using Params = std::vector<std::pair<std::string, std::string>>;

/// One request as it arrived: all parameters, complete, in order, doubled ones included. Confined to its reactor.
class ServerRequest : public net::Exchange {
 public:
  [[nodiscard]] virtual Role role() const = 0;
  [[nodiscard]] virtual const Params& params() const = 0;
};

/// Serves one request. Must not throw; if it does, the connection is closed without END_REQUEST.
using Handler = std::function<net::Task<>(ServerRequest&)>;

/// Bounds and times. Defaults are the house's; tests shorten them.
struct ServerOptions : net::ServerOptions {
  std::size_t max_params_bytes = std::size_t{256} * 1024;  ///< all names and values of one request
  std::size_t max_pair_bytes = std::size_t{64} * 1024;     ///< one name and its value
  std::size_t max_params = 1000;                       ///< pairs of one request; beyond any of the three: Status 431
  std::size_t stdin_window = std::size_t{128} * 1024;  ///< unread STDIN bytes kept; then the socket is left alone
  std::chrono::milliseconds header_time{10'000};       ///< from a request's first byte to the end of its PARAMS
  /// An unread body after the answer is read and thrown away while it moves: nginx takes a write that fails for a
  /// failed request (502), although the answer has arrived. Nothing for so long, or so many bytes: the connection
  /// closes.
  std::chrono::milliseconds drain_time{2'000};
  /// On a kept connection END_REQUEST waits for the rest of an unread body while it comes: nothing for so long,
  /// drain_time in all, or drain_bytes, and the connection closes after it.
  std::chrono::milliseconds rest_time{150};
  std::size_t drain_bytes = std::size_t{64} * 1024 * 1024;
  std::chrono::milliseconds write_time{30'000};  ///< for our own last records
};

/// Makes what serves the connections of a net::Server by FastCGI. The handler is called on the connection's reactor.
[[nodiscard]] net::ConnectionFactory connections(Handler handler, const ServerOptions& options = {});

}  // namespace gatehouse::fastcgi
