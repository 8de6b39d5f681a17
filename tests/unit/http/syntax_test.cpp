#include "http/syntax.hpp"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

namespace gatehouse::http {
namespace {

TEST(Syntax, ATokenIsMadeOfTokenBytesOnly) {
  const std::string_view marks = "!#$%&'*+-.^_`|~";
  for (int value = 0; value < 256; ++value) {
    const char byte = static_cast<char>(value);
    const bool is_allowed = is_alphanumeric(byte) || marks.contains(byte);
    EXPECT_EQ(is_token(std::string(1, byte)), is_allowed) << value;
    EXPECT_EQ(is_token(std::string("GET") + byte), is_allowed) << value;
  }
  EXPECT_FALSE(is_token(""));
}

TEST(Syntax, AValueMayHoldNoControlByteButTab) {
  for (int value = 0; value < 256; ++value) {
    const bool is_refused = (value < 0x20 && value != '\t') || value == 0x7f;
    EXPECT_EQ(has_control_byte(std::string("a") + static_cast<char>(value) + "b"), is_refused) << value;
  }
  EXPECT_FALSE(has_control_byte(""));
}

TEST(Syntax, TrimTakesSpacesAndTabsOffBothEnds) {
  for (const std::string_view text : {"", " ", "\t", " \t \t"}) EXPECT_EQ(trim(text), "");
  for (const std::string_view text : {"a b", " a b", "a b\t", "\t a b \t"}) EXPECT_EQ(trim(text), "a b");
  EXPECT_EQ(trim("\na\r"), "\na\r");
}

std::string list_of(std::initializer_list<std::string_view> parts) {
  std::string list;
  for (const auto part : parts) append_part(list, ", ", part);
  return list;
}

TEST(Syntax, EmptyPartsAddNothingToAList) {
  EXPECT_EQ(list_of({}), "");
  EXPECT_EQ(list_of({"", "a", "", "b", ""}), "a, b");
  EXPECT_EQ(list_of({"a"}), "a");
}

}  // namespace
}  // namespace gatehouse::http
