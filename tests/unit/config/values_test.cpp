#include "config/values.hpp"

#include <gtest/gtest.h>

#include <chrono>

namespace gatehouse::config {
namespace {

using std::chrono::milliseconds;

TEST(Duration, TakesOneNumberAndItsUnit) {
  EXPECT_EQ(parse_duration("500ms"), milliseconds(500));
  EXPECT_EQ(parse_duration("30s"), milliseconds(30'000));
  EXPECT_EQ(parse_duration("15m"), milliseconds(900'000));
  EXPECT_EQ(parse_duration("24h"), milliseconds(86'400'000));
  EXPECT_EQ(parse_duration("14d"), milliseconds(1'209'600'000));
  EXPECT_EQ(parse_duration("0"), milliseconds(0));
  EXPECT_EQ(parse_duration("0s"), milliseconds(0));
  EXPECT_EQ(parse_duration("36500d"), std::chrono::days(36'500));
}

TEST(Duration, RefusesWhatCouldBeReadInTwoWays) {
  for (const char* text : {"", "30", "s", "-1s", "+1s", "1.5h", "1h30m", "30 s", " 30s", "30s ", "030s", "30S", "1w",
                           "1e3s", "36501d", "99999999999999999999s", "18446744073709551615d", "30sec"}) {
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
  }
}

TEST(Duration, IsWrittenInItsLargestWholeUnit) {
  EXPECT_EQ(format_duration(milliseconds(0)), "0");
  EXPECT_EQ(format_duration(milliseconds(1'500)), "1500ms");
  EXPECT_EQ(format_duration(milliseconds(90'000)), "90s");
  EXPECT_EQ(format_duration(std::chrono::hours(24)), "1d");
}

TEST(Size, TakesBinaryUnitsAndPlainBytes) {
  EXPECT_EQ(parse_size("0"), 0U);
  EXPECT_EQ(parse_size("4096"), 4096U);
  EXPECT_EQ(parse_size("64KiB"), 65'536U);
  EXPECT_EQ(parse_size("10MiB"), 10'485'760U);
  EXPECT_EQ(parse_size("2GiB"), 2'147'483'648U);
  EXPECT_EQ(format_size(65'536), "64KiB");
  EXPECT_EQ(format_size(65'537), "65537");
}

TEST(Size, RefusesDecimalUnitsSignsAndOverflow) {
  for (const char* text : {"", "KiB", "64KB", "64kib", "64K", "-1", "1.5MiB", "64 KiB", "18446744073709551616",
                           "18014398509481984KiB", "0x10"}) {
    EXPECT_EQ(parse_size(text), std::nullopt) << text;
  }
}

TEST(Number, IsDigitsWithoutLeadingZeros) {
  EXPECT_EQ(parse_number("0"), 0U);
  EXPECT_EQ(parse_number("18446744073709551615"), 18'446'744'073'709'551'615ULL);
  for (const char* text : {"", "00", "010", "-1", "+1", "1 ", "0x1", "1_000", "18446744073709551616"}) {
    EXPECT_EQ(parse_number(text), std::nullopt) << text;
  }
}

TEST(Quoting, KeepsAMessageInOneShortLine) {
  EXPECT_EQ(in_quotes("a b"), "\"a b\"");
  EXPECT_EQ(in_quotes(std::string("a\n\x1b\x7f", 4)), "\"a\\x0a\\x1b\\x7f\"");
  EXPECT_EQ(in_quotes(std::string(81, 'x')), "\"" + std::string(80, 'x') + "…\"");
}

TEST(Quoting, CutsNoCharacterInHalf) {
  EXPECT_EQ(in_quotes(std::string(79, 'x') + "ää"), "\"" + std::string(79, 'x') + "…\"");
  EXPECT_EQ(in_quotes(std::string(78, 'x') + "ää"), "\"" + std::string(78, 'x') + "ä…\"");
  EXPECT_EQ(in_quotes(std::string(76, 'x') + "😀"), "\"" + std::string(76, 'x') + "😀\"");
  EXPECT_EQ(in_quotes(std::string(77, 'x') + "😀"), "\"" + std::string(77, 'x') + "…\"");
}

}  // namespace
}  // namespace gatehouse::config
