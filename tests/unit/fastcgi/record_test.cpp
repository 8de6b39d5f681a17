// The record codec: every length and padding, bytes in pieces of any size, and what is malformed.
#include "fastcgi/record.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace gatehouse::fastcgi {
namespace {

using Step = RecordDecoder::Step;

// A peer may send any number.
RecordType type_of(int number) {
  return static_cast<RecordType>(number);  // NOLINT(clang-analyzer-optin.core.EnumCastOutOfRange)
}

struct Record {
  RecordHeader header;
  std::string content;

  bool operator==(const Record&) const = default;
};

struct Decoded {
  std::vector<Record> records;
  bool is_malformed = false;
  bool at_boundary = false;
};

// Feeds `bytes` in pieces whose sizes `next_size` gives.
template <typename NextSize>
Decoded decode(std::string_view bytes, NextSize next_size) {
  Decoded out;
  RecordDecoder decoder;
  while (!bytes.empty() && !out.is_malformed) {
    // A copy of its own, so that a sanitizer sees a view that outlives it.
    const std::string fed{bytes.substr(0, next_size())};
    bytes.remove_prefix(fed.size());
    std::string_view input = fed;
    RecordPiece piece;
    Step step = decoder.next(input, piece);
    for (; step == Step::piece; step = decoder.next(input, piece)) {
      if (piece.first) out.records.push_back({.header = piece.header, .content = {}});
      out.records.back().content += piece.content;
      EXPECT_EQ(piece.last, out.records.back().content.size() == piece.header.content_length);
    }
    out.is_malformed = step == Step::malformed;
    EXPECT_TRUE(out.is_malformed || input.empty());
  }
  out.at_boundary = decoder.at_boundary();
  return out;
}

Decoded decode_whole(std::string_view bytes) {
  return decode(bytes, [&bytes] { return bytes.size(); });
}

Decoded decode_bytewise(std::string_view bytes) {
  return decode(bytes, [] { return std::size_t{1}; });
}

std::string raw(RecordType type, std::uint16_t id, const std::string& content, std::uint8_t padding) {
  const auto header = encode_header({.type = type,
                                     .request_id = id,
                                     .content_length = static_cast<std::uint16_t>(content.size()),
                                     .padding_length = padding});
  return std::string(header.data(), header.size()) + content + std::string(padding, '\x7f');
}

TEST(RecordHeader, IsEightBytesInNetworkOrder) {
  const auto bytes = encode_header(
      {.type = RecordType::stdout_stream, .request_id = 0x1234, .content_length = 0xabcd, .padding_length = 5});
  const std::array<char, 8> expected{1, 6, 0x12, 0x34, static_cast<char>(0xab), static_cast<char>(0xcd), 5, 0};
  EXPECT_EQ(bytes, expected);
}

class RecordLengths : public testing::TestWithParam<std::size_t> {};

TEST_P(RecordLengths, SurviveWholeAndByteByByte) {
  const std::string content(GetParam(), 'x');
  std::string bytes;
  append_record(bytes, RecordType::stdin_stream, 7, content);
  EXPECT_EQ(bytes.size() % 8, 0U);
  for (const Decoded& decoded : {decode_whole(bytes), decode_bytewise(bytes)}) {
    ASSERT_EQ(decoded.records.size(), 1U);
    EXPECT_EQ(decoded.records[0].content, content);
    EXPECT_EQ(decoded.records[0].header.request_id, 7);
    EXPECT_EQ(decoded.records[0].header.type, RecordType::stdin_stream);
    EXPECT_TRUE(decoded.at_boundary);
  }
}

INSTANTIATE_TEST_SUITE_P(Edges, RecordLengths,
                         testing::Values(0, 1, 7, 8, 9, 127, 128, 255, 256, 32767, 32768, 65527, 65528, 65535));

TEST(RecordDecoder, EveryPaddingIsSkippedAndNeverShown) {
  std::string bytes;
  std::vector<Record> expected;
  for (int padding = 0; padding <= 255; ++padding) {
    const std::string content(static_cast<std::size_t>(padding % 3), 'c');
    bytes += raw(RecordType::params, 1, content, static_cast<std::uint8_t>(padding));
    expected.push_back({.header = {.type = RecordType::params,
                                   .request_id = 1,
                                   .content_length = static_cast<std::uint16_t>(content.size()),
                                   .padding_length = static_cast<std::uint8_t>(padding)},
                        .content = content});
  }
  EXPECT_EQ(decode_whole(bytes).records, expected);
  EXPECT_EQ(decode_bytewise(bytes).records, expected);
}

TEST(RecordDecoder, AnEmptyRecordIsGivenBeforeItsPadding) {
  const std::string bytes = raw(RecordType::stdin_stream, 1, "", 8);
  RecordDecoder decoder;
  std::string_view input = std::string_view{bytes}.substr(0, 8);
  RecordPiece piece;
  ASSERT_EQ(decoder.next(input, piece), Step::piece);
  EXPECT_TRUE(piece.first && piece.last && piece.content.empty());
  EXPECT_EQ(decoder.next(input, piece), Step::need_more);
  EXPECT_FALSE(decoder.at_boundary()) << "padding is still to come";
}

TEST(RecordDecoder, AnyCutGivesTheSameRecords) {
  std::string bytes;
  append_begin_request(bytes, 65535, {.role = 1, .flags = kKeepConnection});
  append_stream(bytes, RecordType::params, 65535, std::string(300, 'p'));
  bytes += raw(RecordType::params, 65535, "", 255);
  append_stream(bytes, RecordType::stdin_stream, 65535, std::string(70'000, 's'));
  append_stream_end(bytes, RecordType::stdin_stream, 65535);
  append_unknown_type(bytes, type_of(77));
  append_end_request(bytes, 65535, {.app_status = 0, .protocol_status = ProtocolStatus::overloaded});
  const std::vector<Record> expected = decode_whole(bytes).records;
  ASSERT_EQ(expected.size(), 8U);
  // NOLINTNEXTLINE(cert-msc32-c,cert-msc51-cpp): the same cuts in every run
  std::minstd_rand random(1);
  for (int run = 0; run < 200; ++run) {
    const std::size_t most = 1 + random() % 5000;
    EXPECT_EQ(decode(bytes, [&] { return 1 + random() % most; }).records, expected);
  }
}

TEST(RecordDecoder, AFixedBodyIsGivenWholeHoweverItArrives) {
  std::string bytes;
  append_begin_request(bytes, 3, {.role = 2, .flags = 1});
  const Decoded decoded = decode_bytewise(bytes);
  ASSERT_EQ(decoded.records.size(), 1U);
  EXPECT_EQ(decode_begin_request(decoded.records[0].content), (BeginRequest{.role = 2, .flags = 1}));
}

TEST(RecordDecoder, AnotherVersionIsMalformedForGood) {
  std::string bytes = raw(RecordType::stdin_stream, 1, "abc", 5);
  bytes[0] = 2;
  RecordDecoder decoder;
  RecordPiece piece;
  std::string_view input = bytes;
  EXPECT_EQ(decoder.next(input, piece), Step::malformed);
  const std::string good = raw(RecordType::stdin_stream, 1, "abc", 5);
  input = good;
  EXPECT_EQ(decoder.next(input, piece), Step::malformed);
  EXPECT_FALSE(decoder.at_boundary());
}

TEST(RecordDecoder, AFixedBodyOfAnotherLengthIsMalformed) {
  for (const RecordType type : {RecordType::begin_request, RecordType::end_request, RecordType::unknown_type}) {
    for (const std::size_t length : {0U, 1U, 7U, 9U, 16U, 65535U}) {
      EXPECT_TRUE(decode_whole(raw(type, 1, std::string(length, '\0'), 0)).is_malformed) << length;
      EXPECT_TRUE(decode_bytewise(raw(type, 1, std::string(length, '\0'), 0)).is_malformed) << length;
    }
  }
}

TEST(RecordDecoder, EveryTypeNumberIsKeptAsItCame) {
  for (int type = 0; type <= 255; ++type) {
    const std::string bytes = raw(type_of(type), 0, std::string(8, 'b'), 0);
    const Decoded decoded = decode_whole(bytes);
    ASSERT_EQ(decoded.records.size(), 1U);
    EXPECT_EQ(static_cast<int>(decoded.records[0].header.type), type);
  }
}

TEST(RecordDecoder, ATruncatedStreamIsNotAtABoundary) {
  const std::string bytes = raw(RecordType::stdin_stream, 1, "abc", 5);
  for (std::size_t size = 1; size < bytes.size(); ++size) {
    EXPECT_FALSE(decode_whole(std::string_view{bytes}.substr(0, size)).at_boundary) << size;
  }
  EXPECT_TRUE(decode_whole(bytes).at_boundary);
}

TEST(RecordDecoder, NoBytesAreNothing) {
  RecordDecoder decoder;
  RecordPiece piece;
  std::string_view input;
  EXPECT_EQ(decoder.next(input, piece), Step::need_more);
  EXPECT_TRUE(decoder.at_boundary());
}

TEST(RecordEncoder, AStreamIsCutIntoRecordsThatNeedNoPaddingButTheLast) {
  std::string bytes;
  append_stream(bytes, RecordType::stdout_stream, 1, std::string(200'001, 'o'));
  const std::vector<Record> records = decode_whole(bytes).records;
  ASSERT_EQ(records.size(), 4U);
  std::size_t sum = 0;
  for (const Record& record : records) sum += record.content.size();
  EXPECT_EQ(sum, 200'001U);
  EXPECT_EQ(records[0].header.padding_length, 0);
  EXPECT_EQ((kHeaderSize + records[3].content.size() + records[3].header.padding_length) % 8, 0U);
}

TEST(RecordEncoder, NoBytesMakeNoRecordBecauseAnEmptyOneEndsTheStream) {
  std::string bytes;
  append_stream(bytes, RecordType::stdout_stream, 1, "");
  EXPECT_TRUE(bytes.empty());
  append_stream_end(bytes, RecordType::stdout_stream, 1);
  EXPECT_EQ(bytes, std::string("\1\6\0\1\0\0\0\0", 8));
}

TEST(RecordEncoder, PaddingBringsEveryContentToEight) {
  for (std::size_t length = 0; length <= kMaxContent; ++length) {
    ASSERT_EQ((length + padding_for(length)) % 8, 0U);
    ASSERT_LT(padding_for(length), 8);
  }
}

TEST(RecordEncoder, EndRequestIsReadBack) {
  std::string bytes;
  append_end_request(bytes, 258, {.app_status = 0x89abcdef, .protocol_status = ProtocolStatus::unknown_role});
  const std::vector<Record> records = decode_whole(bytes).records;
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].header.request_id, 258);
  EXPECT_EQ(decode_end_request(records[0].content),
            (EndRequest{.app_status = 0x89abcdef, .protocol_status = ProtocolStatus::unknown_role}));
}

TEST(RecordEncoder, SmallRecordsHaveTheBytesOfTheSpecification) {
  std::string bytes;
  append_abort_request(bytes, 1);
  EXPECT_EQ(bytes, std::string("\1\2\0\1\0\0\0\0", 8));
  bytes.clear();
  append_unknown_type(bytes, type_of(77));
  EXPECT_EQ(bytes, std::string("\1\13\0\0\0\10\0\0\115\0\0\0\0\0\0\0", 16));
  bytes.clear();
  append_begin_request(bytes, 1, {.role = 1, .flags = 1});
  EXPECT_EQ(bytes, std::string("\1\1\0\1\0\10\0\0\0\1\1\0\0\0\0\0", 16));
}

}  // namespace
}  // namespace gatehouse::fastcgi
