// Which SQLite file, and how it is used.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "store/table_names.hpp"

namespace gatehouse::store {

struct SqliteOptions {
  std::string path;  ///< of the file; beside it lie its -wal and -shm, and a .lock
  TableNames tables;
  std::chrono::milliseconds busy_timeout{2000};  ///< how long one call waits for others in all
  std::size_t max_readers = 8;                   ///< connections that read at the same time
  TableSchema schema = TableSchema::native;      ///< only open_store() makes the others
};

}  // namespace gatehouse::store
