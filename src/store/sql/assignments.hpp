// Columns and what to write into them: for statements whose list of columns is only known when they run.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "store/sql/database.hpp"

namespace gatehouse::store::sql {

/// Confined to one thread. Texts are not copied: they must live until the statement has run.
class Assignments {
 public:
  void add(std::string_view column, Value value);
  void add(const std::map<std::string, std::string>& attributes);
  /// Adds columns that are copied from another row: returns ", "a", "b"" for the SELECT, after the values before them.
  /// Values of columns can no longer be added.
  [[nodiscard]] std::string copy(const std::map<std::string, std::string>& attributes);
  [[nodiscard]] bool is_empty() const { return columns_.empty(); }

  /// Adds a value that is only asked for in a condition; returns its parameter.
  [[nodiscard]] std::string parameter(Value value);
  [[nodiscard]] Values values() const { return values_; }

  /// "INSERT INTO table (columns) "; VALUES (…) or SELECT … follows.
  [[nodiscard]] std::string insert_into(std::string_view table) const;
  /// The columns' parameters: "?1, ?2".
  [[nodiscard]] std::string parameters() const;
  /// "UPDATE table SET column = ?1, …"; WHERE follows.
  [[nodiscard]] std::string update(std::string_view table) const;

 private:
  std::vector<std::string> columns_;  // in quotes
  std::vector<Value> values_;         // of the columns, then of conditions
};

/// In double quotes, doubled within.
[[nodiscard]] std::string quoted(std::string_view identifier);

}  // namespace gatehouse::store::sql
