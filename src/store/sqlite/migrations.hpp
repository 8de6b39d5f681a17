// The native tables on SQLite, as numbered steps. A step that was released is never changed again: what comes later is
// another step.
#pragma once

#include "store/sql/schema.hpp"
#include "store/table_names.hpp"

namespace gatehouse::store::sqlite {

/// Requires names that problem_in() has nothing against.
[[nodiscard]] sql::Schema native_schema(const TableNames& tables);

}  // namespace gatehouse::store::sqlite
