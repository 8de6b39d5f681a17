#include "http/headers.hpp"

#include <gtest/gtest.h>

namespace gatehouse::http {
namespace {

TEST(Headers, NamesAreComparedWithoutRegardToCase) {
  const Headers headers{{"Content-Type", "text/html"}};
  EXPECT_EQ(headers.get("content-TYPE"), "text/html");
  EXPECT_TRUE(headers.has("CONTENT-type"));
  EXPECT_FALSE(headers.has("Content_Type"));
}

TEST(Headers, AnAbsentFieldIsNotAnEmptyOne) {
  const Headers headers{{"Empty", ""}};
  EXPECT_EQ(headers.get("Empty"), "");
  EXPECT_EQ(headers.get("Absent"), std::nullopt);
}

TEST(Headers, GetReturnsTheFirstOfSeveral) {
  Headers headers;
  headers.add("Set-Cookie", "a");
  headers.add("set-cookie", "b");
  EXPECT_EQ(headers.get("Set-Cookie"), "a");
  EXPECT_EQ(headers.fields().size(), 2U);
}

TEST(Headers, SetReplacesEveryFieldOfThatName) {
  Headers headers{{"A", "1"}, {"B", "2"}, {"a", "3"}};
  headers.set("a", "4");
  EXPECT_EQ(headers, (Headers{{"B", "2"}, {"a", "4"}}));
}

TEST(Headers, RemoveTakesEveryFieldOfThatNameAndNoOther) {
  Headers headers{{"A", "1"}, {"AB", "2"}, {"a", "3"}};
  headers.remove("A");
  EXPECT_EQ(headers, (Headers{{"AB", "2"}}));
  headers.remove("absent");
  EXPECT_EQ(headers.fields().size(), 1U);
  headers.remove_if([](const Header& field) { return field.value == "2"; });
  EXPECT_TRUE(headers.empty());
}

TEST(EqualsIgnoringCase, KnowsAsciiLettersOnly) {
  EXPECT_TRUE(equals_ignoring_case("", ""));
  EXPECT_TRUE(equals_ignoring_case("aZ-09", "Az-09"));
  EXPECT_FALSE(equals_ignoring_case("a", "ab"));
  EXPECT_FALSE(equals_ignoring_case("ab", "a"));
  EXPECT_FALSE(equals_ignoring_case("[", "{"));
  EXPECT_FALSE(equals_ignoring_case("@", "`"));
  EXPECT_FALSE(equals_ignoring_case("\xC4", "\xE4"));
}

TEST(ToLower, LeavesEverythingButAsciiCapitals) {
  EXPECT_EQ(to_lower("AZ az_[@\xC4"), "az az_[@\xC4");
}

}  // namespace
}  // namespace gatehouse::http
