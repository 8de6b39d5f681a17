#include "app/cli/privileges.hpp"

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

namespace gatehouse::app::cli {

std::expected<void, std::string> become_owner_of_store(const config::Store& store) {
  if (geteuid() != 0 || store.driver != config::Driver::sqlite) return {};
  const std::string folder = std::filesystem::path(store.sqlite_path).parent_path().string();
  struct stat info{};
  // A folder that is not there is the store's to complain of.
  if (stat(folder.c_str(), &info) != 0 || info.st_uid == 0) return {};
  if (setgroups(0, nullptr) != 0 || setgid(info.st_gid) != 0 || setuid(info.st_uid) != 0) {
    return std::unexpected("cannot become the owner of " + folder);
  }
  return {};
}

}  // namespace gatehouse::app::cli
