// Name-value pairs: both length forms, pairs split anywhere, lengths that lie, and whole pairs per record.
#include "fastcgi/name_value.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "fastcgi/record.hpp"

namespace gatehouse::fastcgi {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;
using Step = PairDecoder::Step;

struct Decoded {
  Pairs pairs;
  bool is_too_large = false;
  bool at_boundary = false;
};

template <typename NextSize>
Decoded decode(std::string_view bytes, const PairLimits& limits, NextSize next_size) {
  Decoded out;
  PairDecoder decoder(limits);
  while (!bytes.empty() && !out.is_too_large) {
    const std::string fed{bytes.substr(0, next_size())};
    bytes.remove_prefix(fed.size());
    std::string_view input = fed;
    NameValue pair;
    Step step = decoder.next(input, pair);
    for (; step == Step::pair; step = decoder.next(input, pair)) out.pairs.emplace_back(pair.name, pair.value);
    out.is_too_large = step == Step::too_large;
  }
  out.at_boundary = decoder.at_boundary();
  return out;
}

Decoded decode_whole(std::string_view bytes, const PairLimits& limits = {}) {
  return decode(bytes, limits, [&bytes] { return bytes.size(); });
}

Decoded decode_bytewise(std::string_view bytes, const PairLimits& limits = {}) {
  return decode(bytes, limits, [] { return std::size_t{1}; });
}

std::string encode(const Pairs& pairs) {
  std::string out;
  for (const auto& [name, value] : pairs) append_name_value(out, name, value);
  return out;
}

class PairSizes : public testing::TestWithParam<std::tuple<std::size_t, std::size_t>> {};

TEST_P(PairSizes, SurviveWholeAndByteByByte) {
  const auto [name, value] = GetParam();
  const Pairs pairs{{std::string(name, 'n'), std::string(value, 'v')}, {"AFTER", "it"}};
  const PairLimits wide{.pair_bytes = 200'000, .total_bytes = 400'000, .count = 10};
  const std::string bytes = encode(pairs);
  for (const Decoded& decoded : {decode_whole(bytes, wide), decode_bytewise(bytes, wide)}) {
    EXPECT_EQ(decoded.pairs, pairs);
    EXPECT_TRUE(decoded.at_boundary);
  }
}

INSTANTIATE_TEST_SUITE_P(Edges, PairSizes,
                         testing::Combine(testing::Values(0, 1, 127, 128, 65535),
                                          testing::Values(0, 1, 127, 128, 65535)));

TEST(PairEncoder, LengthsChangeTheirFormAt128) {
  EXPECT_EQ(encode({{std::string(127, 'n'), ""}}).substr(0, 2), std::string("\x7f\0", 2));
  EXPECT_EQ(encode({{std::string(128, 'n'), ""}}).substr(0, 5), std::string("\x80\0\0\x80\0", 5));
}

TEST(PairDecoder, AShortLengthMayBeWrittenLong) {
  const std::string bytes("\x80\0\0\1\x80\0\0\2abc", 11);
  const Pairs expected{{"a", "bc"}};
  EXPECT_EQ(decode_whole(bytes).pairs, expected);
  EXPECT_EQ(decode_bytewise(bytes).pairs, expected);
}

TEST(PairDecoder, BytesAreTakenAsTheyAre) {
  const Pairs pairs{{std::string("N\0=", 3), std::string("\r\n\0\xff", 4)}, {"", ""}, {"", "v"}};
  EXPECT_EQ(decode_whole(encode(pairs)).pairs, pairs);
  EXPECT_EQ(decode_bytewise(encode(pairs)).pairs, pairs);
}

TEST(PairDecoder, APairMayBeSplitAnywhere) {
  const Pairs pairs{{"A", std::string(200, 'a')}, {"", ""}, {std::string(130, 'B'), "b"}, {"C", ""}};
  const std::string bytes = encode(pairs);
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    std::size_t part = 0;
    EXPECT_EQ(decode(bytes, {}, [&] { return part++ == 0 && cut > 0 ? cut : bytes.size(); }).pairs, pairs) << cut;
  }
  // NOLINTNEXTLINE(cert-msc32-c,cert-msc51-cpp): the same cuts in every run
  std::minstd_rand random(2);
  for (int run = 0; run < 300; ++run) {
    EXPECT_EQ(decode(bytes, {}, [&] { return 1 + random() % 60; }).pairs, pairs);
  }
}

TEST(PairDecoder, AStreamThatEndsWithinAPairIsNotAtABoundary) {
  const std::string bytes = encode({{"NAME", "value"}, {std::string(128, 'x'), ""}});
  for (std::size_t size = 1; size < bytes.size(); ++size) {
    const bool is_between = size == 11;  // two lengths, NAME, value
    EXPECT_EQ(decode_whole(std::string_view{bytes}.substr(0, size)).at_boundary, is_between) << size;
    EXPECT_EQ(decode_bytewise(std::string_view{bytes}.substr(0, size)).at_boundary, is_between) << size;
  }
}

TEST(PairDecoder, CraftedLengthsAreRefusedBeforeTheirBytesCome) {
  const std::vector<std::string> crafted{
      std::string("\xff\xff\xff\xff\0", 5),                // a name of 0x7fffffff
      std::string("\0\xff\xff\xff\xff", 5),                // a value of it
      std::string("\xff\xff\xff\xff\xff\xff\xff\xff", 8),  // both: the sum wraps in 32 bits
      std::string("\xff\xff\xff\xfe\1", 5),                // libfcgi's assert
      std::string("\xff\xff\xff\xff\x80\0\0\1", 8),        // the sum is 0x80000000
      std::string("\x80\1\0\1\0", 5),                      // 65537, one too many
  };
  for (const std::string& bytes : crafted) {
    EXPECT_TRUE(decode_whole(bytes).is_too_large);
    EXPECT_TRUE(decode_bytewise(bytes).is_too_large);
  }
}

TEST(PairDecoder, ThePairLimitIsExact) {
  const PairLimits limits{.pair_bytes = 300, .total_bytes = 1000, .count = 10};
  EXPECT_FALSE(decode_whole(encode({{std::string(100, 'n'), std::string(200, 'v')}}), limits).is_too_large);
  EXPECT_TRUE(decode_whole(encode({{std::string(101, 'n'), std::string(200, 'v')}}), limits).is_too_large);
  EXPECT_TRUE(decode_bytewise(encode({{std::string(100, 'n'), std::string(201, 'v')}}), limits).is_too_large);
}

TEST(PairDecoder, TheSumOfAllPairsIsLimited) {
  const PairLimits limits{.pair_bytes = 300, .total_bytes = 600, .count = 10};
  const Pairs exact{{std::string(300, 'a'), ""}, {"", std::string(300, 'b')}};
  Pairs over = exact;
  over.emplace_back("c", "");
  EXPECT_FALSE(decode_whole(encode(exact), limits).is_too_large);
  EXPECT_TRUE(decode_whole(encode(over), limits).is_too_large);
  EXPECT_TRUE(decode_bytewise(encode(over), limits).is_too_large);
}

TEST(PairDecoder, EmptyPairsCountToo) {
  const PairLimits limits{.pair_bytes = 300, .total_bytes = 600, .count = 3};
  EXPECT_FALSE(decode_whole(std::string(6, '\0'), limits).is_too_large);
  EXPECT_TRUE(decode_whole(std::string(8, '\0'), limits).is_too_large);
  EXPECT_TRUE(decode_bytewise(std::string(8, '\0'), limits).is_too_large);
}

TEST(PairDecoder, TooLargeStaysTooLarge) {
  PairDecoder decoder({.pair_bytes = 1, .total_bytes = 1, .count = 1});
  NameValue pair;
  const std::string large = encode({{"NN", ""}});
  std::string_view input = large;
  EXPECT_EQ(decoder.next(input, pair), Step::too_large);
  const std::string small = encode({{"N", ""}});
  input = small;
  EXPECT_EQ(decoder.next(input, pair), Step::too_large);
}

// --- PARAMS records ---

struct Content {
  std::vector<std::string> records;
};

Content params_records(std::string_view bytes) {
  Content out;
  RecordDecoder decoder;
  RecordPiece piece;
  while (decoder.next(bytes, piece) == RecordDecoder::Step::piece) {
    EXPECT_EQ(piece.header.type, RecordType::params);
    EXPECT_EQ(piece.header.request_id, 9);
    EXPECT_TRUE(piece.first && piece.last);
    out.records.emplace_back(piece.content);
  }
  EXPECT_TRUE(decoder.at_boundary());
  return out;
}

TEST(ParamsEncoder, NoPairCrossesARecord) {
  Pairs params;
  for (std::size_t i = 0; i < 300; ++i) params.emplace_back("NAME_" + std::to_string(i), std::string(i * 7, 'v'));
  std::string bytes;
  ASSERT_TRUE(append_params(bytes, 9, params));
  const Content content = params_records(bytes);
  EXPECT_GT(content.records.size(), 4U);
  Pairs read;
  for (const std::string& record : content.records) {
    const Decoded decoded = decode_whole(record);
    EXPECT_TRUE(decoded.at_boundary);
    read.insert(read.end(), decoded.pairs.begin(), decoded.pairs.end());
  }
  EXPECT_EQ(read, params);
}

TEST(ParamsEncoder, TheLargestPairFillsOneRecord) {
  // One byte for the length of the name, four for that of the value, one of name.
  const Pairs largest{{"N", std::string(65535 - 6, 'v')}};
  std::string bytes;
  ASSERT_TRUE(append_params(bytes, 9, largest));
  const Content content = params_records(bytes);
  ASSERT_EQ(content.records.size(), 1U);
  EXPECT_EQ(content.records[0].size(), 65535U);
}

TEST(ParamsEncoder, ALargerPairIsRefusedAndNothingIsWritten) {
  const Pairs pairs{{"FIRST", "fits"}, {"N", std::string(65535 - 5, 'v')}};
  std::string bytes = "before";
  EXPECT_FALSE(append_params(bytes, 9, pairs));
  EXPECT_EQ(bytes, "before");
}

TEST(ParamsEncoder, NoParamsMakeNoRecordBecauseAnEmptyOneEndsThem) {
  std::string bytes;
  EXPECT_TRUE(append_params(bytes, 9, Pairs{}));
  EXPECT_TRUE(bytes.empty());
}

}  // namespace
}  // namespace gatehouse::fastcgi
