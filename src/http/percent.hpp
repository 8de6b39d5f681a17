// Percent-encoding (RFC 3986 section 2.1), one byte at a time. What may stay unescaped, and what an escape may
// stand for, differs from place to place: that is the caller's to say.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace gatehouse::http {

[[nodiscard]] constexpr bool is_alphanumeric(char byte) {
  return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
}

/// RFC 3986 section 2.3.
[[nodiscard]] constexpr bool is_unreserved(char byte) {
  return is_alphanumeric(byte) || byte == '-' || byte == '.' || byte == '_' || byte == '~';
}

/// Below 0x20 or 0x7f.
[[nodiscard]] constexpr bool is_control(char byte) {
  const auto value = static_cast<unsigned char>(byte);
  return value < 0x20 || value == 0x7f;
}

[[nodiscard]] constexpr bool is_ascii(char byte) {
  return static_cast<unsigned char>(byte) < 0x80;
}

/// Returns -1 for anything but a hex digit.
[[nodiscard]] constexpr int hex_value(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  return -1;
}

/// Returns the byte that the "%XX" at the beginning of `text` stands for; nullopt without two hex digits.
[[nodiscard]] constexpr std::optional<char> unescape_byte(std::string_view text) {
  if (text.size() < 3) return std::nullopt;
  const int high = hex_value(text[1]);
  const int low = hex_value(text[2]);
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<char>(high * 16 + low);
}

inline void append_escape(std::string& out, char byte) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  const auto value = static_cast<unsigned char>(byte);
  out += '%';
  out += kDigits[value / 16];
  out += kDigits[value % 16];
}

}  // namespace gatehouse::http
