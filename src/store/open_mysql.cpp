// Apart from open.cpp, so that a program of the static library that opens an SQLite file loads no MySQL client: a CGI
// process would pay for it at every request.
#include <utility>

#include "store/mysql/engine.hpp"
#include "store/mysql/migrations.hpp"
#include "store/open.hpp"
#include "store/sql/lucia_store.hpp"
#include "store/sql/native_store.hpp"

namespace gatehouse::store {

std::unique_ptr<auth::Store> open_store(MySqlOptions options) {
  if (options.schema == TableSchema::native) {
    const TableNames names = options.tables;
    auto engine = std::make_unique<mysql::Engine>(std::move(options), mysql::native_schema(usable(names)));
    return std::make_unique<sql::NativeStore>(std::move(engine), names);
  }
  const sql::LuciaTables tables = sql::lucia_tables(options.schema, options.tables);
  auto engine = std::make_unique<mysql::Engine>(std::move(options), sql::lucia_schema(tables));
  return std::make_unique<sql::LuciaStore>(std::move(engine), tables);
}

}  // namespace gatehouse::store
