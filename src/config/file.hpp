// Reads a whole small file together with who else may read and write it, from one descriptor: what was looked at is
// what was read.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <expected>
#include <string>

namespace gatehouse::config {

struct FileText {
  std::string text;
  mode_t permissions = 0;  ///< the nine bits and those above; 0 for a pipe, which nobody else can open
};

/// Fails with "cannot be read: …" or "is larger than …", with what is allowed.
[[nodiscard]] std::expected<FileText, std::string> read_file(const std::string& file, std::size_t most_bytes);

}  // namespace gatehouse::config
