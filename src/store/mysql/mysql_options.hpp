// How a MySQL or MariaDB is reached.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "store/table_names.hpp"

namespace gatehouse::store {

/// What an administrator should read once, not once a request: a host that fails, one that is back, one that is up but
/// not as it should be (read-only, a clock that is off).
struct HostNews {
  std::string host;
  bool is_up = false;
  std::string detail;  ///< the server's or the client library's words; never the password
};

struct MySqlOptions {
  std::vector<std::string> hosts{"unix:/run/mysqld/mysqld.sock"};  ///< unix:PATH or HOST:PORT, tried in this order
  TableSchema schema = TableSchema::native;
  TableNames tables = {};
  std::string database;
  std::string user;
  std::string password;
  /// Encrypted and verified (the chain and the host's name) by this CA file, or not encrypted at all; over a unix
  /// socket the latter in any case. Empty: no TLS.
  std::string tls_ca_file;
  std::size_t max_connections = 16;
  std::chrono::milliseconds acquire_timeout{1'000};  ///< how long a call waits for a connection
  std::chrono::milliseconds timeout{2'000};          ///< how long a call may take then; the driver counts whole seconds
  /// How long an earlier host is left alone after it failed or could not be written, while a later one serves.
  std::chrono::milliseconds fail_back_after{10'000};
  /// How long a connection is used, ±10 %: so that load finds its way to a server that is back behind a balancer.
  std::chrono::milliseconds max_lifetime{20 * 60'000};
  /// How long a connection may rest before it is asked whether it still is one.
  std::chrono::milliseconds ping_after{30'000};
  /// Called from whichever thread notices, at most once a minute a host for the same state. Must be thread-safe.
  std::function<void(const HostNews&)> report = {};
};

}  // namespace gatehouse::store
