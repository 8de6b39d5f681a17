// What the tests of this room share: a text in, messages out.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include "config/load.hpp"

namespace gatehouse::config::testing {

/// Every problem of a text as "LINE:COL: key: text", in their order; none if it loads.
inline std::vector<std::string> problems(const std::string& text) {
  const auto loaded = load_text(text, "f");
  std::vector<std::string> messages;
  if (loaded) return messages;
  std::ranges::transform(loaded.error(), std::back_inserter(messages),
                         [](const Problem& problem) { return problem.message().substr(2); });
  return messages;
}

/// The configuration of a text that must load; a failure and defaults if it does not.
inline Loaded loaded(const std::string& text) {
  auto result = load_text(text, "/etc/gatehouse/gatehouse.yaml");
  EXPECT_TRUE(result.has_value()) << ::testing::PrintToString(problems(text)) << "\nin\n" << text;
  return result ? *result : Loaded{};
}
inline Config config(const std::string& text) {
  return loaded(text).config;
}

/// Expects exactly one problem, which begins with `start` ("1:9: threads: ") and says what is allowed.
inline void expect_problem(const std::string& text, const std::string& start) {
  const auto messages = problems(text);
  ASSERT_EQ(messages.size(), 1U) << ::testing::PrintToString(messages) << "\nin\n" << text;
  EXPECT_THAT(messages.front(), ::testing::StartsWith(start)) << "in\n" << text;
  EXPECT_THAT(messages.front(), ::testing::HasSubstr("; allowed: ")) << "in\n" << text;
}

inline void expect_warning(const std::string& text, const std::string& start) {
  const auto result = loaded(text);
  EXPECT_THAT(result.warnings, ::testing::Contains(::testing::StartsWith("/etc/gatehouse/gatehouse.yaml:" + start)))
      << "in\n"
      << text;
}

}  // namespace gatehouse::config::testing
