#include "cgi/stderr_lines.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace gatehouse::cgi {
namespace {

void append_escaped(std::string& out, std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (const char byte : bytes) {
    const auto value = static_cast<unsigned char>(byte);
    out += "\\x";
    out += kDigits[value / 16];
    out += kDigits[value % 16];
  }
}

std::size_t length_by_first_byte(unsigned char first) {
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first < 0xe0) return 2;
  if (first >= 0xe0 && first < 0xf0) return 3;
  if (first >= 0xf0 && first < 0xf5) return 4;
  return 0;
}

struct Character {
  std::uint32_t code = 0;
  std::size_t size = 0;  // 0: no UTF-8
};

// Source: RFC 3629 section 4; overlong forms and surrogates are no characters.
Character first_character(std::string_view text) {
  static constexpr std::uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const auto first = static_cast<unsigned char>(text.front());
  const auto size = length_by_first_byte(first);
  if (size == 0 || size > text.size()) return {};
  std::uint32_t code = size == 1 ? first : first & (0xffU >> (size + 1));
  for (const char byte : text.substr(1, size - 1)) {
    const auto value = static_cast<unsigned char>(byte);
    if ((value & 0xc0U) != 0x80U) return {};
    code = (code << 6U) | (value & 0x3fU);
  }
  const bool is_surrogate = code >= 0xd800 && code < 0xe000;
  if (code < kSmallest[size] || code > 0x10ffff || is_surrogate) return {};
  return {code, size};
}

bool is_printable(std::uint32_t code) {
  const bool is_control = code < 0x20 || (code >= 0x7f && code < 0xa0);
  return !is_control && code != 0x2028 && code != 0x2029;
}

// Calls `take` with each escaped character in turn, so that a cut never falls into one.
template <typename Take>
void for_each_escaped(std::string_view bytes, Take take) {
  std::string out;
  while (!bytes.empty()) {
    const auto character = first_character(bytes);
    const auto size = std::max<std::size_t>(character.size, 1);
    const auto raw = bytes.substr(0, size);
    out.clear();
    if (character.size != 0 && is_printable(character.code)) {
      out = raw;
    } else {
      append_escaped(out, raw);
    }
    take(std::string_view(out));
    bytes.remove_prefix(size);
  }
}

}  // namespace

std::string escape_for_log(std::string_view bytes) {
  std::string escaped;
  escaped.reserve(bytes.size());
  for_each_escaped(bytes, [&escaped](std::string_view character) { escaped += character; });
  return escaped;
}

bool StderrLines::add(std::string_view piece) {
  if (is_full_) return false;
  const auto taken = piece.substr(0, kMaxBytes - bytes_);
  bytes_ += taken.size();
  add_to_line(taken);
  if (taken.size() == piece.size()) return true;
  give_out_line();
  drop_the_rest();
  return true;
}

void StderrLines::finish() {
  if (!is_full_) give_out_line();
}

void StderrLines::add_to_line(std::string_view part) {
  for (;;) {
    const auto end = part.find('\n');
    line_ += part.substr(0, end);
    if (end == std::string_view::npos) return;
    give_out_line();
    if (is_full_) return;
    part.remove_prefix(end + 1);
  }
}

void StderrLines::give_out_line() {
  if (line_.ends_with('\r')) line_.pop_back();
  std::string escaped;
  for_each_escaped(line_, [&](std::string_view character) {
    if (escaped.size() + character.size() > kMaxLine) {
      give_out(escaped);
      escaped.clear();
    }
    escaped += character;
  });
  if (!escaped.empty()) give_out(escaped);
  line_.clear();
}

void StderrLines::give_out(std::string_view line) {
  if (is_full_) return;
  if (lines_ == kMaxLines) return drop_the_rest();
  ++lines_;
  if (sink_) sink_(line);
}

void StderrLines::drop_the_rest() {
  if (std::exchange(is_full_, true)) return;
  if (sink_) sink_("further output dropped");
}

}  // namespace gatehouse::cgi
