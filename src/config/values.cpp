#include "config/values.hpp"

#include <array>
#include <charconv>
#include <limits>
#include <memory>
#include <ratio>
#include <system_error>
#include <utility>

namespace gatehouse::config {
namespace {

using std::chrono::milliseconds;

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};
// From the largest: "ms" must be tried before "m" and "s" when reading, which split_unit does by comparing the whole
// rest.
constexpr std::array<Unit, 5> kTimeUnits{{{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr std::array<Unit, 3> kSizeUnits{{{"GiB", 1ULL << 30U}, {"MiB", 1ULL << 20U}, {"KiB", 1ULL << 10U}}};
constexpr std::uint64_t kMaxDuration = 36'500ULL * 86'400'000ULL;

std::optional<std::uint64_t> times(std::optional<std::uint64_t> number, std::uint64_t factor) {
  if (!number || *number > std::numeric_limits<std::uint64_t>::max() / factor) return std::nullopt;
  return *number * factor;
}

template <typename Units>
std::optional<std::uint64_t> parse_with_unit(std::string_view text, const Units& units) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  for (const Unit& unit : units) {
    if (text.substr(digits) == unit.name) return times(parse_number(text.substr(0, digits)), unit.factor);
  }
  return std::nullopt;
}

template <typename Units>
std::string format_with_unit(std::uint64_t number, const Units& units) {
  for (const Unit& unit : units) {
    if (number != 0 && number % unit.factor == 0) return std::to_string(number / unit.factor).append(unit.name);
  }
  return std::to_string(number);
}

// At most `most` bytes, and no character of UTF-8 in half.
std::string_view beginning(std::string_view text, std::size_t most) {
  if (text.size() <= most) return text;
  const auto is_within = [](char byte) { return (static_cast<unsigned char>(byte) & 0xc0U) == 0x80U; };
  while (most > 0 && is_within(text[most])) --most;
  return text.substr(0, most);
}

}  // namespace

std::optional<milliseconds> parse_duration(std::string_view text) {
  if (text == "0") return milliseconds{0};
  const auto number = parse_with_unit(text, kTimeUnits);
  if (!number || *number > kMaxDuration) return std::nullopt;
  return milliseconds{static_cast<milliseconds::rep>(*number)};
}

std::string format_duration(milliseconds duration) {
  return format_with_unit(static_cast<std::uint64_t>(duration.count()), kTimeUnits);
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  if (const auto bytes = parse_number(text)) return bytes;
  return parse_with_unit(text, kSizeUnits);
}

std::string format_size(std::uint64_t bytes) {
  return format_with_unit(bytes, kSizeUnits);
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return std::nullopt;
  std::uint64_t number = 0;
  const char* const begin = std::to_address(text.begin());
  const char* const end = begin + text.size();
  const auto [stopped, error] = std::from_chars(begin, end, number);
  if (error != std::errc{} || stopped != end) return std::nullopt;
  return number;
}

std::string in_quotes(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  const std::string_view shown = beginning(text, 80);
  std::string out = "\"";
  for (const char c : shown) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) {
      out += c;
    } else {
      out.append("\\x").append(1, kHex[byte >> 4U]).append(1, kHex[byte & 0xfU]);
    }
  }
  return out.append(text.size() > shown.size() ? "…\"" : "\"");
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) {
    if (!out.empty()) out += ", ";
    out += word;
  }
  return out;
}

}  // namespace gatehouse::config
