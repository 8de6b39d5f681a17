// http::Path and policy::PathPattern: the one way in which a URL path becomes something to decide on.
// Input: a path as a client spells it, a second one on the next line, a pattern on the third.
#include "http/path.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "fuzz/fuzz.hpp"
#include "http/percent.hpp"
#include "policy/route.hpp"

namespace gatehouse::fuzz {
namespace {

using http::Path;
using policy::PathPattern;

bool has_segment(std::string_view path, std::string_view segment) {
  return (std::string(path) + "/").contains("/" + std::string(segment) + "/");
}

bool has_segment_with_parameter(std::string_view path, std::string_view segment) {
  return path.contains("/" + std::string(segment) + ";");
}

void check_normal(const Path& path) {
  const std::string& text = path.text();
  require(text.starts_with('/'), "a path is absolute");
  require(text.size() <= http::kMaxPathBytes, "a path is no longer than allowed");
  require(!text.contains("//"), "no empty segment");
  require(!has_segment(text, ".") && !has_segment(text, ".."), "no dot segment");
  require(!has_segment_with_parameter(text, ".") && !has_segment_with_parameter(text, ".."),
          "no dot segment in the eyes of a servlet container");
  require(!text.contains('\\') && std::ranges::none_of(text, http::is_control), "no backslash, no control byte");
  require(Path::from_decoded(text) == path, "a path that is normal stays as it is");
}

// Fit for a Location header and for a link, and the same path to whoever reads it.
void check_escaped(const Path& path) {
  const std::string escaped = path.escaped();
  require(!escaped.starts_with("//"), "an escaped path is no host");
  require(std::ranges::all_of(
              escaped, [](char c) { return c > 0x20 && c < 0x7f && !std::string_view("\"<>\\^`{|}#?").contains(c); }),
          "an escaped path is made of what a path may hold");
  require(Path::parse(escaped) == path, "an escaped path is read as the path");
}

// Decodes once, as nginx does; nullopt where an escape is broken.
std::optional<std::string> decoded_once(std::string_view raw) {
  std::string decoded;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '%') {
      decoded += raw[i];
      continue;
    }
    if (raw.size() - i < 3 || http::hex_value(raw[i + 1]) < 0 || http::hex_value(raw[i + 2]) < 0) return std::nullopt;
    decoded += static_cast<char>(http::hex_value(raw[i + 1]) * 16 + http::hex_value(raw[i + 2]));
    i += 2;
  }
  return decoded;
}

void check_parse(std::string_view raw) {
  const auto path = Path::parse(raw);
  const auto decoded = decoded_once(raw);
  if (!path) return;
  check_normal(*path);
  check_escaped(*path);
  require(decoded.has_value(), "a broken escape is refused");
  require(Path::from_decoded(*decoded) == *path, "it is decoded once");
  const auto slashes = [](std::string_view text) { return std::ranges::count(text, '/'); };
  require(slashes(raw) == slashes(*decoded), "an escaped slash is refused");
}

std::string_view without_slash(std::string_view path) {
  return path.ends_with('/') ? path.substr(0, path.size() - 1) : path;
}

bool matches(const std::string& pattern, const Path& path) {
  const auto parsed = PathPattern::parse(pattern);
  require(parsed.has_value(), "a normal path is a pattern");
  return parsed->matches(path);
}

// A rule that names a path covers this path, with and without a slash at its end, and no other.
void check_literal(const Path& path, const Path& other) {
  require(matches("/**", path), "/** covers everything");
  if (path.text().contains('*')) return;
  const bool is_same = without_slash(path.text()) == without_slash(other.text());
  require(matches(path.text(), path), "a path covers itself");
  require(matches(path.text(), other) == is_same, "a path covers itself only");
  const std::string below = std::string(without_slash(path.text())) + "/**";
  const bool is_below = is_same || other.text().starts_with(std::string(without_slash(path.text())) + "/");
  require(matches(below, other) == is_below, "a folder covers itself and what is below");
}

// '*' by definition: any run of bytes. Quadratic, with a table.
bool glob(std::string_view pattern, std::string_view text) {
  std::vector<bool> row(text.size() + 1);  // row[i]: the pattern so far matches the first i bytes
  row[0] = true;
  for (const char wanted : pattern) {
    std::vector<bool> next(text.size() + 1);
    next[0] = wanted == '*' && row[0];
    for (std::size_t i = 1; i <= text.size(); ++i) {
      next[i] = wanted == '*' ? next[i - 1] || row[i] : row[i - 1] && wanted == text[i - 1];
    }
    row = std::move(next);
  }
  return row.back();
}

void check_pattern(const std::string& text, const Path& path) {
  if (text.size() <= 256 && path.text().size() <= 256) {
    require(policy::glob_matches(text, path.text()) == glob(text, path.text()), "'*' is any run of bytes");
  }
  const auto pattern = PathPattern::parse(text);
  if (!pattern) return;
  require(pattern->text() == text, "a pattern keeps its text");
  const std::string prefix = pattern->literal_prefix();
  require(!prefix.contains('*') && !prefix.ends_with('/'), "a literal beginning has no wildcard");
  if (!pattern->matches(path)) return;
  require((path.text() + "/").starts_with(prefix + "/"), "what a pattern covers is below its literal beginning");
  const Path sibling = *Path::from_decoded(std::string(without_slash(path.text())) + "/");
  if (!text.ends_with("/*")) require(pattern->matches(sibling), "a slash at the end makes no difference");
}

}  // namespace
}  // namespace gatehouse::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gatehouse::fuzz;
  Input input(data, size);
  const auto first = input.line();
  const auto second = input.line();
  const auto target = gatehouse::http::split_target(first);
  require(target.path.size() + target.query.size() <= first.size() && !target.path.contains('?'), "cut at the first ?");
  for (const auto raw : {first, second, target.path}) check_parse(raw);
  const auto path = gatehouse::http::Path::from_decoded(first);
  if (!path) return 0;
  check_normal(*path);
  check_escaped(*path);
  if (const auto other = gatehouse::http::Path::from_decoded(second)) check_literal(*path, *other);
  check_pattern(std::string(input.rest()), *path);
  return 0;
}
