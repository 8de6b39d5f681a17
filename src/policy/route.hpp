// Which rule a request falls under. Pure; the first matching route decides, and no match is a refusal.
#pragma once

#include <expected>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "http/path.hpp"

namespace gatehouse::policy {

/// A path pattern: literal text; '*' within one segment; a last segment "**" for any rest, the bare folder included
/// ("/admin/**" covers /admin, /admin/ and /admin/x/y). A trailing slash makes no difference, neither in the pattern
/// nor in the path, because the same script would run: "/a" and "/a/" cover both. '*' also matches an empty last
/// segment: "/a/*" covers /a/b and /a/, but not /a. Matching is on the decoded path. Immutable; default-constructed it
/// covers nothing.
class PathPattern {
 public:
  /// Returns the clause that says what is wrong with it ("it has …"): not absolute, "**" elsewhere, "//", "." or "..",
  /// a control byte, a backslash.
  [[nodiscard]] static std::expected<PathPattern, std::string> parse(std::string_view text);
  [[nodiscard]] bool matches(const http::Path& path) const;
  [[nodiscard]] const std::string& text() const { return text_; }
  /// Returns the literal beginning up to the segment with the first wildcard, without a trailing slash:
  /// "/git/**" → "/git", "/x/a*b" → "/x", "/**" → "".
  [[nodiscard]] std::string literal_prefix() const;

 private:
  std::string text_;
  std::vector<std::string> segments_;
  bool any_rest_ = false;
};

/// Matches '*' (any run, also an empty one) against a text, byte for byte, without regex and without backtracking
/// blow-up: at most pattern × text steps.
[[nodiscard]] bool glob_matches(std::string_view pattern, std::string_view text);

enum class Access { deny, authenticated, public_ };

/// One entry of `routes`. Immutable.
struct Route {
  PathPattern path;
  std::vector<std::string> hosts;    ///< as http::host_without_port returns them; empty = any
  std::vector<std::string> methods;  ///< empty = any
  Access access = Access::deny;
  /// Attribute → accepted values ('*' globs). Every key must be met, by any of its values.
  std::map<std::string, std::vector<std::string>> require;
  std::string downstream;  ///< name; empty for `deny`
};

/// Returns the first route for the path, host (as sent: case, port and the dot of the root do not matter) and method;
/// nullptr if none. A Host that cannot be read does not pass over a route with `hosts` that path and method meet: the
/// answer is nullptr then. An absent one meets only routes without `hosts`. Nor does an empty method, which the front
/// server did not tell, pass over a route with `methods` that path and host meet: nullptr too.
[[nodiscard]] const Route* match(std::span<const Route> routes, const http::Path& path, std::string_view host,
                                 std::string_view method);

/// Returns the route that binds a script besides `decided`, the route of the whole path: the first for the script's own
/// path, if it stands before `decided`. Without this, a rule for /admin.cgi would not hold for /admin.cgi/x, which runs
/// the same script. nullptr if there is none; where match() would rather answer nullptr than pass over a route, a route
/// that denies everybody, which is not one of `routes`.
[[nodiscard]] const Route* match_script(std::span<const Route> routes, const Route& decided, const http::Path& script,
                                        std::string_view host, std::string_view method);

}  // namespace gatehouse::policy
