// One table for each question; the extended code is looked at only among constraints.
#include "store/sqlite/errors.hpp"

#include <sqlite3.h>

#include <utility>

namespace gatehouse::store::sqlite {

using auth::ErrorCode;

namespace {

int primary(const SqliteError& error) {
  return error.code & 0xff;
}

/// SQLITE_ERROR says in words only that a table or a column is not there: "no such table: x", "table x has no column
/// named y".
bool misses_something(const SqliteError& error) {
  return error.detail.starts_with("no such ") || error.detail.contains(" has no column named ");
}

ErrorCode code_for(const SqliteError& error, During during) {
  switch (primary(error)) {
    case SQLITE_ERROR: return misses_something(error) ? ErrorCode::store_not_migrated : ErrorCode::internal;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
    case SQLITE_FULL:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:  // the log, not the file: that one is open
    case SQLITE_IOERR: return during == During::write ? ErrorCode::store_read_only : ErrorCode::store_unavailable;
    case SQLITE_MISUSE:
    case SQLITE_RANGE:
    case SQLITE_CONSTRAINT: return ErrorCode::internal;
    default: return ErrorCode::store_unavailable;
  }
}

std::string describe(SqliteError error) {
  return "SQLite: " + std::move(error.detail) + " (" + std::to_string(error.code) + ")";
}

}  // namespace

auth::Error environment_error(SqliteError error, During during) {
  const ErrorCode code = code_for(error, during);
  return {code, describe(std::move(error))};
}

auth::Error write_error(SqliteError error, ErrorCode duplicate) {
  if (is_duplicate(error)) return {duplicate, describe(std::move(error))};
  if (is_missing_reference(error)) return {ErrorCode::invalid_user_id, describe(std::move(error))};
  switch (error.code) {
    case SQLITE_CONSTRAINT_DATATYPE:
    case SQLITE_CONSTRAINT_NOTNULL:
    case SQLITE_CONSTRAINT_CHECK: return {ErrorCode::invalid_attribute, describe(std::move(error))};
    default: return environment_error(std::move(error), During::write);
  }
}

bool is_duplicate(const SqliteError& error) {
  return error.code == SQLITE_CONSTRAINT_PRIMARYKEY || error.code == SQLITE_CONSTRAINT_UNIQUE;
}

bool is_missing_reference(const SqliteError& error) {
  return error.code == SQLITE_CONSTRAINT_FOREIGNKEY;
}

bool is_busy(const SqliteError& error) {
  return primary(error) == SQLITE_BUSY || primary(error) == SQLITE_LOCKED;
}

bool needs_writable_folder(const SqliteError& error) {
  const bool has_no_room = error.code == SQLITE_IOERR_SHMSIZE;
  return primary(error) == SQLITE_CANTOPEN || primary(error) == SQLITE_READONLY || has_no_room;
}

}  // namespace gatehouse::store::sqlite
