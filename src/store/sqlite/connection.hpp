// One connection to an SQLite file, with its prepared statements: the only place that calls sqlite3_*. Everything
// above it speaks of statements, values and rows. Nothing here knows what a session is.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "store/sql/database.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace gatehouse::store::sqlite {

using sql::SqlError;
using sql::SqlResult;
using sql::Values;

/// SQLite's own row. Any type can be read as text.
class Row final : public sql::Row {
 public:
  explicit Row(sqlite3_stmt* statement) : statement_(statement) {}
  [[nodiscard]] int column_count() const override;
  [[nodiscard]] std::string_view name(int column) const override;
  [[nodiscard]] bool is_null(int column) const override;
  [[nodiscard]] std::int64_t integer(int column) const override;
  [[nodiscard]] std::string text(int column) const override;
  [[nodiscard]] std::vector<std::byte> blob(int column) const override;

 private:
  sqlite3_stmt* statement_;
};

/// What a connection is for.
enum class Access {
  read,       ///< one statement at a time, each its own snapshot
  write,      ///< as above, and BEGIN IMMEDIATE
  immutable,  ///< reads without locks a file that nobody can be writing: see Connections
};

/// Confined to one thread at a time.
class Connection final : public sql::Database {
 public:
  /// Opens an existing file and reads its header, so that what is no database fails here. Never creates one.
  [[nodiscard]] static SqlResult<std::unique_ptr<Connection>> open(const std::string& path, Access access,
                                                                   std::chrono::milliseconds busy_timeout);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  using sql::Database::run;
  [[nodiscard]] SqlResult<std::int64_t> run(std::string_view sql, Values values) override;
  [[nodiscard]] SqlResult<void> query(std::string_view sql, Values values,
                                      const std::function<void(const sql::Row&)>& show) override;

  /// False after a statement that failed otherwise than by the locks of others, until it is forgotten.
  [[nodiscard]] bool is_sound() const { return is_sound_; }
  void forget_trouble() { is_sound_ = true; }

  /// How long the calls from now on wait for the locks of others.
  void set_busy_timeout(std::chrono::milliseconds timeout);
  [[nodiscard]] bool in_transaction() const;

  /// True until something shows that the tables may have changed: a statement had to be prepared (again).
  [[nodiscard]] bool schema_is_verified() const { return schema_is_verified_; }
  void set_schema_verified() { schema_is_verified_ = true; }

  /// Pages in the write-ahead log after our last commit.
  [[nodiscard]] int wal_pages() const { return wal_pages_; }
  /// Copies the log into the file, having waited for every other writer: see checkpoint.hpp for who may.
  void checkpoint();
  /// Copies all of the log into the file and empties it, wherever the two have been moved to. False if somebody is
  /// reading or writing them, or the disk is full or fails: nothing is lost then, it can be tried again. True also if
  /// the file is beyond help, or not to be written: then the log still holds what it held.
  [[nodiscard]] bool fold_log();
  /// Lets the end of this connection, if it is the file's last, fold the log into the file.
  void allow_checkpoint_on_close();

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;
  struct TextHash : std::hash<std::string_view> {
    using is_transparent = void;
  };

  explicit Connection(sqlite3* database) : database_(database) {}
  SqlResult<void> configure(Access access);
  SqlResult<sqlite3_stmt*> prepared(std::string_view sql);
  SqlResult<void> step_through(sqlite3_stmt* statement, const std::function<void(const sql::Row&)>& show);
  [[nodiscard]] SqlError last_error();

  std::unique_ptr<sqlite3, Close> database_;
  std::unordered_map<std::string, Statement, TextHash, std::equal_to<>> statements_;
  bool is_sound_ = true;
  bool schema_is_verified_ = false;
  int wal_pages_ = 0;
};

}  // namespace gatehouse::store::sqlite
