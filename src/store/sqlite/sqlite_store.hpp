// The store for one machine: an SQLite file in WAL mode that the gateways, the CLI and an administrator's sqlite3 may
// use at the same time.
#pragma once

#include "store/sql/native_store.hpp"
#include "store/sqlite/sqlite_options.hpp"

namespace gatehouse::store {

/// Our own tables in an SQLite file. Thread-safe. Comes back by itself when the file does. `migrate` creates the file
/// (mode 0600, whatever the umask) if there is none; its folder must exist.
///
/// Fails: store_unavailable if the file is missing, unreadable, no database, damaged, or locked against reading;
/// store_read_only for writes if it is full, read-only, or locked against writing; store_not_migrated if the tables
/// are missing or of another version; internal if the names of the tables cannot be used.
class SqliteStore final : public sql::NativeStore {
 public:
  /// Never fails and touches no file.
  explicit SqliteStore(SqliteOptions options);
};

}  // namespace gatehouse::store
