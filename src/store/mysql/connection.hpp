// One connection to one server, with its prepared statements: the only place that knows the driver, MySQL Connector/C++
// 1.1. Its exceptions end here. Nothing here knows what a session is.
#pragma once

#include <chrono>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "store/mysql/errors.hpp"
#include "store/mysql/mysql_options.hpp"
#include "store/sql/database.hpp"

namespace gatehouse::store::mysql {

using Deadline = std::chrono::steady_clock::time_point;

/// What a server says of itself when it is met.
struct ServerState {
  bool is_read_only = false;
  std::chrono::milliseconds clock_ahead{0};  ///< of ours; below zero: behind
};

/// The version of MySQL Connector/C++: "1.1.12".
[[nodiscard]] std::string driver_version();

/// A connection that could not be made.
struct ConnectError {
  sql::SqlError error;
  bool is_silent = false;  ///< for want of an answer in time
};

/// Confined to one thread at a time.
class Connection final : public sql::Database {
 public:
  /// Connects and settles everything that is not to be left to the server's configuration. `host` as in MySqlOptions.
  /// Takes about `patience` (whole seconds, rounded up) if nobody answers; the look-up of a name is not covered.
  /// Fails: unavailable (also a wrong password, a certificate that does not fit, a Galera node out of its cluster),
  /// missing_table (no such database), internal (no such host can be).
  [[nodiscard]] static std::expected<std::unique_ptr<Connection>, ConnectError> connect(
      const std::string& host, const MySqlOptions& options, std::chrono::milliseconds patience);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// What happens from now on belongs to a new call: statements fail once `deadline` is over, without being sent. One
  /// that was sent before is waited for MySqlOptions::timeout at most (whole seconds, rounded up).
  void begin_call(Deadline deadline);
  /// The worst that happened since.
  [[nodiscard]] Aftermath trouble() const { return trouble_; }

  /// In database.hpp's words; each statement is prepared once. `show` must not use the connection.
  [[nodiscard]] sql::SqlResult<std::int64_t> run(std::string_view sql, sql::Values values) override;
  [[nodiscard]] sql::SqlResult<void> query(std::string_view sql, sql::Values values,
                                           const std::function<void(const sql::Row&)>& show) override;
  /// Of several hosts, one that is read-only: a replica, as far as anybody can tell.
  [[nodiscard]] bool may_lag() const override { return has_others_ && server_.is_read_only; }
  /// Runs what has no values and need not be prepared (START TRANSACTION, CREATE TABLE), whatever the deadline.
  [[nodiscard]] sql::SqlResult<void> command(std::string_view sql);

  [[nodiscard]] const ServerState& server() const { return server_; }
  /// Asks again.
  [[nodiscard]] sql::SqlResult<void> look_at_server();

  /// True until something shows that the tables are not, or no more, as they were found.
  [[nodiscard]] bool schema_is_verified() const { return schema_is_verified_; }
  void set_schema_verified() { schema_is_verified_ = true; }

 private:
  class Driver;  // the driver's objects
  struct Statement;
  struct Failure {
    Aftermath aftermath = Aftermath::nothing;
    sql::SqlError error;
  };
  template <typename T>
  using Attempt = std::expected<T, Failure>;

  Connection(std::unique_ptr<Driver> driver, std::chrono::milliseconds answer_limit, bool has_others);
  [[nodiscard]] sql::SqlResult<void> settle(std::chrono::milliseconds timeout);
  [[nodiscard]] sql::SqlResult<void> join_cluster();
  /// What the server is to prepare: a SELECT of all columns has their names. Empty if it is prepared already.
  [[nodiscard]] sql::SqlResult<std::string> spelled_out(std::string_view sql);
  /// Lets `use` run a statement that is prepared and has its values; prepares it once more if the server has forgotten
  /// it, or if the tables have changed.
  [[nodiscard]] sql::SqlResult<void> execute(std::string_view sql, sql::Values values,
                                             const std::function<void(Statement&)>& use);
  /// Runs what may throw the driver's exceptions; remembers what went wrong.
  [[nodiscard]] Attempt<void> attempt(const std::function<void()>& work);

  const std::unique_ptr<Driver> driver_;
  const std::chrono::milliseconds answer_limit_;  ///< after which the driver gives up
  Deadline deadline_ = Deadline::max();
  Aftermath trouble_ = Aftermath::nothing;
  ServerState server_;
  const bool has_others_;  ///< it is one of several hosts
  bool is_mariadb_ = false;
  bool schema_is_verified_ = false;
};

}  // namespace gatehouse::store::mysql
