// Lending, waiting and noticing that the file is another one. A place is counted before a connection is opened, so
// that opening happens outside the mutex.
#include "store/sqlite/connections.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "store/sqlite/errors.hpp"

namespace gatehouse::store::sqlite {

using auth::ErrorCode;
using auth::fail;
using auth::Result;

namespace {

std::chrono::milliseconds time_left(std::chrono::steady_clock::time_point deadline) {
  const auto left = deadline - std::chrono::steady_clock::now();
  return std::max(std::chrono::milliseconds::zero(), std::chrono::ceil<std::chrono::milliseconds>(left));
}

Result<FileState> state_of(const std::string& path) {
  struct stat file{};
  if (::stat(path.c_str(), &file) != 0) {
    return fail(ErrorCode::store_unavailable, path + ": " + std::generic_category().message(errno));
  }
  // Anything else could block in open(2).
  if (!S_ISREG(file.st_mode)) return fail(ErrorCode::store_unavailable, path + ": not a regular file");
  return FileState{{file.st_dev, file.st_ino}, file.st_size, file.st_mtim};
}

bool is_same(const FileState& a, const FileState& b) {
  return a.identity == b.identity && a.size == b.size && a.changed.tv_sec == b.changed.tv_sec &&
         a.changed.tv_nsec == b.changed.tv_nsec;
}

/// While somebody writes, or after a crash, a log lies beside the file and belongs to it.
bool has_log(const std::string& path) {
  struct stat log{};
  return ::stat((path + "-wal").c_str(), &log) != 0 ? errno != ENOENT : log.st_size > 0;
}

bool is_readable(const std::string& path) {
  return ::faccessat(AT_FDCWD, path.c_str(), R_OK, AT_EACCESS) == 0;
}

}  // namespace

// ── a lease
// ───────────────────────────────────────────────────────────────────────────────────────────────────────────

Lease::Lease(Connections& owner, Access access, std::unique_ptr<Connection> connection, FileState file)
    : owner_(&owner), access_(access), connection_(std::move(connection)), file_(file) {}

Lease::Lease(Lease&& other) noexcept
    : owner_(std::exchange(other.owner_, nullptr)),
      access_(other.access_),
      connection_(std::move(other.connection_)),
      file_(other.file_) {}

Lease::~Lease() {
  if (owner_ != nullptr) owner_->give_back(access_, std::move(connection_), file_.identity);
}

bool Lease::was_undisturbed() const {
  if (access_ != Access::immutable) return true;
  const auto now = state_of(owner_->path());
  return now && is_same(*now, file_) && !has_log(owner_->path());
}

// ── the file
// ──────────────────────────────────────────────────────────────────────────────────────────────────────────

Connections::Connections(std::string path, std::chrono::milliseconds busy_timeout, std::size_t max_readers)
    : path_(std::move(path)), busy_timeout_(busy_timeout), max_readers_(std::max<std::size_t>(1, max_readers)) {}

Connections::~Connections() {
  idle_readers_.clear();
  // A stopped gateway leaves one file that can be copied, not a file and a log.
  const auto file = state_of(path_);
  if (idle_writer_ && file && idle_writer_->file == file->identity)
    idle_writer_->connection->allow_checkpoint_on_close();
}

Result<FileState> Connections::look_at_file() {
  auto file = state_of(path_);
  if (!file) {
    const std::scoped_lock lock(mutex_);
    forget_files_but(std::nullopt);
  }
  return file;
}

void Connections::forget_files_but(const std::optional<FileIdentity>& current) {
  std::erase_if(idle_readers_, [&](const Idle& idle) { return idle.file != current; });
  if (idle_writer_ && idle_writer_->file != current) idle_writer_.reset();
}

// ── lending
// ───────────────────────────────────────────────────────────────────────────────────────────────────────────

Result<Lease> Connections::reader() {
  const Deadline deadline = std::chrono::steady_clock::now() + busy_timeout_;
  auto file = look_at_file();
  if (!file) return std::unexpected(std::move(file.error()));
  {
    std::unique_lock lock(mutex_);
    if (!reader_is_back_.wait_until(lock, deadline, [&] { return readers_out_ < max_readers_; })) {
      return fail(ErrorCode::store_unavailable, "every reading connection is busy");
    }
    ++readers_out_;
    forget_files_but(file->identity);
    if (!idle_readers_.empty()) {
      Idle idle = std::move(idle_readers_.back());
      idle_readers_.pop_back();
      idle.connection->set_busy_timeout(time_left(deadline));
      return Lease(*this, Access::read, std::move(idle.connection), FileState{.identity = idle.file});
    }
  }
  return open_reader(*file, deadline);
}

Result<Lease> Connections::writer() {
  const Deadline deadline = std::chrono::steady_clock::now() + busy_timeout_;
  auto file = look_at_file();
  if (!file) return std::unexpected(std::move(file.error()));
  {
    std::unique_lock lock(mutex_);
    if (!writer_is_back_.wait_until(lock, deadline, [&] { return !writer_is_out_; })) {
      return fail(ErrorCode::store_read_only, "the writing connection is busy");
    }
    writer_is_out_ = true;
    forget_files_but(file->identity);
    if (idle_writer_) {
      Idle idle = std::move(*idle_writer_);
      idle_writer_.reset();
      idle.connection->set_busy_timeout(time_left(deadline));
      return Lease(*this, Access::write, std::move(idle.connection), FileState{.identity = idle.file});
    }
  }
  return open_writer(*file, deadline);
}

Result<Lease> Connections::open_reader(FileState file, Deadline deadline) {
  Lease lease(*this, Access::read, nullptr, file);  // from here on the place is given back whatever happens
  auto opened = Connection::open(path_, Access::read, time_left(deadline));
  if (!opened && needs_writable_folder(opened.error()) && is_readable(path_) && !has_log(path_)) {
    lease.access_ = Access::immutable;
    opened = Connection::open(path_, Access::immutable, time_left(deadline));
  }
  if (!opened) return std::unexpected(environment_error(std::move(opened.error()), During::read));
  const auto now = state_of(path_);
  if (!now || now->identity != file.identity) return fail(ErrorCode::store_unavailable, path_ + ": was replaced");
  lease.connection_ = std::move(*opened);
  return lease;
}

Result<Lease> Connections::open_writer(FileState file, Deadline deadline) {
  Lease lease(*this, Access::write, nullptr, file);
  auto opened = Connection::open(path_, Access::write, time_left(deadline));
  if (!opened) {
    const During during = is_readable(path_) ? During::write : During::read;
    return std::unexpected(environment_error(std::move(opened.error()), during));
  }
  const auto now = state_of(path_);
  if (!now || now->identity != file.identity) return fail(ErrorCode::store_unavailable, path_ + ": was replaced");
  lease.connection_ = std::move(*opened);
  return lease;
}

void Connections::give_back(Access access, std::unique_ptr<Connection> connection, FileIdentity file) {
  // An open transaction means that the caller was interrupted: closing rolls it back.
  if (connection && (access == Access::immutable || connection->in_transaction())) connection.reset();
  {
    const std::scoped_lock lock(mutex_);
    if (access == Access::write) {
      writer_is_out_ = false;
      if (connection) idle_writer_ = Idle{std::move(connection), file};
    } else {
      --readers_out_;
      if (connection) idle_readers_.push_back(Idle{std::move(connection), file});
    }
  }
  (access == Access::write ? writer_is_back_ : reader_is_back_).notify_one();
}

}  // namespace gatehouse::store::sqlite
