// The ways a use case of auth/ can fail that are not a plain "no". One closed enum: the first block is
// Lucia's own names, the rest is the environment. A refusal that a visitor may see is a value, not an error.
#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace gatehouse::auth {

enum class ErrorCode {
  invalid_key_id,        ///< AUTH_INVALID_KEY_ID
  invalid_user_id,       ///< AUTH_INVALID_USER_ID
  invalid_session_id,    ///< AUTH_INVALID_SESSION_ID
  invalid_password,      ///< AUTH_INVALID_PASSWORD
  duplicate_key_id,      ///< AUTH_DUPLICATE_KEY_ID
  duplicate_session_id,  ///< AUTH_DUPLICATE_SESSION_ID
  expired_key,           ///< AUTH_EXPIRED_KEY
  duplicate_user,        ///< another unique column of the user table (id, username)
  invalid_attribute,     ///< no such column, or a value that cannot be stored
  invalid_request,       ///< AUTH_INVALID_REQUEST: foreign origin
  invalid_argument,      ///< the caller's mistake (Lucia throws a TypeError): ':' in a provider id, an empty password
  store_unavailable,     ///< cannot be reached, is locked, is broken, or answered with an error
  store_read_only,       ///< can be read, not written: read-only, full
  store_not_migrated,    ///< tables missing or of another version
  deadline_exceeded,
  capacity,  ///< a bounded queue of ours is full
  internal,  ///< a bug or a broken library, never the visitor's doing
};

/// Returns the Lucia name of a code where it has one ("AUTH_INVALID_KEY_ID"), else a name in the same style.
[[nodiscard]] std::string_view name(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string detail;  ///< for the log only: may hold a driver's words, never shown to a visitor
};

template <typename T>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(ErrorCode code, std::string detail = {}) {
  return std::unexpected(Error{code, std::move(detail)});
}

}  // namespace gatehouse::auth
