// What the tables must look like: ours, which numbered steps make, or Lucia's, which are another program's.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/store.hpp"
#include "store/sql/database.hpp"
#include "store/table_names.hpp"

namespace gatehouse::store::sql {

struct Migration {
  int version = 0;
  std::vector<std::string> statements;
};

struct TableShape {
  std::string name;
  std::vector<std::string> columns;  ///< that must be there; others may be
};

/// Immutable.
struct Schema {
  std::vector<TableShape> tables;
  /// Oldest first; the last one's version is what this program expects, and table gatehouse_schema (among `tables`) has
  /// the one that is there. Empty: the tables are another program's; they have no version but "as they must be" (1) and
  /// "not" (0).
  std::vector<Migration> migrations;

  [[nodiscard]] int expected_version() const { return migrations.empty() ? 1 : migrations.back().version; }
};

/// Our own tables, the same on every engine. Requires names that problem_in() has nothing against.
[[nodiscard]] std::vector<TableShape> native_shapes(const TableNames& tables);

/// Returns the columns of a table in order; none if there is no such table.
using ReadColumns = std::function<SqlResult<std::vector<std::string>>(Database&, const std::string& table)>;

/// Compares the tables that are there with those that must be.
[[nodiscard]] SqlResult<auth::SchemaStatus> schema_status(Database& database, const Schema& schema,
                                                          const ReadColumns& columns);

/// For people: which tables or columns are missing, or which version is there and which is expected.
[[nodiscard]] std::string describe(const auth::SchemaStatus& status);

/// Fails with store_not_migrated if no step of ours leads from there to what is expected: newer tables, or another
/// program's.
[[nodiscard]] auth::Result<void> require_migratable(const auth::SchemaStatus& status, const Schema& schema);

}  // namespace gatehouse::store::sql
