// Connections that we make: to an application behind us.
#pragma once

#include <boost/asio/ip/tcp.hpp>

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/task.hpp"

namespace gatehouse::net {

struct ConnectAddress {
  std::string path;  ///< of a unix socket; empty: tcp
  std::string host;  ///< a literal address or a name
  std::uint16_t port = 0;
  std::vector<asio::ip::tcp::endpoint>
      endpoints;  ///< of the host, to be tried in order; of a name: once it is looked up

  /// Looks the host up, if it is a name. Blocks: a look-up cannot be given up, so none is made for a request. Fails
  /// with a sentence.
  [[nodiscard]] std::expected<void, std::string> look_up();

  /// Reads unix:PATH or tcp:HOST:PORT ("tcp:[::1]:9000"); nullopt for anything else, and a path over 107 bytes.
  [[nodiscard]] static std::optional<ConnectAddress> parse(std::string_view text);
};

struct NotConnected {
  enum class Why : std::uint8_t {
    down,    ///< refused, or there is nobody
    busy,    ///< it is there and has no room, or we are out of descriptors
    silent,  ///< nothing was heard of it before the deadline
  } why = Why::down;
  std::string reason;  ///< for the log
};

/// One connection being made. Confined to the thread of its executor.
class Connecting {
 public:
  explicit Connecting(const asio::any_io_executor& executor);
  ~Connecting();
  Connecting(const Connecting&) = delete;
  Connecting& operator=(const Connecting&) = delete;

  /// Connects; returns a non-blocking descriptor that the caller owns. A unix socket whose backlog is full is tried
  /// again until the deadline. To be called once.
  [[nodiscard]] Task<std::expected<int, NotConnected>> connect(const ConnectAddress& address, Deadline deadline);
  /// Makes connect() return soon, with a failure that tells nothing.
  void give_up();

 private:
  struct Shared;

  [[nodiscard]] Task<std::expected<int, NotConnected>> connect_unix(const ConnectAddress& address, Deadline deadline);
  [[nodiscard]] Task<std::expected<int, NotConnected>> connect_tcp(const ConnectAddress& address, Deadline deadline);
  [[nodiscard]] static Task<> attempt(std::shared_ptr<Shared> shared, std::vector<asio::ip::tcp::endpoint> endpoints);

  const std::shared_ptr<Shared> shared_;  // with an attempt that may outlive us
};

}  // namespace gatehouse::net
