// Problems of SQL engines in our words. The same problem can mean two things: a lock that stops a read is an outage,
// one that stops a write leaves every session readable.
#pragma once

#include "auth/error.hpp"
#include "store/sql/database.hpp"

namespace gatehouse::store::sql {

enum class During { read, write };

/// Never a "no": store_unavailable, store_read_only (writes only), store_not_migrated or internal.
[[nodiscard]] auth::Error environment_error(SqlError error, During during);

/// For an INSERT or UPDATE: a broken constraint is `duplicate`, invalid_user_id (a missing reference) or
/// invalid_attribute (a value that cannot be stored); anything else as above.
[[nodiscard]] auth::Error write_error(SqlError error, auth::ErrorCode duplicate);

/// A refusal that a transaction survives in good order; everything else makes its connection suspect.
[[nodiscard]] bool is_refusal(const auth::Error& error);

}  // namespace gatehouse::store::sql
