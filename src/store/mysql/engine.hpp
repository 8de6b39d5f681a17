// MySQL and MariaDB behind sql::Engine: units of work over a pool of connections to the first host that can be used.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "store/mysql/mysql_options.hpp"
#include "store/sql/engine.hpp"

namespace gatehouse::store::mysql {

class Connection;
class Hosts;

/// Thread-safe. Connects when it is first asked to, and again when it has to.
///
/// A call ends within acquire_timeout, timeout and the driver's limit for one answer (timeout in whole seconds, rounded
/// up), plus what looking up a host's name takes. Within that a unit is repeated: once if its connection was lost (but
/// see Repeat), up to three times if it met a deadlock.
class Engine final : public sql::Engine {
 public:
  /// Never fails and opens no connection.
  Engine(MySqlOptions options, sql::Schema schema);
  ~Engine() override;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  [[nodiscard]] auth::Result<void> read(const sql::ReadUnit& unit) override;
  [[nodiscard]] auth::Result<void> write(const sql::WriteUnit& unit, sql::Repeat repeat) override;
  [[nodiscard]] auth::Result<auth::SchemaStatus> schema_status() override;
  /// Each statement may take a minute.
  [[nodiscard]] auth::Result<auth::SchemaStatus> migrate() override;
  [[nodiscard]] sql::SqlResult<std::vector<std::string>> columns(sql::Database& database,
                                                                 const std::string& table) const override;
  [[nodiscard]] std::string exactly(std::string_view column, std::string_view parameter) const override;

 private:
  using Deadline = std::chrono::steady_clock::time_point;
  [[nodiscard]] Deadline deadline_from_now() const;
  [[nodiscard]] auth::Result<void> read_with(const std::function<auth::Result<void>(Connection&)>& work);
  [[nodiscard]] auth::Result<void> require_current(Connection& connection) const;
  [[nodiscard]] auth::Result<std::size_t> writable_host();
  struct Transaction;
  [[nodiscard]] Transaction transact(Connection& connection, const sql::WriteUnit& unit) const;

  const sql::Schema schema_;
  const std::unique_ptr<Hosts> hosts_;
};

}  // namespace gatehouse::store::mysql
