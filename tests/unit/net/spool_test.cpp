// First in, first out, whatever the sizes, and bounded memory.
#include "net/spool.hpp"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <vector>

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
  const char* before = std::getenv("TMPDIR");
  const std::string saved = before == nullptr ? "" : before;
  ::setenv("TMPDIR", "/nonexistent", 1);
  Spool spool;
  ASSERT_TRUE(spool.put(std::string(Spool::kInMemory, 'x')));
  EXPECT_FALSE(spool.put("y"));
  EXPECT_EQ(take_all(spool, 4096).size(), Spool::kInMemory);
  if (before == nullptr) {
    ::unsetenv("TMPDIR");
  } else {
    ::setenv("TMPDIR", saved.c_str(), 1);
  }
}

}  // namespace
}  // namespace gatehouse::net
