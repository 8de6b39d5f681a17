// Reads a configuration file. The only user of yaml-cpp. Reports every problem at once, with its place.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "config/config.hpp"

namespace gatehouse::config {

/// What is wrong at one place. Line and column count from 1; 0 where the problem has no place (no such file).
struct Problem {
  std::string file;
  int line = 0;
  int column = 0;
  std::string key;   ///< "session.cookie.name", "routes[2].access"; empty for the file itself
  std::string text;  ///< "what is wrong; what is allowed"

  /// "FILE:LINE:COL: key.path: what is wrong; what is allowed", without the parts that the problem does not have.
  [[nodiscard]] std::string message() const;
};

struct Loaded {
  Config config;
  std::vector<std::string> warnings;  ///< allowed but worth a line, in the same form as a problem
};

/// Returns the configuration, or every problem in the order of the file. Relative paths become absolute, from the
/// file's folder; `_file` secrets that are used are read here. A file that every user of the machine may write is
/// refused, and so is a secret inside one that every user may read. Never throws for anything that a file can hold.
[[nodiscard]] std::expected<Loaded, std::vector<Problem>> load(const std::string& file);
/// The same from a text; `file` names it in messages and is the base of relative paths. Nobody else can read a text.
[[nodiscard]] std::expected<Loaded, std::vector<Problem>> load_text(const std::string& text, const std::string& file);

/// Returns the first of: the argument (if not empty), $GATEHOUSE_CONFIG, /etc/gatehouse/gatehouse.yaml.
[[nodiscard]] std::string default_file(const std::string& argument);

}  // namespace gatehouse::config
