// The file PATH.lock beside a database: who holds flock(2) on it may fold the log or move it, and what is written in it
// says which file the log belongs to. A log itself does not say that, and SQLite finds it by its name: beside another
// file in the database's place it would be taken for that file's.
//
// On the database itself, closing the descriptor would drop SQLite's locks; on the folder, anybody who may list it
// could stop us from ever checkpointing.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace gatehouse::store::sqlite {

/// The numbers (inodes: those of devices change when the machine starts anew) of a log and of the file it belongs to.
struct LogRecord {
  ino_t log = 0;
  ino_t file = 0;
  bool operator==(const LogRecord&) const = default;
};

/// Confined to one thread. If the file cannot be opened, nothing is locked, recorded or marked.
class LockFile {
 public:
  /// Who makes the file if it is missing: one that neither root nor the database's owner made would be of no use to
  /// the daemon, and a command that only reads has no need for it.
  enum class Makes { always, as_owner };
  /// Opens the one beside the database at `path`, for reading only if it may not be written. What root makes, with mode
  /// 0600, belongs to the database's owner.
  LockFile(const std::string& path, Makes makes);
  ~LockFile();
  LockFile(LockFile&& other) noexcept;
  LockFile& operator=(LockFile&& other) noexcept;
  LockFile(const LockFile&) = delete;
  LockFile& operator=(const LockFile&) = delete;

  /// Until unlock() or the end.
  [[nodiscard]] bool try_lock() const;
  /// Waits for who moves a log or writes a line, at most 100 ms: not for a long checkpoint.
  [[nodiscard]] bool lock_soon() const;
  void unlock() const;

  /// nullopt if nothing legible is there.
  [[nodiscard]] std::optional<LogRecord> record() const;
  void write(const LogRecord& record) const;
  void clear() const;

  /// Says, to the end of this object, that this process uses the log of that file.
  void mark(ino_t file) const;
  /// True if anybody else says so.
  [[nodiscard]] bool is_marked(ino_t file) const;

 private:
  int descriptor_;
};

}  // namespace gatehouse::store::sqlite
