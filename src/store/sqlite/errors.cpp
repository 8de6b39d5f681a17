// One table; the extended code is looked at only among constraints.
#include "store/sqlite/errors.hpp"

#include <sqlite3.h>

namespace gatehouse::store::sqlite {

using sql::Problem;
using sql::SqlError;

namespace {

int primary(int code) {
  return code & 0xff;
}

/// SQLITE_ERROR says in words only that a table or a column is not there: "no such table: x", "table x has no column
/// named y".
bool misses_something(const std::string& words) {
  return words.starts_with("no such ") || words.contains(" has no column named ");
}

Problem constraint(int code) {
  switch (code) {
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_UNIQUE: return Problem::duplicate;
    case SQLITE_CONSTRAINT_FOREIGNKEY: return Problem::missing_reference;  // whichever side broke it
    case SQLITE_CONSTRAINT_DATATYPE:
    case SQLITE_CONSTRAINT_NOTNULL:
    case SQLITE_CONSTRAINT_CHECK: return Problem::bad_value;
    default: return Problem::internal;
  }
}

Problem problem_of(int code, const std::string& words) {
  switch (primary(code)) {
    case SQLITE_ERROR: return misses_something(words) ? Problem::missing_table : Problem::internal;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL: return Problem::locked;
    case SQLITE_FULL:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:  // the log, not the file: that one is open
    case SQLITE_IOERR: return Problem::read_only;
    case SQLITE_MISUSE:
    case SQLITE_RANGE: return Problem::internal;
    case SQLITE_CONSTRAINT: return constraint(code);
    default: return Problem::unavailable;
  }
}

}  // namespace

SqlError sql_error(int code, const std::string& words) {
  return {problem_of(code, words), "SQLite: " + words + " (" + std::to_string(code) + ")", code};
}

bool is_busy(const SqlError& error) {
  return primary(error.code) == SQLITE_BUSY || primary(error.code) == SQLITE_LOCKED;
}

bool needs_writable_folder(const SqlError& error) {
  const bool has_no_room = error.code == SQLITE_IOERR_SHMSIZE;
  return primary(error.code) == SQLITE_CANTOPEN || primary(error.code) == SQLITE_READONLY || has_no_room;
}

}  // namespace gatehouse::store::sqlite
