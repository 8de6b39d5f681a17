// The names end up inside statements, where nothing can be bound: so only plain identifiers pass.
#include "store/table_names.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "store/lower_case.hpp"

namespace gatehouse::store {
namespace {

constexpr std::size_t kLongestName = 63;

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_identifier(std::string_view name) {
  return !name.empty() && name.size() <= kLongestName && is_letter(name.front()) &&
         std::ranges::all_of(name, [](char c) { return is_letter(c) || is_digit(c); });
}

}  // namespace

std::optional<std::string> problem_in(const TableNames& tables) {
  std::array<std::string, 5> taken{"rotated_session", "gatehouse_schema"};
  std::size_t count = 2;
  for (const std::string& name : {tables.user, tables.key, tables.session}) {
    if (!is_identifier(name)) return "not a plain identifier of 1 to 63 letters, digits and _: \"" + name + "\"";
    const std::string lower = lower_case(name);
    if (lower.starts_with("sqlite_")) return "reserved by SQLite: " + name;
    if (lower.starts_with("gatehouse_new_")) return "reserved for migrations: " + name;
    if (std::ranges::find(taken, lower) != taken.end()) return "used twice: " + name;
    taken.at(count++) = lower;
  }
  return std::nullopt;
}

TableNames usable(const TableNames& tables) {
  return problem_in(tables) ? TableNames{} : tables;
}

}  // namespace gatehouse::store
