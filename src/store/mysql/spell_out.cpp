#include "store/mysql/spell_out.hpp"

#include <utility>

#include "store/sql/assignments.hpp"

namespace gatehouse::store::mysql {

using sql::SqlResult;

namespace {

constexpr std::string_view kAll = "SELECT * FROM \"";

/// The name in double quotes that ends before `end`.
std::string quoted_before(std::string_view sql, std::size_t end) {
  const std::size_t begin = sql.rfind('"', end - 1);
  return begin == std::string_view::npos ? std::string() : std::string(sql.substr(begin + 1, end - begin - 1));
}

std::string table_of(std::string_view sql, char alias) {
  const std::size_t found = sql.find(std::string("\" ") + alias + ' ');
  return found == std::string_view::npos || found == 0 ? std::string() : quoted_before(sql, found);
}

std::string list(const std::vector<std::string>& columns, const std::string& prefix) {
  std::string text;
  for (const std::string& column : columns) {
    text.append(text.empty() ? "" : ", ").append(prefix).append(sql::quoted(column));
  }
  return text;
}

}  // namespace

bool asks_for_all_columns(std::string_view sql) {
  return sql.starts_with(kAll) || (sql.starts_with("SELECT ") && sql.contains(".*"));
}

SqlResult<std::string> spell_out(std::string_view sql, const ColumnsOf& columns_of) {
  if (sql.starts_with(kAll)) {
    const std::size_t end = sql.find('"', kAll.size());
    auto columns = columns_of(std::string(sql.substr(kAll.size(), end - kAll.size())));
    if (!columns) return std::unexpected(std::move(columns.error()));
    if (columns->empty()) return std::string(sql);
    return "SELECT " + list(*columns, "") + std::string(sql.substr(std::string_view("SELECT *").size()));
  }
  std::string text(sql);
  for (std::size_t star = text.find(".*"); star != std::string::npos && star > 0; star = text.find(".*", star + 1)) {
    const char alias = text[star - 1];
    auto columns = columns_of(table_of(sql, alias));
    if (!columns) return std::unexpected(std::move(columns.error()));
    if (columns->empty()) continue;
    const std::string spelled = list(*columns, std::string(1, alias) + ".");
    text.replace(star - 1, 3, spelled);
    star += spelled.size() - 3;
  }
  return text;
}

}  // namespace gatehouse::store::mysql
