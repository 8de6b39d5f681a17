// First in, first out, whatever the sizes, and bounded memory.
#include "net/spool.hpp"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <vector>

#include "contract/surroundings.hpp"

namespace gatehouse::net {
namespace {

std::string take_all(Spool& spool, std::size_t piece) {
  std::string out;
  std::vector<char> buffer(piece);
  while (const std::size_t count = spool.take(buffer)) out.append(buffer.data(), count);
  return out;
}

TEST(Spool, WhatGoesInComesOutInOrderAcrossTheFile) {
  Spool spool;
  std::string expected;
  for (int i = 0; i < 3000; ++i) {
    const std::string piece(1000, static_cast<char>('a' + i % 26));
    ASSERT_TRUE(spool.put(piece));
    expected += piece;
  }
  EXPECT_FALSE(spool.empty());
  EXPECT_EQ(take_all(spool, 4096), expected);
  EXPECT_TRUE(spool.empty());
}

TEST(Spool, PutAndTakeInAnyMixKeepTheOrder) {
  std::mt19937 random(7);
  Spool spool;
  std::string in;
  std::string out;
  std::vector<char> buffer(200'000);
  for (int i = 0; i < 400; ++i) {
    const std::string piece(random() % 60'000, static_cast<char>('a' + i % 26));
    ASSERT_TRUE(spool.put(piece));
    in += piece;
    if (random() % 3 == 0) {
      const std::size_t count = spool.take({buffer.data(), 1 + random() % (buffer.size() - 1)});
      out.append(buffer.data(), count);
    }
  }
  out += take_all(spool, 65'536);
  EXPECT_EQ(out.size(), in.size());
  EXPECT_TRUE(out == in);
}

TEST(Spool, AnEmptyOneGivesNothing) {
  Spool spool;
  std::array<char, 8> buffer{};
  EXPECT_TRUE(spool.empty());
  EXPECT_EQ(spool.take(buffer), 0U);
  ASSERT_TRUE(spool.put(""));
  EXPECT_TRUE(spool.empty());
}

TEST(Spool, WithoutAPlaceForTheFileItSaysSoAndKeepsWhatItHas) {
  const contract::TemporaryVariable nowhere("TMPDIR", "/nonexistent");
  Spool spool;
  ASSERT_TRUE(spool.put(std::string(Spool::kInMemory, 'x')));
  EXPECT_FALSE(spool.put("y"));
  EXPECT_EQ(take_all(spool, 4096), std::string(Spool::kInMemory, 'x'));
}

TEST(Spool, WithoutAPlaceForTheFileThereIsRoomAgainInMemory) {
  const contract::TemporaryVariable nowhere("TMPDIR", "/nonexistent");
  Spool spool(10);
  ASSERT_TRUE(spool.put("0123456789"));
  EXPECT_FALSE(spool.put("a"));
  std::array<char, 4> buffer{};
  EXPECT_EQ(spool.take(buffer), 4U);
  EXPECT_TRUE(spool.put("abcd"));
  EXPECT_FALSE(spool.put("e"));
  EXPECT_EQ(take_all(spool, 3), "456789abcd");
}

TEST(Spool, MemoryIsUsedUpToItsLimit) {
  const contract::TemporaryVariable nowhere("TMPDIR", "/nonexistent");
  for (const std::size_t room : {0U, 1U, 100U}) {
    Spool spool(room);
    EXPECT_TRUE(spool.put(std::string(room, 'x'))) << room;
    EXPECT_FALSE(spool.put("y")) << room;
  }
}

TEST(Spool, MemoryIsUsedAgainOnceTheFileIsEmpty) {
  const std::size_t before = contract::open_descriptors();
  Spool spool(4);
  ASSERT_TRUE(spool.put("abcd"));
  ASSERT_TRUE(spool.put("efgh"));
  EXPECT_EQ(contract::open_descriptors(), before + 1);
  EXPECT_EQ(take_all(spool, 3), "abcdefgh");
  const contract::NoDescriptors none;
  ASSERT_TRUE(spool.put("ijkl"));
  EXPECT_EQ(take_all(spool, 3), "ijkl");
}

// A file that may not grow is a full disk.
TEST(Spool, PutThatFailsHalfwayLeavesNothing) {
  Spool spool(2);
  ASSERT_TRUE(spool.put("ab"));
  ASSERT_TRUE(spool.put("cdef"));
  {
    const contract::ShortFiles few(100);
    EXPECT_FALSE(spool.put(std::string(1000, 'x')));
    EXPECT_TRUE(spool.put("gh"));
  }
  EXPECT_TRUE(spool.put("ij"));
  EXPECT_EQ(take_all(spool, 3), "abcdefghij");
  EXPECT_FALSE(spool.is_broken());
}

TEST(Spool, ShortageOfDescriptorsLeavesNothing) {
  Spool spool(2);
  {
    const contract::NoDescriptors none;
    EXPECT_FALSE(spool.put("abc"));
    EXPECT_TRUE(spool.empty());
  }
  EXPECT_TRUE(spool.put("def"));
  EXPECT_EQ(take_all(spool, 3), "def");
}

}  // namespace
}  // namespace gatehouse::net
