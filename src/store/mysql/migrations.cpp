// CREATE, ALTER and RENAME commit by themselves: there is no transaction around a step. So a step makes what it makes
// under names of its own first, its number in gatehouse_schema among it, and puts all of it in its place with one last
// statement. What an interrupted step left behind is in nobody's way; the next try begins by dropping it.
//
// Ids, names and whatever is compared are bytes (VARBINARY): as characters, bob, BOB and bób would be one user, and a
// cookie that the column's character set cannot hold an error. So are addresses and devices, which visitors make up.
// Times are Unix milliseconds.
#include "store/mysql/migrations.hpp"

#include <fmt/format.h>

#include <span>
#include <utility>

namespace gatehouse::store::mysql {

using sql::Problem;
using sql::SqlError;
using sql::SqlResult;

namespace {

// A foreign key follows the table that it refers to into its new name.
constexpr const char* kVersion1[] = {
    R"(DROP TABLE IF EXISTS gatehouse_new_session, gatehouse_new_key, gatehouse_new_user, gatehouse_new_rotated,
         gatehouse_new_schema)",
    R"(CREATE TABLE gatehouse_new_user (
         id VARBINARY(255) NOT NULL PRIMARY KEY,
         username VARBINARY(255) NOT NULL UNIQUE,
         name VARCHAR(255) NOT NULL DEFAULT '',
         email VARCHAR(255) NOT NULL DEFAULT '',
         roles VARCHAR(4096) NOT NULL DEFAULT '',
         disabled TINYINT NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
         created_at BIGINT NOT NULL
       ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin)",
    R"(CREATE TABLE gatehouse_new_key (
         id VARBINARY(512) NOT NULL PRIMARY KEY,
         user_id VARBINARY(255) NOT NULL,
         hashed_password VARBINARY(1024),
         expires BIGINT,
         KEY user_id (user_id),
         FOREIGN KEY (user_id) REFERENCES gatehouse_new_user (id)
       ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin)",
    R"(CREATE TABLE gatehouse_new_session (
         id VARBINARY(127) NOT NULL PRIMARY KEY,
         user_id VARBINARY(255) NOT NULL,
         active_expires BIGINT NOT NULL,
         idle_expires BIGINT NOT NULL,
         created_at BIGINT NOT NULL,
         family VARBINARY(127) NOT NULL,
         parent VARBINARY(127),
         last_used_at BIGINT NOT NULL,
         address VARBINARY(255) NOT NULL DEFAULT '',
         device VARBINARY(1024) NOT NULL DEFAULT '',
         KEY user_id (user_id),
         KEY family (family),
         KEY idle_expires (idle_expires),
         KEY created_at (created_at),
         FOREIGN KEY (user_id) REFERENCES gatehouse_new_user (id)
       ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin)",
    R"(CREATE TABLE gatehouse_new_rotated (
         id VARBINARY(127) NOT NULL PRIMARY KEY,
         family VARBINARY(127) NOT NULL,
         nonce BINARY(32) NOT NULL,
         idle_expires BIGINT NOT NULL,
         rotated_at BIGINT NOT NULL,
         successor_seen_at BIGINT,
         KEY family (family),
         KEY idle_expires (idle_expires)
       ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin)",
    R"(CREATE TABLE gatehouse_new_schema (
         version INT NOT NULL PRIMARY KEY,
         applied_at BIGINT NOT NULL
       ) ENGINE=InnoDB)",
    "INSERT INTO gatehouse_new_schema (version, applied_at) VALUES (1, UNIX_TIMESTAMP() * 1000)",
    // Fails, and changes nothing, if one of the names is taken.
    R"(RENAME TABLE gatehouse_new_user TO "{user}", gatehouse_new_key TO "{key}", gatehouse_new_session TO "{session}",
         gatehouse_new_rotated TO rotated_session, gatehouse_new_schema TO gatehouse_schema)",
};

sql::Migration step(int version, std::span<const char* const> statements, const TableNames& tables) {
  sql::Migration made{version, {}};
  for (const char* statement : statements) {
    made.statements.push_back(fmt::format(fmt::runtime(statement), fmt::arg("user", tables.user),
                                          fmt::arg("key", tables.key), fmt::arg("session", tables.session)));
  }
  return made;
}

SqlResult<void> take_lock(Connection& connection) {
  auto taken = sql::select_one(connection, "SELECT GET_LOCK(CONCAT('gatehouse:', SHA1(DATABASE())), 10)", {},
                               [](const sql::Row& row) { return row.integer(0) == 1; });
  if (!taken) return std::unexpected(std::move(taken.error()));
  if (!taken->value_or(false)) return std::unexpected(SqlError{Problem::locked, "another gateway is migrating"});
  return {};
}

/// Names that version 1 is to take and that somebody else has.
SqlResult<void> require_free_names(Connection& connection, const sql::Schema& schema) {
  for (const sql::TableShape& table : schema.tables) {
    auto columns = columns_of(connection, table.name);
    if (!columns) return std::unexpected(std::move(columns.error()));
    if (!columns->empty()) {
      return std::unexpected(SqlError{Problem::missing_table, "table " + table.name + " is there and is not ours"});
    }
  }
  return {};
}

}  // namespace

sql::Schema native_schema(const TableNames& tables) {
  return {sql::native_shapes(tables), {step(1, kVersion1, tables)}};
}

SqlResult<std::vector<std::string>> columns_of(sql::Database& database, const std::string& table) {
  return sql::select(database,
                     "SELECT column_name FROM information_schema.columns "
                     "WHERE table_schema = DATABASE() AND table_name = ?1 ORDER BY ordinal_position",
                     {std::string_view(table)}, [](const sql::Row& row) { return row.text(0); });
}

SqlResult<void> apply_missing(Connection& connection, const sql::Schema& schema) {
  if (auto locked = take_lock(connection); !locked) return locked;
  auto status = sql::schema_status(connection, schema, columns_of);
  if (!status) return std::unexpected(std::move(status.error()));
  if (status->version == 0) {
    if (auto free = require_free_names(connection, schema); !free) return free;
  }
  for (const sql::Migration& missing : schema.migrations) {
    if (missing.version <= status->version) continue;
    for (const std::string& statement : missing.statements) {
      if (auto done = connection.command(statement); !done) return done;
    }
  }
  return {};
}

}  // namespace gatehouse::store::mysql
