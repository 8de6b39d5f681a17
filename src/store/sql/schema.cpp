#include "store/sql/schema.hpp"

#include <algorithm>

#include "store/lower_case.hpp"

namespace gatehouse::store::sql {

std::vector<TableShape> native_shapes(const TableNames& tables) {
  return {
      {tables.user, {"id", "username", "name", "email", "roles", "disabled", "created_at"}},
      {tables.key, {"id", "user_id", "hashed_password", "expires"}},
      {tables.session,
       {"id", "user_id", "active_expires", "idle_expires", "created_at", "family", "parent", "last_used_at", "address",
        "device"}},
      {"rotated_session", {"id", "family", "nonce", "idle_expires", "rotated_at", "successor_seen_at"}},
      {"gatehouse_schema", {"version", "applied_at"}},
  };
}

SqlResult<auth::SchemaStatus> schema_status(Database& database, const Schema& schema, const ReadColumns& columns) {
  auth::SchemaStatus status{.version = 0, .expected = schema.expected_version(), .problems = {}};
  bool is_any_missing = false;
  for (const TableShape& table : schema.tables) {
    auto there = columns(database, table.name);
    if (!there) return std::unexpected(std::move(there.error()));
    if (there->empty()) {
      is_any_missing = true;
      status.problems.push_back("table " + table.name + " is missing");
      continue;
    }
    for (const std::string& column : table.columns) {
      if (std::ranges::none_of(*there, [&](const std::string& name) { return lower_case(name) == column; })) {
        status.problems.push_back("table " + table.name + " has no column " + column);
      }
    }
  }
  if (schema.migrations.empty()) {
    status.version = status.problems.empty() ? status.expected : 0;
    return status;
  }
  if (is_any_missing) return status;
  auto version = select_one(database, "SELECT coalesce(max(version), 0) FROM gatehouse_schema", {},
                            [](const Row& row) { return row.integer(0); });
  if (!version) return std::unexpected(std::move(version.error()));
  status.version = static_cast<int>(version->value_or(0));
  // Columns that a later step brings are no news beside the version.
  if (status.version != status.expected) status.problems.clear();
  return status;
}

std::string describe(const auth::SchemaStatus& status) {
  std::string text;
  for (const std::string& problem : status.problems) text += (text.empty() ? "" : "; ") + problem;
  if (!text.empty()) return text;
  return "tables of version " + std::to_string(status.version) + ", expected " + std::to_string(status.expected);
}

auth::Result<void> require_migratable(const auth::SchemaStatus& status, const Schema& schema) {
  using auth::ErrorCode;
  if (schema.migrations.empty()) {
    return auth::fail(ErrorCode::store_not_migrated,
                      "these tables are Lucia's, which your application makes: " + describe(status));
  }
  if (status.version > status.expected) {
    return auth::fail(ErrorCode::store_not_migrated, "the tables are newer than this program");
  }
  return {};
}

}  // namespace gatehouse::store::sql
