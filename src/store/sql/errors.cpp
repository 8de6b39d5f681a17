#include "store/sql/errors.hpp"

#include <utility>

namespace gatehouse::store::sql {

using auth::ErrorCode;

namespace {

ErrorCode code_for(Problem problem, During during) {
  switch (problem) {
    case Problem::locked:
    case Problem::read_only: return during == During::write ? ErrorCode::store_read_only : ErrorCode::store_unavailable;
    case Problem::missing_table: return ErrorCode::store_not_migrated;
    case Problem::unavailable: return ErrorCode::store_unavailable;
    case Problem::duplicate:
    case Problem::missing_reference:
    case Problem::still_referenced:
    case Problem::bad_value:
    case Problem::internal: return ErrorCode::internal;
  }
  std::unreachable();
}

}  // namespace

auth::Error environment_error(SqlError error, During during) {
  return {code_for(error.problem, during), std::move(error.detail)};
}

auth::Error write_error(SqlError error, ErrorCode duplicate) {
  switch (error.problem) {
    case Problem::duplicate: return {duplicate, std::move(error.detail)};
    case Problem::missing_reference: return {ErrorCode::invalid_user_id, std::move(error.detail)};
    case Problem::bad_value: return {ErrorCode::invalid_attribute, std::move(error.detail)};
    default: return environment_error(std::move(error), During::write);
  }
}

bool is_refusal(const auth::Error& error) {
  switch (error.code) {
    case ErrorCode::invalid_key_id:
    case ErrorCode::invalid_user_id:
    case ErrorCode::invalid_session_id:
    case ErrorCode::invalid_password:
    case ErrorCode::duplicate_key_id:
    case ErrorCode::duplicate_session_id:
    case ErrorCode::duplicate_user:
    case ErrorCode::expired_key:
    case ErrorCode::invalid_attribute:
    case ErrorCode::invalid_argument:
    case ErrorCode::invalid_request: return true;
    case ErrorCode::store_unavailable:
    case ErrorCode::store_read_only:
    case ErrorCode::store_not_migrated:
    case ErrorCode::deadline_exceeded:
    case ErrorCode::capacity:
    case ErrorCode::internal: return false;
  }
  return false;
}

}  // namespace gatehouse::store::sql
