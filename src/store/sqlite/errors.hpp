// SQLite's result codes in our words. The same code can mean two things: a lock that stops a read is an outage, one
// that stops a write leaves every session readable.
#pragma once

#include "auth/error.hpp"
#include "store/sqlite/connection.hpp"

namespace gatehouse::store::sqlite {

enum class During { read, write };

/// Never a "no": store_unavailable, store_read_only (writes only), store_not_migrated or internal.
[[nodiscard]] auth::Error environment_error(SqliteError error, During during);

/// For an INSERT or UPDATE: a broken constraint is `duplicate`, invalid_user_id (foreign key) or invalid_attribute
/// (type, NOT NULL, CHECK); anything else as above.
[[nodiscard]] auth::Error write_error(SqliteError error, auth::ErrorCode duplicate);

[[nodiscard]] bool is_duplicate(const SqliteError& error);
[[nodiscard]] bool is_missing_reference(const SqliteError& error);
/// Somebody else's lock, nothing wrong with the connection.
[[nodiscard]] bool is_busy(const SqliteError& error);
/// The file or its folder cannot be written, or has no room, where even reading needs that (the log's index).
[[nodiscard]] bool needs_writable_folder(const SqliteError& error);

}  // namespace gatehouse::store::sqlite
