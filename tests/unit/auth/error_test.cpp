// The names of errors: Lucia's own where it has one, for an application that tells them apart by name.
#include "auth/error.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <map>
#include <set>
#include <string_view>

namespace gatehouse::auth {
namespace {

TEST(ErrorCode, HasLuciasNameWhereLuciaHasTheErrorAndOneOfItsOwnElsewhere) {
  const std::map<ErrorCode, std::string_view> names{
      {ErrorCode::invalid_key_id, "AUTH_INVALID_KEY_ID"},
      {ErrorCode::invalid_user_id, "AUTH_INVALID_USER_ID"},
      {ErrorCode::invalid_session_id, "AUTH_INVALID_SESSION_ID"},
      {ErrorCode::invalid_password, "AUTH_INVALID_PASSWORD"},
      {ErrorCode::duplicate_key_id, "AUTH_DUPLICATE_KEY_ID"},
      {ErrorCode::duplicate_session_id, "AUTH_DUPLICATE_SESSION_ID"},
      {ErrorCode::expired_key, "AUTH_EXPIRED_KEY"},
      {ErrorCode::invalid_request, "AUTH_INVALID_REQUEST"},
      // Ours.
      {ErrorCode::duplicate_user, "AUTH_DUPLICATE_USER"},
      {ErrorCode::invalid_attribute, "AUTH_INVALID_ATTRIBUTE"},
      {ErrorCode::invalid_argument, "INVALID_ARGUMENT"},
      {ErrorCode::store_unavailable, "STORE_UNAVAILABLE"},
      {ErrorCode::store_read_only, "STORE_READ_ONLY"},
      {ErrorCode::store_not_migrated, "STORE_NOT_MIGRATED"},
      {ErrorCode::deadline_exceeded, "DEADLINE_EXCEEDED"},
      {ErrorCode::capacity, "CAPACITY"},
      {ErrorCode::internal, "INTERNAL"},
  };
  std::set<std::string_view> different;
  for (const auto& [code, expected] : names) {
    EXPECT_EQ(name(code), expected);
    different.insert(name(code));
  }
  EXPECT_EQ(different.size(), names.size());
  EXPECT_EQ(names.size(), static_cast<std::size_t>(ErrorCode::internal) + 1) << "the table is whole";
}

}  // namespace
}  // namespace gatehouse::auth
