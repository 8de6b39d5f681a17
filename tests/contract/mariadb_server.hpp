// A real MariaDB for one test program: started in a temporary folder, on a socket of its own, gone with the object.
//
//   MariaDbServer server;                                  // about a second
//   options.hosts = {server.unix_host()};
//   options.database = server.create_database();           // one for each test: 5 ms
//   options.user = "root";                                 // no password
//
// A program whose tests may share one server asks shared_mariadb() for it: TEST_P suites, the store contract.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "contract/temporary_folder.hpp"

struct st_mysql;

namespace gatehouse::contract {

/// Every value as text; NULL reads as "NULL".
using MariaDbRows = std::vector<std::vector<std::string>>;

/// What another program does to the database: a bare connection with none of our settings, not even a character set.
/// Confined to one thread. Every failure throws std::runtime_error with the server's words.
class RawMariaDb {
 public:
  /// `database` may be empty.
  RawMariaDb(const std::string& socket, const std::string& database);
  ~RawMariaDb();
  RawMariaDb(const RawMariaDb&) = delete;
  RawMariaDb& operator=(const RawMariaDb&) = delete;

  /// Runs one or more statements.
  void run(std::string_view sql);
  /// Runs one statement; returns its rows as texts.
  MariaDbRows rows(std::string_view sql);
  /// Returns the first column of the only row.
  std::string value(std::string_view sql);

 private:
  st_mysql* connection_ = nullptr;
};

/// Confined to one thread; the calls that change whether it answers wait until it does, or does no more.
class MariaDbServer {
 public:
  struct Options {
    bool tcp = false;                    ///< listens on 127.0.0.1 too, on a free port
    std::vector<std::string> arguments;  ///< of mariadbd, after ours
  };

  /// Throws std::runtime_error with the server's log if it does not come up.
  explicit MariaDbServer(Options options);
  MariaDbServer() : MariaDbServer(Options{}) {}
  ~MariaDbServer();
  MariaDbServer(const MariaDbServer&) = delete;
  MariaDbServer& operator=(const MariaDbServer&) = delete;

  [[nodiscard]] const std::string& folder() const { return folder_.path(); }
  [[nodiscard]] std::string socket() const { return folder_ / "s"; }
  [[nodiscard]] std::uint16_t port() const { return port_; }  ///< 0 without Options::tcp
  /// As MySqlOptions::hosts wants them.
  [[nodiscard]] std::string unix_host() const { return "unix:" + socket(); }
  [[nodiscard]] std::string tcp_host() const { return "127.0.0.1:" + std::to_string(port_); }

  /// As root, each on a connection of its own: see RawMariaDb.
  void run(std::string_view sql, const std::string& database = {});
  MariaDbRows rows(std::string_view sql, const std::string& database = {});
  std::string value(std::string_view sql, const std::string& database = {});
  /// A counter of SHOW GLOBAL STATUS.
  std::int64_t status(const std::string& name);
  /// Makes an empty database (utf8mb4) whose name no other one of this server had; returns the name.
  std::string create_database();

  void stop();    ///< as systemctl stop does: SIGTERM
  void kill();    ///< as a power failure does: SIGKILL
  void start();   ///< the same server again: same socket, port and data
  void pause();   ///< SIGSTOP: connections stay, nothing answers, new ones are accepted by the kernel
  void resume();  ///< SIGCONT

 private:
  void end_process(int signal);
  [[nodiscard]] bool has_ended();

  const Options options_;
  const TemporaryFolder folder_;
  const std::uint16_t port_;
  pid_t process_ = -1;
  int databases_ = 0;
};

/// A TCP port of 127.0.0.1 that nobody listens on at the moment.
[[nodiscard]] std::uint16_t free_port();

/// The program's own server, started when it is first asked for and stopped after the last test.
[[nodiscard]] MariaDbServer& shared_mariadb();

}  // namespace gatehouse::contract
