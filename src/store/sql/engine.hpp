// An SQL engine as the stores use it: units of work, begun, kept, taken back and repeated by the engine, which knows
// its connections, its locks and its ways to fail. Implemented by sqlite/ and mysql/.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/error.hpp"
#include "auth/store.hpp"
#include "store/sql/database.hpp"
#include "store/sql/schema.hpp"

namespace gatehouse::store::sql {

/// What becomes of a transaction whose unit of work did not fail.
enum class End { commit, rollback };

/// May a unit be run again when nobody knows whether it was kept (the connection was lost while it was committed)?
enum class Repeat {
  safe,    ///< a second run finds the first one's work and answers alike
  unsafe,  ///< it would take its own rows for somebody else's: fails instead
};

using ReadUnit = std::function<auth::Result<void>(Database&)>;
using WriteUnit = std::function<auth::Result<End>(Database&)>;

/// Thread-safe. A unit may be called more than once (a lost connection, a deadlock); what it left behind in its
/// captures must then be as before the first call. Every wait ends within the engine's own deadline.
///
/// Fails, besides what the unit returns: store_unavailable; store_read_only (only `write`: locked against writing,
/// full, read-only); store_not_migrated (the tables are not as the schema wants them).
class Engine {
 public:
  virtual ~Engine() = default;

  /// Runs SELECTs; each is its own snapshot.
  [[nodiscard]] virtual auth::Result<void> read(const ReadUnit& unit) = 0;
  /// Runs a unit in a transaction of its own. A failure rolls it back, whatever it is.
  [[nodiscard]] virtual auth::Result<void> write(const WriteUnit& unit, Repeat repeat) = 0;

  /// How the tables stand; also where they are missing.
  [[nodiscard]] virtual auth::Result<auth::SchemaStatus> schema_status() = 0;
  /// Applies the steps that are missing, or fails with store_not_migrated if the tables are newer than this program, or
  /// are not ours to make.
  [[nodiscard]] virtual auth::Result<auth::SchemaStatus> migrate() = 0;

  /// Returns the columns of a table in order, spelt as they are; none if there is no such table.
  [[nodiscard]] virtual SqlResult<std::vector<std::string>> columns(Database& database,
                                                                    const std::string& table) const = 0;

  /// An SQL condition that a column holds these very bytes, whatever the column's collation makes equal to them. Uses
  /// the column's index.
  [[nodiscard]] virtual std::string exactly(std::string_view column, std::string_view parameter) const = 0;
};

}  // namespace gatehouse::store::sql
