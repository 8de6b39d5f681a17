// The native tables on MySQL and MariaDB, as numbered steps. A step that was released is never changed again: what
// comes later is another step.
#pragma once

#include <string>
#include <vector>

#include "store/mysql/connection.hpp"
#include "store/sql/schema.hpp"
#include "store/table_names.hpp"

namespace gatehouse::store::mysql {

/// Each step writes its own number into gatehouse_schema: see migrations.cpp. Requires names that problem_in() has
/// nothing against.
[[nodiscard]] sql::Schema native_schema(const TableNames& tables);

/// Returns the columns of a table or view of the connection's database in order; none if there is no such table.
[[nodiscard]] sql::SqlResult<std::vector<std::string>> columns_of(sql::Database& database, const std::string& table);

/// Applies the steps that are missing, one gateway at a time: a second one waits ten seconds, then fails with `locked`.
/// Fails with missing_table, having changed nothing, if tables of these names are there that are not ours. Requires a
/// connection that nobody else uses afterwards; its end lets the next gateway in.
[[nodiscard]] sql::SqlResult<void> apply_missing(Connection& connection, const sql::Schema& schema);

}  // namespace gatehouse::store::mysql
