// The connections of one store to one file: a few readers and one writer, opened when they are first needed, thrown
// away when they failed or when the path leads to another file than it did.
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

namespace gatehouse::store::sqlite {

/// Which file a path leads to. A number cannot be given to a new file while we have the old one open.
struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  bool operator==(const FileIdentity&) const = default;
};

/// What must still hold after a read without locks.
struct FileState {
  FileIdentity identity;
  off_t size = 0;
  timespec changed{};
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
  struct Idle {
    std::unique_ptr<Connection> connection;
    FileIdentity file;
  };

  /// Looks where the path leads now; if that is nowhere, lets go of the file that it led to.
  [[nodiscard]] auth::Result<FileState> look_at_file();
  /// Requires that mutex_ is held.
  void forget_files_but(const std::optional<FileIdentity>& current);
  [[nodiscard]] auth::Result<Lease> open_reader(FileState file, Deadline deadline);
  [[nodiscard]] auth::Result<Lease> open_writer(FileState file, Deadline deadline);
  void give_back(Access access, std::unique_ptr<Connection> connection, FileIdentity file);

  const std::string path_;
  const std::chrono::milliseconds busy_timeout_;
  const std::size_t max_readers_;

  std::mutex mutex_;
  std::condition_variable reader_is_back_;
  std::condition_variable writer_is_back_;
  // Guarded by mutex_:
  std::size_t readers_out_ = 0;
  bool writer_is_out_ = false;
  std::vector<Idle> idle_readers_;
  std::optional<Idle> idle_writer_;
};

}  // namespace gatehouse::store::sqlite
