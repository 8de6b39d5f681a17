// One connection to an SQLite file, with its prepared statements: the only place that calls sqlite3_*. Everything
// above it speaks of statements, values and rows. Nothing here knows what a session is.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace gatehouse::store::sqlite {

struct SqliteError {
  int code = 0;        ///< SQLite's extended result code
  std::string detail;  ///< SQLite's words; names of tables and columns, never values
};

template <typename T>
using SqliteResult = std::expected<T, SqliteError>;

/// What can be bound to a parameter. Texts and blobs are not copied: they live until the statement has run.
using Blob = std::span<const std::byte>;
using Value = std::variant<std::nullptr_t, std::int64_t, std::string_view, Blob>;
using Values = std::span<const Value>;

/// The current row of a running statement; columns count from 0. Any type can be read as text. NULL is "" or 0.
class Row {
 public:
  explicit Row(sqlite3_stmt* statement) : statement_(statement) {}
  [[nodiscard]] int column_count() const;
  [[nodiscard]] std::string_view name(int column) const;
  [[nodiscard]] bool is_null(int column) const;
  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::string text(int column) const;
  [[nodiscard]] std::vector<std::byte> blob(int column) const;

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
class Connection {
 public:
  /// Opens an existing file and reads its header, so that what is no database fails here. Never creates one.
  [[nodiscard]] static SqliteResult<std::unique_ptr<Connection>> open(const std::string& path, Access access,
                                                                      std::chrono::milliseconds busy_timeout);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Runs a statement to its end; returns the number of rows that an INSERT, UPDATE or DELETE changed by itself.
  SqliteResult<std::int64_t> run(std::string_view sql, Values values);
  SqliteResult<std::int64_t> run(std::string_view sql, std::initializer_list<Value> values = {});
  /// Runs a SELECT and shows every row.
  SqliteResult<void> query(std::string_view sql, Values values, const std::function<void(const Row&)>& show);

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
  SqliteResult<void> configure(Access access);
  SqliteResult<sqlite3_stmt*> prepared(std::string_view sql);
  SqliteResult<void> step_through(sqlite3_stmt* statement, const std::function<void(const Row&)>& show);
  [[nodiscard]] SqliteError last_error() const;

  std::unique_ptr<sqlite3, Close> database_;
  std::unordered_map<std::string, Statement, TextHash, std::equal_to<>> statements_;
  bool schema_is_verified_ = false;
  int wal_pages_ = 0;
};

/// Collects what `read` makes of each row.
template <typename Read>
auto select(Connection& database, std::string_view sql, Values values, Read read)
    -> SqliteResult<std::vector<decltype(read(std::declval<const Row&>()))>> {
  std::vector<decltype(read(std::declval<const Row&>()))> rows;
  auto done = database.query(sql, values, [&](const Row& row) { rows.push_back(read(row)); });
  if (!done) return std::unexpected(std::move(done.error()));
  return rows;
}

template <typename Read>
auto select(Connection& database, std::string_view sql, std::initializer_list<Value> values, Read read) {
  return select(database, sql, Values(values.begin(), values.size()), read);
}

/// The same for a statement with at most one row.
template <typename Read>
auto select_one(Connection& database, std::string_view sql, std::initializer_list<Value> values, Read read)
    -> SqliteResult<std::optional<decltype(read(std::declval<const Row&>()))>> {
  std::optional<decltype(read(std::declval<const Row&>()))> found;
  auto done = database.query(sql, Values(values.begin(), values.size()), [&](const Row& row) { found = read(row); });
  if (!done) return std::unexpected(std::move(done.error()));
  return found;
}

}  // namespace gatehouse::store::sqlite
