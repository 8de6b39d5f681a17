// Text to values and back: durations, sizes, numbers. Pure; whoever calls makes the sentence of a nullopt.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::config {

/// Parses "500ms", "30s", "15m", "24h", "14d" or "0": one whole number and its unit, at most 100 years.
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);
/// Writes a duration in the largest unit that holds it without a rest ("86400000ms" → "1d", 0 → "0").
[[nodiscard]] std::string format_duration(std::chrono::milliseconds duration);

/// Parses "64KiB", "10MiB", "2GiB" or a plain number of bytes.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text);
[[nodiscard]] std::string format_size(std::uint64_t bytes);

/// Parses decimal digits, nothing else: no sign, no leading zeros (YAML 1.1 would read 010 as eight).
[[nodiscard]] std::optional<std::uint64_t> parse_number(std::string_view text);

/// Puts a text of the file into a message: in double quotes, control bytes as \xNN, cut after 80 bytes at
/// most, before a character that would not be whole.
[[nodiscard]] std::string in_quotes(std::string_view text);
/// "a, b, c"
[[nodiscard]] std::string joined(const std::vector<std::string>& words);

}  // namespace gatehouse::config
