#include "store/open.hpp"

#include <utility>

#include "store/sql/lucia_store.hpp"
#include "store/sqlite/engine.hpp"
#include "store/sqlite/sqlite_store.hpp"

namespace gatehouse::store {

std::unique_ptr<auth::Store> open_store(SqliteOptions options) {
  if (options.schema == TableSchema::native) return std::make_unique<SqliteStore>(std::move(options));
  const sql::LuciaTables tables = sql::lucia_tables(options.schema, options.tables);
  auto engine = std::make_unique<sqlite::Engine>(std::move(options.path), options.busy_timeout, options.max_readers,
                                                 sql::lucia_schema(tables));
  return std::make_unique<sql::LuciaStore>(std::move(engine), tables);
}

std::string describe(const auth::SchemaStatus& status) {
  return sql::describe(status);
}

}  // namespace gatehouse::store
