// The decorator that other tests trust to fail.
#include "contract/failing_store.hpp"

#include <gtest/gtest.h>

#include "store/memory/memory_store.hpp"

namespace gatehouse::contract {
namespace {

const auth::SessionId kId("none");

TEST(FailingStore, PassesCallsOnAndCountsThem) {
  store::MemoryStore inner;
  FailingStore store(inner);
  EXPECT_TRUE(store.find_session(kId));
  EXPECT_TRUE(store.delete_session(kId));
  EXPECT_EQ(store.calls(), 2U);
}

TEST(FailingStore, FailsTheNthCallOnly) {
  store::MemoryStore inner;
  FailingStore store(inner);
  store.fail_nth(2, auth::ErrorCode::store_unavailable);
  EXPECT_TRUE(store.find_session(kId));
  auth::NewUser user;
  user.user.id = "u";
  const auto second = store.create_user(user);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, auth::ErrorCode::store_unavailable);
  EXPECT_TRUE(store.find_session(kId));
  EXPECT_TRUE(inner.all_users()->empty());
}

TEST(FailingStore, FailsWritesAndAnswersReads) {
  store::MemoryStore inner;
  FailingStore store(inner);
  store.fail_writes(auth::ErrorCode::store_read_only);
  EXPECT_TRUE(store.find_session(kId));
  EXPECT_FALSE(store.delete_all_sessions());
  store.fail_all(auth::ErrorCode::store_unavailable);
  EXPECT_FALSE(store.find_session(kId));
  store.fail_nothing();
  EXPECT_TRUE(store.delete_all_sessions());
}

}  // namespace
}  // namespace gatehouse::contract
