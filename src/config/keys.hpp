// Every key that the reader knows: for the tests that hold conf/gatehouse.yaml, README and man page against the code.
// Not for reading a configuration: it ignores every problem.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace gatehouse::config {

struct KnownKey {
  std::string path;                         ///< "session.cookie.name", "downstreams.NAME.cgi.root", "routes[].access"
  std::optional<std::string> default_text;  ///< as format_* writes it; nullopt where there is no default
  std::vector<std::string> shown;           ///< the values of the text, in the same form; a secret is always "***"
};

/// Reads a text and returns every known key, sorted by path, with the values that the text gives it. With an empty text
/// the entries of `downstreams` and `routes` are known too.
[[nodiscard]] std::vector<KnownKey> known_keys(const std::string& text = "");

}  // namespace gatehouse::config
