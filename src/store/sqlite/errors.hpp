// SQLite's result codes as problems that everybody understands.
#pragma once

#include <string>

#include "store/sql/database.hpp"

namespace gatehouse::store::sqlite {

/// `code` is an extended result code, `words` are SQLite's.
[[nodiscard]] sql::SqlError sql_error(int code, const std::string& words);

/// Somebody else's lock, nothing wrong with the connection.
[[nodiscard]] bool is_busy(const sql::SqlError& error);
/// The file or its folder cannot be written, or has no room, where even reading needs that (the log's index).
[[nodiscard]] bool needs_writable_folder(const sql::SqlError& error);

}  // namespace gatehouse::store::sqlite
