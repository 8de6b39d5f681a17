// flock for the short exclusive moments, record locks of the open file description for the marks: those are shared, and
// unlike a process's record locks they do not end when another store in this process closes the same file.
#include "store/sqlite/lock_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <limits>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace gatehouse::store::sqlite {
namespace {

constexpr int kTries = 20;
constexpr auto kPause = std::chrono::milliseconds(5);

int open_file(const std::string& name, int flags) {
  constexpr int kFlags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;  // a pipe would keep us waiting
  const int descriptor = ::open(name.c_str(), flags | kFlags, 0600);
  struct stat file{};
  if (descriptor < 0 || (::fstat(descriptor, &file) == 0 && S_ISREG(file.st_mode) && file.st_nlink == 1)) {
    return descriptor;
  }
  // Root must not give away, or write into, what the owner of the folder has put there under this name.
  ::close(descriptor);
  return -1;
}

int open_lock(const std::string& path, LockFile::Makes makes) {
  const std::string name = path + ".lock";
  struct stat file{};
  const bool is_known = ::stat(path.c_str(), &file) == 0;
  const bool is_owner = is_known && (::geteuid() == 0 || ::geteuid() == file.st_uid);
  const int descriptor = open_file(name, O_RDWR | (is_owner || makes == LockFile::Makes::always ? O_CREAT : 0));
  if (descriptor < 0) return open_file(name, O_RDONLY);
  if (::geteuid() == 0 && is_known) {
    // A command that root ran must not leave a file that the daemon cannot open. If it fails, we are alone with it.
    [[maybe_unused]] const int ignored = ::fchown(descriptor, file.st_uid, file.st_gid);
  }
  return descriptor;
}

struct flock at(ino_t file, int type) {
  struct flock one{};
  one.l_type = static_cast<decltype(one.l_type)>(type);
  one.l_whence = SEEK_SET;
  one.l_start = static_cast<off_t>(file & static_cast<ino_t>(std::numeric_limits<off_t>::max() - 1));
  one.l_len = 1;
  return one;
}

// Of one length, so that one written over another leaves nothing of it.
std::string line_of(const LogRecord& record) {
  return fmt::format("log {:020} of {:020}\n", record.log, record.file);
}

}  // namespace

LockFile::LockFile(const std::string& path, Makes makes) : descriptor_(open_lock(path, makes)) {}

LockFile::~LockFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

LockFile::LockFile(LockFile&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

LockFile& LockFile::operator=(LockFile&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

bool LockFile::try_lock() const {
  return descriptor_ >= 0 && ::flock(descriptor_, LOCK_EX | LOCK_NB) == 0;
}

bool LockFile::lock_soon() const {
  for (int i = 0; descriptor_ >= 0 && i < kTries; ++i) {
    if (try_lock()) return true;
    std::this_thread::sleep_for(kPause);
  }
  return false;
}

void LockFile::unlock() const {
  if (descriptor_ >= 0) ::flock(descriptor_, LOCK_UN);
}

std::optional<LogRecord> LockFile::record() const {
  std::array<char, 64> line{};
  const ssize_t size = descriptor_ < 0 ? -1 : ::pread(descriptor_, line.data(), line.size() - 1, 0);
  if (size <= 0) return std::nullopt;
  const std::string text(line.data(), static_cast<std::size_t>(size));
  std::istringstream words(text);
  std::string word;
  std::uint64_t log = 0;
  std::uint64_t file = 0;
  words >> word >> log >> word >> file;
  const LogRecord found{static_cast<ino_t>(log), static_cast<ino_t>(file)};
  if (line_of(found) != text) return std::nullopt;
  return found;
}

// A record that cannot be written protects nobody, as before there were any: no reason to refuse anything.
void LockFile::write(const LogRecord& record) const {
  const std::string line = line_of(record);
  if (descriptor_ < 0 || ::pwrite(descriptor_, line.data(), line.size(), 0) < 0) return;
  [[maybe_unused]] const int ignored = ::ftruncate(descriptor_, static_cast<off_t>(line.size()));
}

void LockFile::clear() const {
  if (descriptor_ < 0) return;
  [[maybe_unused]] const int ignored = ::ftruncate(descriptor_, 0);
}

void LockFile::mark(ino_t file) const {
  struct flock one = at(file, F_RDLCK);
  if (descriptor_ >= 0) ::fcntl(descriptor_, F_OFD_SETLK, &one);
}

bool LockFile::is_marked(ino_t file) const {
  struct flock one = at(file, F_WRLCK);
  return descriptor_ >= 0 && ::fcntl(descriptor_, F_OFD_GETLK, &one) == 0 && one.l_type != F_UNLCK;
}

}  // namespace gatehouse::store::sqlite
