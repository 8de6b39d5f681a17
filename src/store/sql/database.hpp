// What the stores see of an SQL engine: statements, values, rows. Each engine's folder implements it; nothing here
// knows what a session is, and nothing above it which engine it speaks to.
//
// One spelling of SQL serves all engines: parameters are ?1, ?2, … (each may stand several times), identifiers are in
// double quotes, numbers are literals.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace gatehouse::store::sql {

/// Why a statement did not run, as far as anybody above an engine can act on it.
enum class Problem {
  duplicate,          ///< a PRIMARY KEY or a UNIQUE holds that value already
  missing_reference,  ///< a FOREIGN KEY: the row that is referred to is not there
  still_referenced,   ///< a FOREIGN KEY: other rows refer to the one that was to go
  bad_value,          ///< type, length, NOT NULL, CHECK, or characters that the column cannot hold
  missing_table,      ///< or column
  locked,             ///< somebody else's lock, for longer than we wait
  read_only,          ///< may not be written, or is full
  unavailable,        ///< not reached, lost, broken
  internal,           ///< a bug of ours
};

struct SqlError {
  Problem problem = Problem::internal;
  std::string detail;  ///< the engine's words and number; may name tables and columns, never values
  int code = 0;        ///< the engine's own number, for its own folder
};

template <typename T>
using SqlResult = std::expected<T, SqlError>;

/// What can be bound to a parameter. Texts and blobs are not copied: they live until the statement has run.
using Blob = std::span<const std::byte>;
using Value = std::variant<std::nullptr_t, std::int64_t, std::string_view, Blob>;
using Values = std::span<const Value>;

/// The current row of a running statement; columns count from 0. Any type can be read as text. NULL is "" or 0.
/// Lives only while it is shown.
class Row {
 public:
  virtual ~Row() = default;
  [[nodiscard]] virtual int column_count() const = 0;
  [[nodiscard]] virtual std::string_view name(int column) const = 0;
  [[nodiscard]] virtual bool is_null(int column) const = 0;
  [[nodiscard]] virtual std::int64_t integer(int column) const = 0;
  [[nodiscard]] virtual std::string text(int column) const = 0;
  [[nodiscard]] virtual std::vector<std::byte> blob(int column) const = 0;
};

/// A connection while a unit of work has it. Confined to one thread.
class Database {
 public:
  virtual ~Database() = default;
  /// Runs a statement to its end; returns the number of rows that an INSERT or DELETE changed, or an UPDATE met.
  [[nodiscard]] virtual SqlResult<std::int64_t> run(std::string_view sql, Values values) = 0;
  [[nodiscard]] SqlResult<std::int64_t> run(std::string_view sql, std::initializer_list<Value> values = {}) {
    return run(sql, Values(values.begin(), values.size()));
  }
  /// Runs a SELECT and shows every row.
  [[nodiscard]] virtual SqlResult<void> query(std::string_view sql, Values values,
                                              const std::function<void(const Row&)>& show) = 0;
  /// True if another server may know rows that this one does not have yet: what is not found here may be there.
  [[nodiscard]] virtual bool may_lag() const { return false; }
};

/// Collects what `read` makes of each row.
template <typename Read>
auto select(Database& database, std::string_view sql, Values values, Read read)
    -> SqlResult<std::vector<decltype(read(std::declval<const Row&>()))>> {
  std::vector<decltype(read(std::declval<const Row&>()))> rows;
  auto done = database.query(sql, values, [&](const Row& row) { rows.push_back(read(row)); });
  if (!done) return std::unexpected(std::move(done.error()));
  return rows;
}

template <typename Read>
auto select(Database& database, std::string_view sql, std::initializer_list<Value> values, Read read) {
  return select(database, sql, Values(values.begin(), values.size()), read);
}

/// The same for a statement with at most one row.
template <typename Read>
auto select_one(Database& database, std::string_view sql, std::initializer_list<Value> values, Read read)
    -> SqlResult<std::optional<decltype(read(std::declval<const Row&>()))>> {
  std::optional<decltype(read(std::declval<const Row&>()))> found;
  auto done = database.query(sql, Values(values.begin(), values.size()), [&](const Row& row) { found = read(row); });
  if (!done) return std::unexpected(std::move(done.error()));
  return found;
}

}  // namespace gatehouse::store::sql
