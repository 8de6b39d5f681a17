#include "config/secret.hpp"

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include "config/file.hpp"

namespace gatehouse::config {

std::string locate_secret(const std::string& value, const std::string& absolute) {
  // Read while the configuration is: nothing of ours changes the environment then.
  const char* const folder = std::getenv("CREDENTIALS_DIRECTORY");
  if (folder == nullptr || *folder == '\0' || value.empty() || value.contains('/')) return absolute;
  const std::filesystem::path credential = std::filesystem::path(folder) / value;
  std::error_code ignored;
  return std::filesystem::is_regular_file(credential, ignored) ? credential.string() : absolute;
}

std::expected<std::string, std::string> read_secret(const std::string& file) {
  constexpr std::size_t kMostBytes = 4096;
  auto content = read_file(file, kMostBytes);
  if (!content) return std::unexpected(std::move(content.error()));
  if ((content->permissions & (S_IROTH | S_IWOTH)) != 0) {
    return std::unexpected("can be read or written by every user of this machine; allowed: mode 0640 or less");
  }
  std::string secret = std::move(content->text);
  if (secret.ends_with("\r\n")) secret.pop_back();
  if (secret.ends_with('\n') || secret.ends_with('\r')) secret.pop_back();
  if (secret.empty()) return std::unexpected("is empty; allowed: a file that holds the secret");
  return secret;
}

}  // namespace gatehouse::config
