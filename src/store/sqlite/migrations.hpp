// The native tables, as numbered steps. A step that was released is never changed again: what comes later is another
// step.
#pragma once

#include <string>
#include <vector>

#include "store/sqlite/connection.hpp"
#include "store/table_names.hpp"

namespace gatehouse::store::sqlite {

struct Migration {
  int version;
  std::vector<std::string> statements;
};

/// Returns all steps, oldest first; the last one's version is what this program expects.
[[nodiscard]] std::vector<Migration> migrations(const TableNames& tables);

/// Returns the version of the tables, 0 if not all of them are there.
[[nodiscard]] SqliteResult<int> schema_version(Connection& database, const TableNames& tables);

/// Applies one step and writes its number down; requires an open transaction.
[[nodiscard]] SqliteResult<void> apply(Connection& database, const Migration& step);

}  // namespace gatehouse::store::sqlite
