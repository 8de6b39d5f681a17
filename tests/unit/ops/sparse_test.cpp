#include "ops/sparse.hpp"

#include <gtest/gtest.h>

namespace gatehouse::ops {
namespace {

using namespace std::chrono_literals;

constexpr Sparse::Time kStart{1h};

TEST(Sparse, SaysTheFirstAndHoldsBackTheOthersForAMinute) {
  Sparse sparse;
  EXPECT_EQ(sparse.take(kStart), 0U);
  EXPECT_EQ(sparse.take(kStart), std::nullopt);
  EXPECT_EQ(sparse.take(kStart + 59s), std::nullopt);
  EXPECT_EQ(sparse.take(kStart + 60s), 2U) << "and says how many it held back";
  EXPECT_EQ(sparse.take(kStart + 119s), std::nullopt);
  EXPECT_EQ(sparse.take(kStart + 10h), 1U);
}

TEST(Sparse, ACountIsOnlyNamedIfThereIsOne) {
  EXPECT_EQ(with_count("gone", 0), "gone");
  EXPECT_EQ(with_count("gone", 7), "gone (and 7 times more since it was last said)");
}

}  // namespace
}  // namespace gatehouse::ops
