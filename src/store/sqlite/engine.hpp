// SQLite behind sql::Engine. Each read is one SELECT on a reading connection, each unit of writes one BEGIN IMMEDIATE …
// COMMIT on the writing one. (A transaction that begins with a read and then writes can be refused at once, whatever
// the timeout: SQLITE_BUSY_SNAPSHOT.)
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "store/sql/engine.hpp"

namespace gatehouse::store::sqlite {

class Connection;
class Connections;

/// Thread-safe.
class Engine final : public sql::Engine {
 public:
  /// Never fails and touches no file.
  Engine(std::string path, std::chrono::milliseconds busy_timeout, std::size_t max_readers, sql::Schema schema);
  ~Engine() override;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  [[nodiscard]] auth::Result<void> read(const sql::ReadUnit& unit) override;
  /// There is nothing to repeat: a COMMIT of SQLite's fails or is done.
  [[nodiscard]] auth::Result<void> write(const sql::WriteUnit& unit, sql::Repeat repeat) override;
  [[nodiscard]] auth::Result<auth::SchemaStatus> schema_status() override;
  [[nodiscard]] auth::Result<auth::SchemaStatus> migrate() override;
  [[nodiscard]] sql::SqlResult<std::vector<std::string>> columns(sql::Database& database,
                                                                 const std::string& table) const override;
  [[nodiscard]] std::string exactly(std::string_view column, std::string_view parameter) const override;

 private:
  [[nodiscard]] sql::SqlResult<auth::SchemaStatus> status_in(sql::Database& database) const;
  [[nodiscard]] auth::Result<void> require_current(Connection& database) const;
  [[nodiscard]] sql::SqlResult<void> migrate_in(Connection& database) const;
  [[nodiscard]] sql::SqlResult<void> migrate_by(Connection& database, const sql::Migration& step) const;

  const sql::Schema schema_;
  const std::unique_ptr<Connections> connections_;
};

}  // namespace gatehouse::store::sqlite
