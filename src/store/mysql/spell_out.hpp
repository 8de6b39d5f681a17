// "SELECT *" with the columns by name. Pure.
//
// The driver keeps the names of a prepared statement's columns from when it was prepared. If the table is changed so
// that their number stays the same, the server prepares the statement again by itself and the driver goes on calling
// the new columns by the old names: a column of one's own could become "roles". So the statement says which column it
// wants where.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "store/sql/database.hpp"

namespace gatehouse::store::mysql {

/// Returns the columns of a table; none if there is no such table.
using ColumnsOf = std::function<sql::SqlResult<std::vector<std::string>>(const std::string& table)>;

/// True for a SELECT with "*" or "alias.*".
[[nodiscard]] bool asks_for_all_columns(std::string_view sql);
/// Returns the statement with each "*" and "alias.*" as a list of columns. Aliases stand behind their table: "user" u.
/// Fails as `columns_of` does; a table that is not there keeps its star.
[[nodiscard]] sql::SqlResult<std::string> spell_out(std::string_view sql, const ColumnsOf& columns_of);

}  // namespace gatehouse::store::mysql
