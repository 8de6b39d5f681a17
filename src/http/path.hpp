// The one way a URL path becomes something to decide on. The decided path is the executed path: whatever
// two programs could read differently is refused here, never guessed.
#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace gatehouse::http {

enum class PathProblem {
  empty,               ///< nothing there
  not_absolute,        ///< absolute-form, "*" or a relative path: does not begin with '/'
  bad_escape,          ///< '%' without two hex digits
  control_byte,        ///< a byte below 0x20 or 0x7f, raw or escaped (%00 among them)
  escaped_slash,       ///< %2f
  backslash,           ///< '\', raw or escaped
  raw_byte,            ///< a space, '#', '?' or a byte above 0x7f that should have been escaped
  above_root,          ///< ".." that leaves the root
  dot_with_parameter,  ///< "..;x" or ".;x": a name to web servers, a dot segment to servlet containers
  too_long,            ///< over kMaxPathBytes
};
[[nodiscard]] std::string_view describe(PathProblem problem);

/// Of the decoded path, before it is normalised.
inline constexpr std::size_t kMaxPathBytes = std::size_t{16} * 1024;

/// A decoded, normalised absolute path: begins with '/', no empty, "." or ".." segment, a trailing slash
/// kept. May hold any byte from 0x20 on, '%' and '?' too: it is never decoded again. Immutable.
class Path {
 public:
  Path() : text_("/") {}

  /// Parses the path part of a request target (no query): decodes it once and normalises it.
  /// Source: RFC 3986 sections 2.1, 5.2.4, 6.2.2; empty segments collapse as nginx does it (merge_slashes).
  [[nodiscard]] static std::expected<Path, PathProblem> parse(std::string_view raw);
  /// Normalises a path that the front server has decoded already: '%', '?' and '#' in it are literal.
  [[nodiscard]] static std::expected<Path, PathProblem> from_decoded(std::string_view decoded);

  [[nodiscard]] const std::string& text() const { return text_; }
  /// Returns the path escaped again, fit for a Location header or a link; never begins with "//", and parse() of it
  /// gives this path again. Not escaped for HTML: ' and & stay.
  [[nodiscard]] std::string escaped() const;

  bool operator==(const Path&) const = default;

 private:
  explicit Path(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

/// A request target cut at its first '?'.
struct Target {
  std::string_view path;
  std::string_view query;  ///< without the question mark
};
[[nodiscard]] Target split_target(std::string_view target);

}  // namespace gatehouse::http
