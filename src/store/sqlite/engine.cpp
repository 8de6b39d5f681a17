#include "store/sqlite/engine.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "store/sql/errors.hpp"
#include "store/sqlite/checkpoint.hpp"
#include "store/sqlite/connection.hpp"
#include "store/sqlite/connections.hpp"
#include "store/sqlite/errors.hpp"

namespace gatehouse::store::sqlite {

using auth::Error;
using auth::ErrorCode;
using auth::fail;
using auth::Result;
using sql::Database;
using sql::During;
using sql::environment_error;
using sql::SqlError;
using sql::SqlResult;

namespace {

/// Creates an empty file that only its owner can read, or leaves the one that is there alone.
Result<void> create_file(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor < 0 && errno == EEXIST) return {};
  if (descriptor < 0) {
    const int error = errno;
    const bool is_forbidden = error == EACCES || error == EPERM || error == EROFS || error == ENOSPC;
    return fail(is_forbidden ? ErrorCode::store_read_only : ErrorCode::store_unavailable,
                path + ": " + std::generic_category().message(error));
  }
  const bool done = ::fchmod(descriptor, 0600) == 0;  // the umask may have taken bits away
  ::close(descriptor);
  if (!done) return fail(ErrorCode::store_unavailable, path + ": cannot set its mode");
  return {};
}

/// What stops a step is a table of that name: the tables are not ours.
Error migration_error(SqlError error) {
  Error ours = environment_error(std::move(error), During::write);
  if (ours.code == ErrorCode::internal) ours.code = ErrorCode::store_not_migrated;
  return ours;
}

}  // namespace

Engine::Engine(std::string path, std::chrono::milliseconds busy_timeout, std::size_t max_readers, sql::Schema schema)
    : schema_(std::move(schema)),
      connections_(std::make_unique<Connections>(std::move(path), busy_timeout, max_readers)) {}

Engine::~Engine() = default;

Result<void> Engine::require_current(Connection& database) const {
  if (database.schema_is_verified()) return {};
  auto status = status_in(database);
  if (!status) return std::unexpected(environment_error(std::move(status.error()), During::read));
  if (!status->is_current()) return fail(ErrorCode::store_not_migrated, sql::describe(*status));
  database.set_schema_verified();
  return {};
}

Result<void> Engine::read(const sql::ReadUnit& unit) {
  auto lease = connections_->reader();
  if (!lease) return std::unexpected(std::move(lease.error()));
  Connection& database = lease->connection();

  auto current = require_current(database);
  if (!current) {
    lease->drop();
    return current;
  }
  database.forget_trouble();
  auto done = unit(database);
  if (!done) {
    if (!database.is_sound()) lease->drop();
    return done;
  }
  // The tables may have changed between the check and the SELECT; only now it shows.
  current = require_current(database);
  if (!current) {
    lease->drop();
    return current;
  }
  if (!lease->was_undisturbed()) return fail(ErrorCode::store_unavailable, "the file changed under a reader");
  return {};
}

Result<void> Engine::write(const sql::WriteUnit& unit, sql::Repeat /*repeat*/) {
  auto lease = connections_->writer();
  if (!lease) return std::unexpected(std::move(lease.error()));
  Connection& database = lease->connection();

  if (auto begun = database.run("BEGIN IMMEDIATE"); !begun) {
    if (!is_busy(begun.error())) lease->drop();
    return std::unexpected(environment_error(std::move(begun.error()), During::write));
  }
  const Result<sql::End> end = [&]() -> Result<sql::End> {
    if (auto current = require_current(database); !current) return std::unexpected(std::move(current.error()));
    auto done = unit(database);
    if (!done) return done;
    if (auto current = require_current(database); !current) return std::unexpected(std::move(current.error()));
    return done;
  }();
  if (!end || *end == sql::End::rollback) {
    const bool is_sound = (end || sql::is_refusal(end.error())) && database.run("ROLLBACK");
    if (!is_sound) lease->drop();
    if (!end) return std::unexpected(end.error());
    return {};
  }
  if (auto kept = database.run("COMMIT"); !kept) {
    lease->drop();
    return std::unexpected(environment_error(std::move(kept.error()), During::write));
  }
  checkpoint_if_due(database, lease->file_path());
  return {};
}

SqlResult<std::vector<std::string>> Engine::columns(Database& database, const std::string& table) const {
  // Without the names of views: what cannot be written is not ours.
  return select(database,
                "SELECT c.name FROM sqlite_schema t, pragma_table_info(t.name) c "
                "WHERE t.type = 'table' AND t.name = ?1 COLLATE NOCASE",
                {table}, [](const sql::Row& row) { return row.text(0); });
}

std::string Engine::exactly(std::string_view column, std::string_view parameter) const {
  return std::string(column) + " = " + std::string(parameter) + " COLLATE BINARY";
}

// ── the tables ───────────────────────────────────────────────────────────────────────────────────────────────────────

SqlResult<auth::SchemaStatus> Engine::status_in(Database& database) const {
  return sql::schema_status(database, schema_,
                            [this](Database& inner, const std::string& table) { return columns(inner, table); });
}

Result<auth::SchemaStatus> Engine::schema_status() {
  auto lease = connections_->reader();
  if (!lease) return std::unexpected(std::move(lease.error()));
  auto status = status_in(lease->connection());
  if (!status) {
    lease->drop();
    return std::unexpected(environment_error(std::move(status.error()), During::read));
  }
  return std::move(*status);
}

/// Applies one step in a transaction of its own, unless another process has done so.
SqlResult<void> Engine::migrate_by(Connection& database, const sql::Migration& step) const {
  if (auto begun = database.run("BEGIN IMMEDIATE"); !begun) return std::unexpected(std::move(begun.error()));
  auto status = status_in(database);
  if (!status) return std::unexpected(std::move(status.error()));
  if (status->version < step.version) {
    for (const std::string& statement : step.statements) {
      if (auto done = database.run(statement); !done) return std::unexpected(std::move(done.error()));
    }
    auto noted = database.run("INSERT INTO gatehouse_schema (version, applied_at) VALUES (?1, unixepoch() * 1000)",
                              {std::int64_t{step.version}});
    if (!noted) return std::unexpected(std::move(noted.error()));
  }
  if (auto kept = database.run("COMMIT"); !kept) return std::unexpected(std::move(kept.error()));
  return {};
}

SqlResult<void> Engine::migrate_in(Connection& database) const {
  if (auto wal = database.run("PRAGMA journal_mode=WAL"); !wal) return std::unexpected(std::move(wal.error()));
  for (const sql::Migration& step : schema_.migrations) {
    if (auto done = migrate_by(database, step); !done) return done;
  }
  return {};
}

Result<auth::SchemaStatus> Engine::migrate() {
  if (!schema_.migrations.empty()) {
    if (auto created = create_file(connections_->path()); !created) return std::unexpected(std::move(created.error()));
  }
  auto status = schema_status();
  if (!status || status->is_current()) return status;
  if (auto possible = sql::require_migratable(*status, schema_); !possible) {
    return std::unexpected(std::move(possible.error()));
  }
  auto lease = connections_->writer();
  if (!lease) return std::unexpected(std::move(lease.error()));
  if (auto done = migrate_in(lease->connection()); !done) {
    lease->drop();
    return std::unexpected(migration_error(std::move(done.error())));
  }
  lease->connection().set_schema_verified();
  return auth::SchemaStatus{.version = schema_.expected_version(), .expected = schema_.expected_version()};
}

}  // namespace gatehouse::store::sqlite
