// A whole text that is one decimal number: ports, lengths, counts. Pure.
#pragma once

#include <charconv>
#include <optional>
#include <string_view>

namespace gatehouse::http {

/// Returns nullopt for anything else: an empty text, signs of an unsigned number, spaces, what does not fit.
template <typename Number>
[[nodiscard]] std::optional<Number> parse_number(std::string_view text) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace gatehouse::http
