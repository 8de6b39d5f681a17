#include "http/path.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "http/percent.hpp"

namespace gatehouse::http {
namespace {

// What no program may be asked to interpret, escaped or not: C strings end at NUL, Windows and some URL parsers take
// '\' for '/'.
std::optional<PathProblem> problem_of_byte(char byte) {
  if (is_control(byte)) return PathProblem::control_byte;
  if (byte == '\\') return PathProblem::backslash;
  return std::nullopt;
}

// '?' cannot come here from split_target; '#' is never sent by a browser.
bool needs_escape_in_target(char byte) {
  return byte == ' ' || byte == '#' || byte == '?' || !is_ascii(byte);
}

std::expected<char, PathProblem> decode_escape(std::string_view escape) {
  const auto byte = unescape_byte(escape);
  if (!byte) return std::unexpected(PathProblem::bad_escape);
  // One program decodes before it divides the path, the next one afterwards.
  if (*byte == '/') return std::unexpected(PathProblem::escaped_slash);
  return *byte;
}

std::expected<std::string, PathProblem> decode_once(std::string_view raw) {
  std::string decoded;
  decoded.reserve(std::min(raw.size(), kMaxPathBytes));
  while (!raw.empty()) {
    if (decoded.size() == kMaxPathBytes) return std::unexpected(PathProblem::too_long);
    if (raw.front() == '%') {
      const auto byte = decode_escape(raw);
      if (!byte) return std::unexpected(byte.error());
      decoded += *byte;
      raw.remove_prefix(3);
    } else {
      if (needs_escape_in_target(raw.front())) return std::unexpected(PathProblem::raw_byte);
      decoded += raw.front();
      raw.remove_prefix(1);
    }
  }
  return decoded;
}

// "..;x" is a file name to nginx and to us, and ".." to servlet containers, which drop ";x" first: behind a check door
// "/public/..;/private" would be decided as public and answered as private.
bool is_dot_segment_with_parameter(std::string_view segment) {
  const auto semicolon = segment.find(';');
  if (semicolon == std::string_view::npos) return false;
  const auto name = segment.substr(0, semicolon);
  return name == "." || name == "..";
}

// Appends one segment to `path` ("" or "/a/b"); false if it leaves the root.
bool append_segment(std::string& path, std::string_view segment) {
  if (segment.empty() || segment == ".") return true;
  if (segment == "..") {
    if (path.empty()) return false;
    path.resize(path.rfind('/'));
    return true;
  }
  path += '/';
  path += segment;
  return true;
}

// Segments are divided before "." and ".." count, and empty ones are gone by then: "/a//../b" is "/b" as in nginx and
// Apache, not RFC 3986's "/a/b".
std::expected<std::string, PathProblem> remove_dot_segments(std::string_view absolute) {
  std::string path;
  path.reserve(absolute.size());
  std::string_view segment;
  for (std::size_t begin = 1; begin <= absolute.size();) {
    const auto end = std::min(absolute.find('/', begin), absolute.size());
    segment = absolute.substr(begin, end - begin);
    if (is_dot_segment_with_parameter(segment)) return std::unexpected(PathProblem::dot_with_parameter);
    if (!append_segment(path, segment)) return std::unexpected(PathProblem::above_root);
    begin = end + 1;
  }
  const bool is_folder = segment.empty() || segment == "." || segment == "..";
  if (is_folder) path += '/';
  return path;
}

// RFC 3986 section 3.3: pchar, and the slash between segments.
bool stays_in_path(char byte) {
  return is_unreserved(byte) || std::string_view("/!$&'()*+,;=:@").find(byte) != std::string_view::npos;
}

}  // namespace

std::string_view describe(PathProblem problem) {
  switch (problem) {
    case PathProblem::empty: return "the path is empty";
    case PathProblem::not_absolute: return "the path does not begin with '/'";
    case PathProblem::bad_escape: return "the path has a '%' without two hex digits";
    case PathProblem::control_byte: return "the path has a control byte";
    case PathProblem::escaped_slash: return "the path has an escaped slash";
    case PathProblem::backslash: return "the path has a backslash";
    case PathProblem::raw_byte: return "the path has a byte that should have been escaped";
    case PathProblem::above_root: return "the path leaves the root";
    case PathProblem::dot_with_parameter: return "the path has a dot segment with a parameter";
    case PathProblem::too_long: return "the path is too long";
  }
  return "the path is malformed";
}

std::expected<Path, PathProblem> Path::parse(std::string_view raw) {
  if (raw.empty()) return std::unexpected(PathProblem::empty);
  if (raw.front() != '/') return std::unexpected(PathProblem::not_absolute);
  const auto decoded = decode_once(raw);
  if (!decoded) return std::unexpected(decoded.error());
  return from_decoded(*decoded);
}

std::expected<Path, PathProblem> Path::from_decoded(std::string_view decoded) {
  if (decoded.empty()) return std::unexpected(PathProblem::empty);
  if (decoded.front() != '/') return std::unexpected(PathProblem::not_absolute);
  if (decoded.size() > kMaxPathBytes) return std::unexpected(PathProblem::too_long);
  for (const char byte : decoded) {
    if (const auto problem = problem_of_byte(byte)) return std::unexpected(*problem);
  }
  auto normal = remove_dot_segments(decoded);
  if (!normal) return std::unexpected(normal.error());
  return Path(std::move(*normal));
}

std::string Path::escaped() const {
  std::string out;
  out.reserve(text_.size());
  for (const char byte : text_) {
    if (stays_in_path(byte)) {
      out += byte;
    } else {
      append_escape(out, byte);
    }
  }
  return out;
}

Target split_target(std::string_view target) {
  const auto mark = target.find('?');
  if (mark == std::string_view::npos) return {target, {}};
  return {target.substr(0, mark), target.substr(mark + 1)};
}

}  // namespace gatehouse::http
