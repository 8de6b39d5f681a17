// Secrets that stand in files of their own: who may read such a file, and where systemd puts it.
#pragma once

#include <expected>
#include <string>

namespace gatehouse::config {

/// Returns where the value of a `_file` key leads: a bare name that is in $CREDENTIALS_DIRECTORY is meant there, else
/// `absolute`, the same value made absolute.
[[nodiscard]] std::string locate_secret(const std::string& value, const std::string& absolute);

/// Reads a secret and strips one newline at its end. At most 4096 bytes.
/// Fails with "what is wrong; what is allowed": unreadable, no regular file, open to every user of the machine, empty,
/// too long. The sentence never holds a part of the secret.
[[nodiscard]] std::expected<std::string, std::string> read_secret(const std::string& file);

}  // namespace gatehouse::config
