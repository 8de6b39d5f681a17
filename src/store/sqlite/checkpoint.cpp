// The lock is flock(2) on a file of its own: on the database itself, closing the descriptor would drop SQLite's locks;
// on the folder, anybody who may list it could stop us from ever checkpointing.
#include "store/sqlite/checkpoint.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace gatehouse::store::sqlite {
namespace {

constexpr int kDuePages = 1000;

class LockFile {
 public:
  explicit LockFile(const std::string& path)
      : descriptor_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)) {}  // NOLINT(*-vararg)
  ~LockFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  LockFile(const LockFile&) = delete;
  LockFile& operator=(const LockFile&) = delete;

  [[nodiscard]] bool try_lock() const { return descriptor_ >= 0 && ::flock(descriptor_, LOCK_EX | LOCK_NB) == 0; }

  /// A command that root ran must not leave a file that the daemon cannot open.
  void give_to_owner_of(const std::string& path) const {
    struct stat file{};
    if (::geteuid() != 0 || ::stat(path.c_str(), &file) != 0) return;
    // If it fails, this process checkpoints alone, as before.
    [[maybe_unused]] const int ignored = ::fchown(descriptor_, file.st_uid, file.st_gid);
  }

 private:
  int descriptor_;
};

}  // namespace

void checkpoint_if_due(Connection& writer, const std::string& path) {
  if (writer.wal_pages() < kDuePages) return;
  const LockFile lock(path + ".lock");
  if (!lock.try_lock()) return;
  lock.give_to_owner_of(path);
  writer.checkpoint();
}

// The lock keeps two gateways from doing this at once: the second one would take the log of the new file.
bool put_log_aside(const std::string& path, const FileIdentity& log) {
  const LockFile lock(path + ".lock");
  if (!lock.try_lock()) return false;
  lock.give_to_owner_of(path);
  const std::string name = path + "-wal";
  struct stat there{};
  if (::stat(name.c_str(), &there) != 0) return errno == ENOENT;
  if (FileIdentity{there.st_dev, there.st_ino} != log) return true;
  // What others know of the old log is in there.
  if (::unlink((path + "-shm").c_str()) != 0 && errno != ENOENT) return false;
  return there.st_size == 0 ? ::unlink(name.c_str()) == 0 : ::rename(name.c_str(), (name + ".replaced").c_str()) == 0;
}

}  // namespace gatehouse::store::sqlite
