// One line an event, whatever a visitor puts into it.
#include "ops/log.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace gatehouse::ops {
namespace {

constexpr std::string_view kTime = "2026-11-21T19:05:09.123Z";

TEST(Log, TextIsKeyAndValueAndLeavesEmptyFieldsOut) {
  EXPECT_EQ(render_line(LogFormat::text, kTime, LogLevel::info, "denied",
                        {{"status", "403"}, {"user", ""}, {"path", "/a b"}}),
            "2026-11-21T19:05:09.123Z info denied status=403 path=\"/a b\"");
}

TEST(Log, NoVisitorCanForgeALineOrAFieldOrSteerATerminal) {
  const std::string evil = "a\n2026 info signed_in user=admin\r\x1b[2J\"\\ \xe2\x80\xa8 \xff";
  const std::string line = render_line(LogFormat::text, kTime, LogLevel::info, "denied", {{"path", evil}});
  for (const char c : line) EXPECT_TRUE(c >= 0x20 && c <= 0x7e);
  EXPECT_NE(line.find("path=\"a\\x0a2026 info signed_in user=admin\\x0d\\x1b[2J\\\"\\\\ "), std::string::npos) << line;
}

TEST(Log, AnEqualsSignIsQuotedSoThatNoFieldCanBeAdded) {
  EXPECT_EQ(render_line(LogFormat::text, kTime, LogLevel::info, "x", {{"path", "a=b"}}),
            "2026-11-21T19:05:09.123Z info x path=\"a=b\"");
}

TEST(Log, JsonIsOneValidObjectForAnyBytes) {
  const std::string line =
      render_line(LogFormat::json, kTime, LogLevel::warn, "denied", {{"path", "a\n\xff\"b"}, {"user", ""}});
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const auto json = nlohmann::json::parse(line);
  EXPECT_EQ(json["event"], "denied");
  EXPECT_EQ(json["level"], "warn");
  EXPECT_EQ(json["time"], kTime);
  EXPECT_FALSE(json.contains("user"));
}

TEST(Log, WhatIsBelowTheLevelIsOff) {
  Log log(LogLevel::warn, LogFormat::text);
  EXPECT_FALSE(log.is_on(LogLevel::info));
  EXPECT_TRUE(log.is_on(LogLevel::warn));
  log.configure(LogLevel::debug, LogFormat::json);
  EXPECT_TRUE(log.is_on(LogLevel::debug));
}

}  // namespace
}  // namespace gatehouse::ops
