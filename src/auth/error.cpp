// The names under which errors are logged. One switch without default: a new code does not compile without a name.
#include "auth/error.hpp"

namespace gatehouse::auth {

std::string_view name(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_key_id: return "AUTH_INVALID_KEY_ID";
    case ErrorCode::invalid_user_id: return "AUTH_INVALID_USER_ID";
    case ErrorCode::invalid_session_id: return "AUTH_INVALID_SESSION_ID";
    case ErrorCode::invalid_password: return "AUTH_INVALID_PASSWORD";
    case ErrorCode::duplicate_key_id: return "AUTH_DUPLICATE_KEY_ID";
    case ErrorCode::duplicate_session_id: return "AUTH_DUPLICATE_SESSION_ID";
    case ErrorCode::expired_key: return "AUTH_EXPIRED_KEY";
    case ErrorCode::duplicate_user: return "AUTH_DUPLICATE_USER";
    case ErrorCode::invalid_attribute: return "AUTH_INVALID_ATTRIBUTE";
    case ErrorCode::invalid_request: return "AUTH_INVALID_REQUEST";
    case ErrorCode::invalid_argument: return "INVALID_ARGUMENT";
    case ErrorCode::store_unavailable: return "STORE_UNAVAILABLE";
    case ErrorCode::store_read_only: return "STORE_READ_ONLY";
    case ErrorCode::store_not_migrated: return "STORE_NOT_MIGRATED";
    case ErrorCode::deadline_exceeded: return "DEADLINE_EXCEEDED";
    case ErrorCode::capacity: return "CAPACITY";
    case ErrorCode::internal: return "INTERNAL";
  }
  return "INTERNAL";
}

}  // namespace gatehouse::auth
