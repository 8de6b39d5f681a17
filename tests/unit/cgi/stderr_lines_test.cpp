// A script's stderr may hold what a visitor sent: none of it may pass for a line of the log's own.
#include "cgi/stderr_lines.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace gatehouse::cgi {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;

struct Collected {
  std::vector<std::string> all;
  StderrLines lines{[this](std::string_view line) { all.emplace_back(line); }};
};

TEST(EscapeForLog, TextStays) {
  EXPECT_EQ(escape_for_log("plain \\ \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"),
            "plain \\ \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80");
}

TEST(EscapeForLog, ControlsAreSpeltOut) {
  EXPECT_EQ(escape_for_log("a\0\t\r\n\x1b[31m\x7f"s), "a\\x00\\x09\\x0d\\x0a\\x1b[31m\\x7f");
  EXPECT_EQ(escape_for_log("\xc2\x9b"), "\\xc2\\x9b");
  EXPECT_EQ(escape_for_log("\xe2\x80\xa8"), "\\xe2\\x80\\xa8");
}

TEST(EscapeForLog, WhatIsNoUtf8IsSpeltOut) {
  EXPECT_EQ(escape_for_log("\xff"), "\\xff");
  EXPECT_EQ(escape_for_log("\x80"), "\\x80");
  EXPECT_EQ(escape_for_log("\xc3"), "\\xc3");
  EXPECT_EQ(escape_for_log("\xc3x"), "\\xc3x");
  EXPECT_EQ(escape_for_log("\xc0\xaf"), "\\xc0\\xaf");
  EXPECT_EQ(escape_for_log("\xe0\x80\xaf"), "\\xe0\\x80\\xaf");
  EXPECT_EQ(escape_for_log("\xed\xa0\x80"), "\\xed\\xa0\\x80");
  EXPECT_EQ(escape_for_log("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
}

TEST(StderrLines, CutsAtLineEnds) {
  Collected collected;
  collected.lines.add("one\ntw");
  collected.lines.add("o\r\n\nthree");
  EXPECT_THAT(collected.all, ElementsAre("one", "two"));
  collected.lines.finish();
  EXPECT_THAT(collected.all, ElementsAre("one", "two", "three"));
}

TEST(StderrLines, LongLinesBecomeSeveral) {
  Collected collected;
  collected.lines.add(std::string(StderrLines::kMaxLine + 1, 'x') + "\n");
  EXPECT_THAT(collected.all, ElementsAre(std::string(StderrLines::kMaxLine, 'x'), "x"));
}

TEST(StderrLines, CutsBetweenCharacters) {
  Collected collected;
  collected.lines.add(std::string(StderrLines::kMaxLine - 1, 'x') + "\xc3\xa4\n");
  EXPECT_THAT(collected.all, ElementsAre(std::string(StderrLines::kMaxLine - 1, 'x'), "\xc3\xa4"));
  collected.all.clear();
  collected.lines.add(std::string(StderrLines::kMaxLine - 3, 'x') + "\x1b\n");
  EXPECT_THAT(collected.all, ElementsAre(std::string(StderrLines::kMaxLine - 3, 'x'), "\\x1b"));
}

TEST(StderrLines, FloodEndsWithOneLine) {
  Collected collected;
  EXPECT_TRUE(collected.lines.add(std::string(StderrLines::kMaxBytes, 'x')));
  EXPECT_TRUE(collected.lines.add("last straw\n"));
  EXPECT_FALSE(collected.lines.add("more\n"));
  collected.lines.finish();
  EXPECT_EQ(collected.all.size(), StderrLines::kMaxBytes / StderrLines::kMaxLine + 1);
  EXPECT_EQ(collected.all.back(), "further output dropped");
}

TEST(StderrLines, JustEnoughIsNoFlood) {
  Collected collected;
  collected.lines.add(std::string(StderrLines::kMaxBytes - 1, 'x') + "\n");
  collected.lines.finish();
  EXPECT_EQ(collected.all.size(), StderrLines::kMaxBytes / StderrLines::kMaxLine);
}

// 64 KiB of empty complaints were 32,768 lines in the log, and half a second of everybody's time.
TEST(StderrLines, AFloodOfShortLinesEndsToo) {
  Collected collected;
  std::string most;
  for (std::size_t i = 0; i < StderrLines::kMaxLines; ++i) most += "x\n";
  EXPECT_TRUE(collected.lines.add(most));
  EXPECT_EQ(collected.all.size(), StderrLines::kMaxLines);
  EXPECT_TRUE(collected.lines.add("y\nz\n"));
  EXPECT_FALSE(collected.lines.add("more\n"));
  collected.lines.finish();
  EXPECT_EQ(collected.all.size(), StderrLines::kMaxLines + 1);
  EXPECT_EQ(collected.all.back(), "further output dropped");
}

TEST(StderrLines, NobodyNeedsToListen) {
  StderrLines lines({});
  EXPECT_TRUE(lines.add("x\n"));
}

}  // namespace
}  // namespace gatehouse::cgi
