#include "store/sql/sql_store.hpp"

#include <algorithm>
#include <array>
#include <iterator>

#include "store/lower_case.hpp"
#include "store/sql/assignments.hpp"
#include "store/sql/rows.hpp"

namespace gatehouse::store::sql {

using auth::ErrorCode;
using auth::fail;
using auth::Result;

std::unexpected<auth::Error> SqlStore::unusable() const {
  return fail(ErrorCode::internal, "names of tables: " + *problem_);
}

Result<auth::SchemaStatus> SqlStore::schema_status() {
  if (problem_) return unusable();
  return engine_->schema_status();
}

Result<auth::SchemaStatus> SqlStore::migrate() {
  if (problem_) return unusable();
  return engine_->migrate();
}

Result<std::vector<auth::SessionAndUser>> SqlStore::find_sessions_by(const std::string& statement,
                                                                     std::span<const auth::SessionId> ids,
                                                                     ReadBoth read_both) {
  std::vector<std::string_view> wanted;
  wanted.reserve(ids.size());
  for (const auth::SessionId& id : ids) wanted.emplace_back(id.text());
  std::ranges::sort(wanted);
  wanted.erase(std::ranges::unique(wanted).begin(), wanted.end());

  return read([&](Database& database) -> SqlResult<std::vector<auth::SessionAndUser>> {
    std::vector<auth::SessionAndUser> found;
    for (std::size_t start = 0; start < wanted.size(); start += kIdsAtOnce) {
      std::array<Value, kIdsAtOnce> values;  // the unused ones are NULL, which equals nothing
      std::ranges::copy(std::span(wanted).subspan(start, std::min(kIdsAtOnce, wanted.size() - start)), values.begin());
      auto some = select(database, statement, Values(values), read_both);
      if (!some) return some;
      std::ranges::move(*some, std::back_inserter(found));
    }
    std::erase_if(found, [&](const auth::SessionAndUser& one) {
      return !std::ranges::binary_search(wanted, std::string_view(one.session.id.text()));
    });
    return found;
  });
}

Result<std::size_t> SqlStore::run_alone(const std::string& statement, std::initializer_list<Value> values,
                                        Repeat repeat) {
  return write([&](Database& database) { return run(database, statement, values); }, repeat);
}

Result<bool> SqlStore::run_on_one(const std::string& statement, std::initializer_list<Value> values, Repeat repeat) {
  auto changed = run_alone(statement, values, repeat);
  if (!changed) return std::unexpected(std::move(changed.error()));
  return *changed > 0;
}

Result<void> SqlStore::update_session_columns(const std::string& table, std::span<const std::string_view> own,
                                              const auth::SessionId& id,
                                              const std::map<std::string, std::string>& attributes) {
  Assignments columns;
  columns.add(attributes);
  if (columns.is_empty()) columns.add("id", id.text());  // changes nothing, but finds out whether it is there
  const std::string statement =
      columns.update(table) + " WHERE " + engine_->exactly("id", columns.parameter(id.text()));
  return write([&](Database& database) -> Result<void> {
    if (auto known = require_attributes(database, table, own, attributes); !known) return known;
    auto updated = database.run(statement, columns.values());
    if (!updated) return std::unexpected(write_error(std::move(updated.error()), ErrorCode::internal));
    if (*updated == 0) return fail(ErrorCode::invalid_session_id);
    return {};
  });
}

Result<void> SqlStore::require_attributes(Database& database, const std::string& table,
                                          std::span<const std::string_view> own,
                                          const std::map<std::string, std::string>& attributes) const {
  if (attributes.empty()) return {};
  auto columns = engine_->columns(database, table);
  if (!columns) return std::unexpected(environment_error(std::move(columns.error()), During::write));
  for (const auto& [name, value] : attributes) {
    // An engine may know a column by more spellings than its own.
    const bool is_own = std::ranges::find(own, lower_case(name)) != own.end();
    if (is_own || std::ranges::find(*columns, name) == columns->end()) {
      return fail(ErrorCode::invalid_attribute,
                  std::string("no such column of ").append(table).append(": ").append(name));
    }
  }
  return {};
}

Result<std::size_t> run(Database& database, const std::string& statement, std::initializer_list<Value> values) {
  auto changed = database.run(statement, values);
  if (!changed) return std::unexpected(environment_error(std::move(changed.error()), During::write));
  return static_cast<std::size_t>(*changed);
}

}  // namespace gatehouse::store::sql
