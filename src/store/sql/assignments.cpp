#include "store/sql/assignments.hpp"

namespace gatehouse::store::sql {
namespace {

std::string mark(std::size_t index) {
  return "?" + std::to_string(index + 1);
}

}  // namespace

std::string quoted(std::string_view identifier) {
  std::string text = "\"";
  for (const char c : identifier) text += c == '"' ? std::string("\"\"") : std::string(1, c);
  return text + '"';
}

void Assignments::add(std::string_view column, Value value) {
  columns_.push_back(quoted(column));
  values_.push_back(value);
}

void Assignments::add(const std::map<std::string, std::string>& attributes) {
  for (const auto& [column, value] : attributes) add(column, std::string_view(value));
}

std::string Assignments::copy(const std::map<std::string, std::string>& attributes) {
  std::string list;
  for (const auto& [column, value] : attributes) {
    columns_.push_back(quoted(column));
    list += ", " + columns_.back();
  }
  return list;
}

std::string Assignments::parameter(Value value) {
  values_.push_back(value);
  return mark(values_.size() - 1);
}

std::string Assignments::insert_into(std::string_view table) const {
  std::string names;
  for (std::size_t i = 0; i < columns_.size(); ++i) names += (i == 0 ? "" : ", ") + columns_[i];
  return "INSERT INTO " + quoted(table) + " (" + names + ") ";
}

std::string Assignments::parameters() const {
  std::string marks;
  for (std::size_t i = 0; i < columns_.size(); ++i) marks += (i == 0 ? "" : ", ") + mark(i);
  return marks;
}

std::string Assignments::update(std::string_view table) const {
  std::string list;
  for (std::size_t i = 0; i < columns_.size(); ++i) list += (i == 0 ? "" : ", ") + columns_[i] + " = " + mark(i);
  return "UPDATE " + quoted(table) + " SET " + list;
}

}  // namespace gatehouse::store::sql
