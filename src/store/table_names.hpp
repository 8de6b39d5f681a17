// What the three tables that Lucia knows are called. An administrator may choose; the rest of our tables
// (rotated_session, gatehouse_schema) have fixed names.
#pragma once

#include <optional>
#include <string>

namespace gatehouse::store {

/// Whose tables they are.
enum class TableSchema {
  native,    ///< ours, made by migrate()
  lucia_v1,  ///< of lucia-auth 0.11 to 1.8: auth_user, auth_key, auth_session, whatever `tables` says
  lucia_v2,  ///< of lucia 2: named by `tables`
};

struct TableNames {
  std::string user = "user";
  std::string key = "user_key";
  std::string session = "user_session";
};

/// Returns what is wrong with the names, nullopt if they can be used: each [A-Za-z_][A-Za-z0-9_]{0,62}, all different
/// whatever their case, none of them a name of ours or of the engine's (sqlite_…).
[[nodiscard]] std::optional<std::string> problem_in(const TableNames& tables);
/// The names themselves, or, if there is a problem in them, the default ones: for statements that will never run.
[[nodiscard]] TableNames usable(const TableNames& tables);

}  // namespace gatehouse::store
