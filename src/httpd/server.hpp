// HTTP/1.1 (RFC 9112), the origin server's side, on Boost.Beast: a listener for front servers that ask by HTTP. Kept
// connections, one request at a time, strict where two readers could differ. Not a policy: it knows nothing of
// sessions, and it never answers 200 by itself.
#pragma once

#include <chrono>
#include <functional>

#include "httpd/request.hpp"
#include "net/connection.hpp"
#include "net/exchange.hpp"

namespace gatehouse::httpd {

/// One request as it arrived. Confined to its reactor.
///
/// Whoever asks by HTTP waits for the answer: `on_abort` is never called, a visitor who has gone is noticed by the next
/// read or write. An answer without Content-Length ends with its connection.
class ServerRequest : public net::Exchange {
 public:
  [[nodiscard]] virtual const RequestHead& head() const = 0;
  [[nodiscard]] virtual const Peer& peer() const = 0;
};

/// Serves one request. Must not throw; if it does, the connection is closed without an answer.
using Handler = std::function<net::Task<>(ServerRequest&)>;

/// Answers what is no HTTP request, or too much of one; `head()` is as far as it was understood. The rules are those of
/// a Handler; the connection is closed afterwards.
using Refuser = std::function<net::Task<>(ServerRequest&, ParseProblem)>;

/// Bounds and times. Defaults are the house's; tests shorten them.
struct ServerOptions : net::ServerOptions {
  std::size_t max_head_bytes = std::size_t{64} * 1024;  ///< request line and fields; beyond: 431
  std::size_t max_fields = 1000;                        ///< beyond: 431
  std::chrono::milliseconds header_time{10'000};        ///< from a request's first byte to the end of its head
  std::chrono::milliseconds idle_time{300'000};         ///< kept and unused; longer than front servers keep theirs
  /// An unread body after the answer is read and thrown away while it moves; then, or after so many bytes, the
  /// connection closes.
  std::chrono::milliseconds drain_time{2'000};
  std::size_t drain_bytes = std::size_t{64} * 1024 * 1024;
  std::chrono::milliseconds write_time{30'000};  ///< for our own last bytes, and at most for an unread body
};

/// Makes what serves the connections of a net::Server by HTTP.
[[nodiscard]] net::ConnectionFactory connections(Handler handler, Refuser refuser, const ServerOptions& options = {});

}  // namespace gatehouse::httpd
