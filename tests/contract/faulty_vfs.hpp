// SQLite's operating system, with a fault in it: whatever can fail in SQLite's dealings with a file (open, read, write,
// truncate, sync, size, lock, shared memory, delete) is counted, and the n-th such call fails. While one exists, it is
// the process's default VFS, so that the code under test needs no word of it. One at a time; confined to one thread;
// every connection that was opened meanwhile must be closed before it goes.
#pragma once

#include <sqlite3.h>

#include <cstddef>
#include <limits>
#include <new>
#include <optional>
#include <stdexcept>

namespace gatehouse::contract {

/// How a call fails.
enum class Fault {
  io_error,  ///< SQLITE_IOERR_… of that call, which did nothing
  refused,   ///< what somebody else's doing looks like: SQLITE_FULL, SQLITE_BUSY; io_error where there is no such thing
  torn,      ///< a write that did half of its work; io_error elsewhere
};

class FaultyVfs {
 public:
  FaultyVfs() : inner_(sqlite3_vfs_find(nullptr)), vfs_(*inner_) {
    vfs_.iVersion = 2;
    vfs_.szOsFile = static_cast<int>(sizeof(File)) + inner_->szOsFile;
    vfs_.pNext = nullptr;
    vfs_.zName = "faulty";
    vfs_.pAppData = this;
    vfs_.xOpen = open;
    vfs_.xDelete = remove;
    vfs_.xAccess = access;
    vfs_.xFullPathname = [](sqlite3_vfs* vfs, const char* name, int size, char* out) {
      return inner(vfs)->xFullPathname(inner(vfs), name, size, out);
    };
    vfs_.xRandomness = [](sqlite3_vfs* vfs, int size, char* out) {
      return inner(vfs)->xRandomness(inner(vfs), size, out);
    };
    // There is nobody to wait for: a lock that is refused is refused by the fault.
    vfs_.xSleep = [](sqlite3_vfs*, int microseconds) { return microseconds; };
    vfs_.xCurrentTime = [](sqlite3_vfs* vfs, double* out) { return inner(vfs)->xCurrentTime(inner(vfs), out); };
    vfs_.xCurrentTimeInt64 = [](sqlite3_vfs* vfs, sqlite3_int64* out) {
      return inner(vfs)->xCurrentTimeInt64(inner(vfs), out);
    };
    vfs_.xGetLastError = [](sqlite3_vfs* vfs, int size, char* out) {
      return inner(vfs)->xGetLastError(inner(vfs), size, out);
    };
    if (sqlite3_vfs_register(&vfs_, 1) != SQLITE_OK) throw std::runtime_error("sqlite3_vfs_register");
  }
  ~FaultyVfs() {
    sqlite3_vfs_unregister(&vfs_);
    sqlite3_vfs_register(inner_, 1);
  }
  FaultyVfs(const FaultyVfs&) = delete;
  FaultyVfs& operator=(const FaultyVfs&) = delete;

  /// Only the n-th call from now on fails (1 is the next one).
  void fail_nth(std::size_t n, Fault fault) { plan({.first = n, .last = n, .fault = fault}); }
  /// The n-th call from now on and every later one fails: the disk, or the power, is gone.
  void fail_from_nth(std::size_t n, Fault fault) {
    plan({.first = n, .last = std::numeric_limits<std::size_t>::max(), .fault = fault});
  }
  void fail_nothing() { plan_.reset(); }
  /// The number of calls since this was made or told how to fail.
  [[nodiscard]] std::size_t calls() const { return calls_; }

 private:
  struct Plan {
    std::size_t first = 1;
    std::size_t last = 1;
    Fault fault = Fault::io_error;
  };
  /// In front of the inner VFS's own file, in memory that SQLite allocates.
  struct File {
    sqlite3_file base{};
    FaultyVfs* owner = nullptr;
    [[nodiscard]] sqlite3_file* inner() { return reinterpret_cast<sqlite3_file*>(this + 1); }
  };

  static sqlite3_vfs* inner(sqlite3_vfs* vfs) { return static_cast<FaultyVfs*>(vfs->pAppData)->inner_; }
  static File& file_of(sqlite3_file* file) { return *reinterpret_cast<File*>(file); }

  void plan(const Plan& plan) {
    plan_ = plan;
    calls_ = 0;
  }
  /// Counts a call; says how it is to fail, if it is.
  std::optional<Fault> count() {
    ++calls_;
    if (!plan_ || calls_ < plan_->first || calls_ > plan_->last) return std::nullopt;
    return plan_->fault;
  }
  /// Passes a call on, or fails it with `code`, or with `refusal` where the fault is a refusal.
  template <typename Call>
  int pass(int code, int refusal, Call call) {
    const auto fault = count();
    if (!fault) return call();
    return *fault == Fault::refused ? refusal : code;
  }
  template <typename Call>
  static int pass(sqlite3_file* file, int code, int refusal, Call call) {
    sqlite3_file* inner = file_of(file).inner();
    return file_of(file).owner->pass(code, refusal, [&] { return call(inner); });
  }

  // ── files by name
  static int open(sqlite3_vfs* vfs, sqlite3_filename name, sqlite3_file* raw, int flags, int* out_flags) {
    auto* owner = static_cast<FaultyVfs*>(vfs->pAppData);
    File* file = new (raw) File;
    file->owner = owner;
    const int code = owner->pass(SQLITE_CANTOPEN, SQLITE_CANTOPEN, [&] {
      return owner->inner_->xOpen(owner->inner_, name, file->inner(), flags, out_flags);
    });
    if (code == SQLITE_OK) file->base.pMethods = &kMethods;
    return code;
  }
  static int remove(sqlite3_vfs* vfs, const char* name, int sync_folder) {
    auto* owner = static_cast<FaultyVfs*>(vfs->pAppData);
    return owner->pass(SQLITE_IOERR_DELETE, SQLITE_IOERR_DELETE,
                       [&] { return owner->inner_->xDelete(owner->inner_, name, sync_folder); });
  }
  static int access(sqlite3_vfs* vfs, const char* name, int flags, int* out) {
    auto* owner = static_cast<FaultyVfs*>(vfs->pAppData);
    return owner->pass(SQLITE_IOERR_ACCESS, SQLITE_IOERR_ACCESS,
                       [&] { return owner->inner_->xAccess(owner->inner_, name, flags, out); });
  }

  // ── one file
  static int close(sqlite3_file* file) {
    sqlite3_file* inner = file_of(file).inner();
    return inner->pMethods == nullptr ? SQLITE_OK : inner->pMethods->xClose(inner);
  }
  static int read(sqlite3_file* file, void* into, int size, sqlite3_int64 at) {
    return pass(file, SQLITE_IOERR_READ, SQLITE_IOERR_READ,
                [&](sqlite3_file* inner) { return inner->pMethods->xRead(inner, into, size, at); });
  }
  static int write(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 at) {
    sqlite3_file* inner = file_of(file).inner();
    const auto fault = file_of(file).owner->count();
    if (fault == Fault::refused) return SQLITE_FULL;
    if (fault == Fault::torn) inner->pMethods->xWrite(inner, bytes, size / 2, at);
    return fault ? SQLITE_IOERR_WRITE : inner->pMethods->xWrite(inner, bytes, size, at);
  }
  static int truncate(sqlite3_file* file, sqlite3_int64 size) {
    return pass(file, SQLITE_IOERR_TRUNCATE, SQLITE_FULL,
                [&](sqlite3_file* inner) { return inner->pMethods->xTruncate(inner, size); });
  }
  /// Does nothing when it works: nobody here pulls a real plug, and thousands of real ones would take minutes.
  static int sync(sqlite3_file* file, int /*flags*/) {
    return pass(file, SQLITE_IOERR_FSYNC, SQLITE_FULL, [](sqlite3_file*) { return SQLITE_OK; });
  }
  static int file_size(sqlite3_file* file, sqlite3_int64* out) {
    return pass(file, SQLITE_IOERR_FSTAT, SQLITE_IOERR_FSTAT,
                [&](sqlite3_file* inner) { return inner->pMethods->xFileSize(inner, out); });
  }
  static int lock(sqlite3_file* file, int level) {
    return pass(file, SQLITE_IOERR_LOCK, SQLITE_BUSY,
                [&](sqlite3_file* inner) { return inner->pMethods->xLock(inner, level); });
  }
  static int unlock(sqlite3_file* file, int level) {
    sqlite3_file* inner = file_of(file).inner();
    return inner->pMethods->xUnlock(inner, level);
  }
  static int check_reserved_lock(sqlite3_file* file, int* out) {
    return pass(file, SQLITE_IOERR_CHECKRESERVEDLOCK, SQLITE_IOERR_CHECKRESERVEDLOCK,
                [&](sqlite3_file* inner) { return inner->pMethods->xCheckReservedLock(inner, out); });
  }
  static int file_control(sqlite3_file* file, int operation, void* argument) {
    sqlite3_file* inner = file_of(file).inner();
    return inner->pMethods->xFileControl(inner, operation, argument);
  }
  static int sector_size(sqlite3_file* file) {
    sqlite3_file* inner = file_of(file).inner();
    return inner->pMethods->xSectorSize(inner);
  }
  static int device_characteristics(sqlite3_file* file) {
    sqlite3_file* inner = file_of(file).inner();
    return inner->pMethods->xDeviceCharacteristics(inner);
  }
  static int shm_map(sqlite3_file* file, int region, int size, int extend, void volatile** out) {
    return pass(file, SQLITE_IOERR_SHMMAP, SQLITE_IOERR_SHMSIZE,
                [&](sqlite3_file* inner) { return inner->pMethods->xShmMap(inner, region, size, extend, out); });
  }
  static int shm_lock(sqlite3_file* file, int offset, int count, int flags) {
    sqlite3_file* inner = file_of(file).inner();
    if ((flags & SQLITE_SHM_UNLOCK) != 0) return inner->pMethods->xShmLock(inner, offset, count, flags);
    return pass(file, SQLITE_IOERR_SHMLOCK, SQLITE_BUSY,
                [&](sqlite3_file* locked) { return locked->pMethods->xShmLock(locked, offset, count, flags); });
  }
  static void shm_barrier(sqlite3_file* file) {
    sqlite3_file* inner = file_of(file).inner();
    inner->pMethods->xShmBarrier(inner);
  }
  static int shm_unmap(sqlite3_file* file, int is_to_delete) {
    sqlite3_file* inner = file_of(file).inner();
    return inner->pMethods->xShmUnmap(inner, is_to_delete);
  }

  // Version 2: shared memory, but no memory-mapped reads that nobody could count.
  static constexpr sqlite3_io_methods kMethods{2,
                                               close,
                                               read,
                                               write,
                                               truncate,
                                               sync,
                                               file_size,
                                               lock,
                                               unlock,
                                               check_reserved_lock,
                                               file_control,
                                               sector_size,
                                               device_characteristics,
                                               shm_map,
                                               shm_lock,
                                               shm_barrier,
                                               shm_unmap,
                                               nullptr,
                                               nullptr};

  sqlite3_vfs* const inner_;
  sqlite3_vfs vfs_;
  std::optional<Plan> plan_;
  std::size_t calls_ = 0;
};

}  // namespace gatehouse::contract
