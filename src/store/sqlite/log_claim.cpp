// Everything is decided under the lock, so that of two who put the log aside, or claim it for two files, one is first.
#include "store/sqlite/log_claim.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace gatehouse::store::sqlite {
namespace {

bool exists(const std::string& path) {
  struct stat there{};
  return ::lstat(path.c_str(), &there) == 0 || errno != ENOENT;
}

bool is_taken(const LockFile& lock, const std::string& path, ino_t file) {
  const auto record = lock.record();
  if (!record || record->file == file) return false;
  struct stat log{};
  if (::stat((path + "-wal").c_str(), &log) != 0) {
    // Somebody removed the log, and not its index, which he who uses both still shares with whoever comes.
    return exists(path + "-shm") && lock.is_marked(record->file);
  }
  if (log.st_ino != record->log) return false;
  return log.st_size > 0 || lock.is_marked(record->file);
}

std::string free_name(const std::string& name) {
  std::string free = name;
  for (int i = 2; exists(free); ++i) free = name + "." + std::to_string(i);
  return free;
}

}  // namespace

// Without the lock, which a long checkpoint may hold, the record is read all the same.
bool is_of_another_file(const std::string& path, const FileIdentity& file) {
  const LockFile lock(path, LockFile::Makes::as_owner);
  [[maybe_unused]] const bool locked = lock.lock_soon();
  return is_taken(lock, path, file.inode);
}

std::optional<LockFile> claim_log(const std::string& path, const FileIdentity& file, const FileIdentity& log) {
  LockFile lock(path, LockFile::Makes::as_owner);
  const LogRecord ours{log.inode, file.inode};
  const bool is_locked = lock.lock_soon();
  if (is_taken(lock, path, file.inode)) return std::nullopt;
  if (is_locked && lock.record() != ours) lock.write(ours);
  lock.mark(file.inode);
  lock.unlock();
  return lock;
}

void forget_log(const std::string& path) {
  const LockFile lock(path, LockFile::Makes::as_owner);
  if (lock.record() && lock.try_lock() && !exists(path + "-wal")) lock.clear();
}

// The lock keeps two gateways from doing this at once: the second one would take the log of the new file.
bool put_log_aside(const std::string& path, const FileIdentity& log) {
  const LockFile lock(path, LockFile::Makes::always);
  if (!lock.lock_soon()) return false;
  const std::string name = path + "-wal";
  struct stat there{};
  if (::stat(name.c_str(), &there) != 0) return errno == ENOENT;
  if (FileIdentity{there.st_dev, there.st_ino} != log) return true;
  // What others know of the old log is in there.
  if (::unlink((path + "-shm").c_str()) != 0 && errno != ENOENT) return false;
  const bool is_gone = there.st_size == 0 ? ::unlink(name.c_str()) == 0
                                          : ::rename(name.c_str(), free_name(name + ".replaced").c_str()) == 0;
  if (is_gone) lock.clear();
  return is_gone;
}

}  // namespace gatehouse::store::sqlite
