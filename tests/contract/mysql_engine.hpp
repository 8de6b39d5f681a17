// What the tests of the MySQL engine share: one small table, and units of work upon it.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "contract/mariadb_server.hpp"
#include "store/mysql/engine.hpp"
#include "store/sql/errors.hpp"

namespace gatehouse::contract {

using namespace std::chrono_literals;
using store::sql::Database;
using store::sql::End;
using store::sql::Repeat;
using store::sql::Value;

inline constexpr const char* kMakeTable = "CREATE TABLE t (id VARBINARY(64) PRIMARY KEY, n BIGINT) ENGINE=InnoDB";

inline store::sql::Schema small_schema() {
  return {{{"t", {"id", "n"}}}, {}};
}

/// A user who may do what a gateway may, and whom `read_only` stops.
inline void make_gate_user(MariaDbServer& server) {
  server.run(
      "CREATE OR REPLACE USER gate@localhost IDENTIFIED BY 'open'; CREATE OR REPLACE USER gate@'127.0.0.1' IDENTIFIED "
      "BY "
      "'open'; GRANT SELECT, INSERT, UPDATE, DELETE ON *.* TO gate@localhost, gate@'127.0.0.1'");
}

/// A database with the small table, and how the user gets there.
inline store::MySqlOptions options_for(MariaDbServer& server) {
  make_gate_user(server);
  store::MySqlOptions options;
  options.hosts = {server.unix_host()};
  options.database = server.create_database();
  options.user = "gate";
  options.password = "open";
  server.run(kMakeTable, options.database);
  return options;
}

/// Runs a statement as a unit's step; its failure becomes the unit's.
inline auth::Result<std::int64_t> step(Database& database, std::string_view sql, std::vector<Value> values = {}) {
  auto done = database.run(sql, values);
  if (!done) return std::unexpected(store::sql::environment_error(done.error(), store::sql::During::write));
  return *done;
}

inline auth::Result<End> insert(Database& database, std::string_view id, std::int64_t n = 1) {
  auto done = step(database, "INSERT INTO t (id, n) VALUES (?1, ?2)", {id, n});
  if (!done) return std::unexpected(done.error());
  return End::commit;
}

/// The first column of every row.
inline auth::Result<std::vector<std::string>> texts(store::sql::Engine& engine, std::string_view sql,
                                                    std::vector<Value> values = {}) {
  std::vector<std::string> found;
  auto done = engine.read([&](Database& database) -> auth::Result<void> {
    found.clear();
    auto rows = database.query(sql, values, [&](const store::sql::Row& row) { found.push_back(row.text(0)); });
    if (!rows) return std::unexpected(store::sql::environment_error(rows.error(), store::sql::During::read));
    return {};
  });
  if (!done) return std::unexpected(done.error());
  return found;
}

inline bool answers(store::sql::Engine& engine) {
  return texts(engine, "SELECT id FROM t").has_value();
}

/// The name of a call's failure, "" if there was none.
template <typename T>
std::string failure_of(const auth::Result<T>& result) {
  return result ? "" : std::string(auth::name(result.error().code));
}

/// Whether something comes true within 20 s.
template <typename Condition>
bool becomes_true(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

template <typename Call>
std::chrono::milliseconds time_of(Call call) {
  const auto begin = std::chrono::steady_clock::now();
  call();
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
}

}  // namespace gatehouse::contract
