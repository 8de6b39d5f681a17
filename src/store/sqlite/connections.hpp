// The connections of one store to one file: a few readers and one writer, opened when they are first needed, thrown
// away when they failed or when the path leads to another file, or to another log beside it, than it did.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <ctime>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "auth/error.hpp"
#include "store/sqlite/connection.hpp"
#include "store/sqlite/lock_file.hpp"

namespace gatehouse::store::sqlite {

/// Which file a path leads to.
struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  bool operator==(const FileIdentity&) const = default;
};

/// What must still hold after a read without locks.
struct FileState {
  std::string path;  ///< the file's own name, every link followed: what SQLite names its log after
  FileIdentity identity;
  off_t size = 0;
  timespec changed{};
};

/// Keeps a file's number from being given to another one, though nobody may have it open: O_PATH, whose end, unlike
/// that of any other descriptor, leaves this process's locks on the file alone.
class Pin {
 public:
  Pin() = default;
  explicit Pin(const std::string& path);
  ~Pin();
  Pin(Pin&& other) noexcept;
  Pin& operator=(Pin&& other) noexcept;
  Pin(const Pin&) = delete;
  Pin& operator=(const Pin&) = delete;

  /// nullopt if there was no file, or no descriptor left for it.
  [[nodiscard]] const std::optional<FileIdentity>& identity() const { return identity_; }

 private:
  int descriptor_ = -1;
  std::optional<FileIdentity> identity_;
};

/// What the connections of the moment were opened on. While it exists, its numbers are nobody else's.
struct Place {
  std::string path;  ///< the file's own name
  Pin file;
  Pin log = {};                        ///< the -wal beside it, as soon as a connection has used it
  Pin index = {};                      ///< the -shm beside it, which holds the locks, likewise
  std::optional<LockFile> claim = {};  ///< says whose the log is, likewise

  [[nodiscard]] std::string log_path() const { return path + "-wal"; }
  [[nodiscard]] std::string index_path() const { return path + "-shm"; }
};

class Connections;

/// A connection lent to one caller; goes back by itself. Confined to one thread.
class Lease {
 public:
  Lease(Connections& owner, Access access, std::unique_ptr<Connection> connection, FileState file);
  ~Lease();
  Lease(Lease&& other) noexcept;
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  Lease& operator=(Lease&&) = delete;

  [[nodiscard]] Connection& connection() const { return *connection_; }
  /// The name of the file itself, every link followed.
  [[nodiscard]] const std::string& file_path() const { return file_.path; }
  /// The connection is not to be used again: something unexpected happened on it.
  void drop() { connection_.reset(); }
  /// False if the connection read without locks and the file may have changed under it.
  [[nodiscard]] bool was_undisturbed() const;

 private:
  friend class Connections;
  Connections* owner_;
  Access access_;
  std::unique_ptr<Connection> connection_;
  FileState file_;
};

/// Thread-safe. Every wait (for a connection, then for SQLite's locks) ends `busy_timeout` after the call began.
class Connections {
 public:
  /// Touches nothing.
  Connections(std::string path, std::chrono::milliseconds busy_timeout, std::size_t max_readers);
  /// Leaves one file, with everything in it, also if it was moved away; waits for others at most `busy_timeout`.
  ~Connections();
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  /// Fails: store_unavailable. If neither the file nor its folder can be written and no log lies beside the file,
  /// the file is read without locks; the caller then asks Lease::was_undisturbed().
  [[nodiscard]] auth::Result<Lease> reader();
  /// Fails: store_unavailable, store_read_only (also when our own writers keep us waiting).
  [[nodiscard]] auth::Result<Lease> writer();

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  friend class Lease;
  using Deadline = std::chrono::steady_clock::time_point;
  // These require that mutex_ is held.
  /// Waits until the connections lead where the path leads, and until one more of them may be lent.
  [[nodiscard]] auth::Result<FileState> wait_for_turn(std::unique_lock<std::mutex>& lock, Access access,
                                                      Deadline deadline);
  [[nodiscard]] bool has_turn(Access access) const;
  [[nodiscard]] bool is_in_place() const;
  [[nodiscard]] auth::Result<FileState> take_place();
  /// Requires that nothing is lent. Waits for readers of the old file at most `patience`.
  [[nodiscard]] auth::Result<void> leave_place(std::chrono::milliseconds patience);
  [[nodiscard]] bool fold_log(std::chrono::milliseconds patience);
  [[nodiscard]] bool claim_log();

  [[nodiscard]] auth::Result<Lease> open_reader(FileState file, Deadline deadline);
  [[nodiscard]] auth::Result<Lease> open_writer(FileState file, Deadline deadline);
  /// False if the file or its log became another one while a connection was opened.
  [[nodiscard]] bool was_opened_in_place();
  void give_back(Access access, std::unique_ptr<Connection> connection);

  const std::string path_;
  const std::chrono::milliseconds busy_timeout_;
  const std::size_t max_readers_;

  std::mutex mutex_;
  std::condition_variable is_back_;
  // Guarded by mutex_:
  std::optional<Place> place_;
  std::size_t readers_out_ = 0;
  bool writer_is_out_ = false;
  std::vector<std::unique_ptr<Connection>> idle_readers_;
  std::unique_ptr<Connection> idle_writer_;
};

}  // namespace gatehouse::store::sqlite
