#include "store/sqlite/sqlite_store.hpp"

#include <utility>

#include "store/sqlite/engine.hpp"
#include "store/sqlite/migrations.hpp"

namespace gatehouse::store {

SqliteStore::SqliteStore(SqliteOptions options)
    : NativeStore(std::make_unique<sqlite::Engine>(std::move(options.path), options.busy_timeout, options.max_readers,
                                                   sqlite::native_schema(usable(options.tables))),
                  options.tables) {}

}  // namespace gatehouse::store
