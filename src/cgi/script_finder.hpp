// Which script a decided path means: the longest existing file below a root folder, or one fixed one.
//
// The kernel does the walking (openat2), so that a symbolic link cannot lead out of the root between a check and its
// use. Looks at the file system, synchronously: a root belongs on a local disk.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "cgi/environment.hpp"
#include "http/path.hpp"

namespace gatehouse::cgi {

/// Why there is nothing to run. `status` is the answer: 404 no such file, 403 a folder or a file that we may not
/// execute or whose extension is no script's, 501 nph-*, 503 out of descriptors or memory, 500 a root that cannot be
/// used.
struct NoScript {
  int status = 404;
  std::string reason;  ///< for the log
  /// The path names a folder that has an index page and lacks the slash behind which relative links work.
  bool lacks_slash = false;
};

/// What counts as a script.
struct ScriptRules {
  bool is_program = true;               ///< we execute it: it needs leave for that, and nph-* are none
  std::string index = {};               ///< the file that a folder's path runs; empty: none does
  std::vector<std::string> extensions;  ///< with their dot; empty: any
};

/// Finds the script for `path` below `root` (absolute). Symbolic links count where they are relative and stay inside
/// the root; absolute ones, and those that leave it, are not found. Thread-safe.
/// Source: PRODUCT.md section 2; RFC 3875 section 4.1.13.
[[nodiscard]] std::expected<Script, NoScript> find_script(std::string_view root, const http::Path& path,
                                                          const ScriptRules& rules = {});

/// Cuts `path` for a fixed script (absolute, or empty: an application that is no file) below `prefix`, the literal
/// beginning of the route's pattern ("/git", or "" for the whole site): SCRIPT_NAME is the prefix, PATH_INFO the rest.
/// Whether it exists shows when it is run. Pure.
[[nodiscard]] std::expected<Script, NoScript> fixed_script(std::string_view program, std::string_view prefix,
                                                           const http::Path& path);

}  // namespace gatehouse::cgi
