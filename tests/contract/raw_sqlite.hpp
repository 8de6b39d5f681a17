// What another program does to the file: a bare connection for tests, with none of our settings.
#pragma once

#include <sqlite3.h>

#include <stdexcept>
#include <string>

namespace gatehouse::contract {

class RawSqlite {
 public:
  explicit RawSqlite(const std::string& path) {
    if (sqlite3_open(path.c_str(), &database_) != SQLITE_OK) throw std::runtime_error("cannot open " + path);
  }
  ~RawSqlite() { sqlite3_close(database_); }
  RawSqlite(const RawSqlite&) = delete;
  RawSqlite& operator=(const RawSqlite&) = delete;

  /// Runs statements; returns the first column of the last row, "" if there is none.
  std::string run(const std::string& sql) {
    std::string last;
    char* words = nullptr;
    const auto keep_first = [](void* into, int count, char** values, char** /*names*/) {
      if (count > 0 && values[0] != nullptr) *static_cast<std::string*>(into) = values[0];
      return 0;
    };
    if (sqlite3_exec(database_, sql.c_str(), keep_first, &last, &words) != SQLITE_OK) {
      const std::string detail = words == nullptr ? "?" : words;
      sqlite3_free(words);
      throw std::runtime_error(sql + ": " + detail);
    }
    return last;
  }

 private:
  sqlite3* database_ = nullptr;
};

}  // namespace gatehouse::contract
