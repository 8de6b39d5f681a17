// Makes a store of its options: whose tables, in which engine.
#pragma once

#include <memory>
#include <string>

#include "auth/store.hpp"
#include "store/mysql/mysql_options.hpp"
#include "store/sqlite/sqlite_options.hpp"

namespace gatehouse::store {

/// Neither connects to anything nor opens a file: whatever is wrong, the first call says. Thread-safe stores.
[[nodiscard]] std::unique_ptr<auth::Store> open_store(SqliteOptions options);
[[nodiscard]] std::unique_ptr<auth::Store> open_store(MySqlOptions options);

/// For people: which tables or columns are missing, or which version is there and which is expected.
[[nodiscard]] std::string describe(const auth::SchemaStatus& status);

}  // namespace gatehouse::store
