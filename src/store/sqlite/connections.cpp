// Lending, waiting and noticing that the file is another one. A place is counted before a connection is opened, so
// that opening happens outside the mutex.
//
// A log says nothing of the file that it belongs to, and SQLite finds it by its name. So whoever puts another file in
// the place of the database, and leaves the log beside it, would see the old one go on, or a mixture of the two. That
// is why nobody opens the new file before every connection to the old one is closed and its log is out of the way.
#include "store/sqlite/connections.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <system_error>
#include <utility>

#include "store/sql/errors.hpp"
#include "store/sqlite/errors.hpp"
#include "store/sqlite/log_claim.hpp"

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
  return FileState{path, {file.st_dev, file.st_ino}, file.st_size, file.st_mtim};
}

bool is_same(const FileState& a, const FileState& b) {
  return a.identity == b.identity && a.size == b.size && a.changed.tv_sec == b.changed.tv_sec &&
         a.changed.tv_nsec == b.changed.tv_nsec;
}

std::optional<FileIdentity> identity_at(const std::string& path) {
  struct stat file{};
  if (::stat(path.c_str(), &file) != 0) return std::nullopt;
  return FileIdentity{file.st_dev, file.st_ino};
}

/// While somebody writes, or after a crash, a log lies beside the file and belongs to it.
bool has_log(const std::string& path) {
  struct stat log{};
  return ::stat((path + "-wal").c_str(), &log) != 0 ? errno != ENOENT : log.st_size > 0;
}

/// SQLite follows links before it names the log.
std::string own_name(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> name(::realpath(path.c_str(), nullptr), &std::free);
  return name ? name.get() : path;
}

bool is_readable(const std::string& path) {
  return ::faccessat(AT_FDCWD, path.c_str(), R_OK, AT_EACCESS) == 0;
}

}  // namespace

// ---- A pin ----

Pin::Pin(const std::string& path) : descriptor_(::open(path.c_str(), O_PATH | O_CLOEXEC)) {
  struct stat file{};
  if (descriptor_ >= 0 && ::fstat(descriptor_, &file) == 0) identity_ = FileIdentity{file.st_dev, file.st_ino};
}

Pin::~Pin() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Pin::Pin(Pin&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)), identity_(other.identity_) {}

Pin& Pin::operator=(Pin&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(identity_, other.identity_);
  return *this;
}

// ---- A lease ----

Lease::Lease(Connections& owner, Access access, std::unique_ptr<Connection> connection, FileState file)
    : owner_(&owner), access_(access), connection_(std::move(connection)), file_(std::move(file)) {}

Lease::Lease(Lease&& other) noexcept
    : owner_(std::exchange(other.owner_, nullptr)),
      access_(other.access_),
      connection_(std::move(other.connection_)),
      file_(std::move(other.file_)) {}

Lease::~Lease() {
  if (owner_ != nullptr) owner_->give_back(access_, std::move(connection_));
}

bool Lease::was_undisturbed() const {
  if (access_ != Access::immutable) return true;
  const auto now = state_of(owner_->path());
  return now && is_same(*now, file_) && !has_log(file_.path);
}

// ---- The file ----

Connections::Connections(std::string path, std::chrono::milliseconds busy_timeout, std::size_t max_readers)
    : path_(std::move(path)), busy_timeout_(busy_timeout), max_readers_(std::max<std::size_t>(1, max_readers)) {}

Connections::~Connections() {
  // If it fails, others still use the old file, or the log holds what the file does not: it stays, and is asked about.
  if (place_ && !is_in_place()) {
    [[maybe_unused]] const auto ignored = leave_place(busy_timeout_);
  }
  idle_readers_.clear();
  // A stopped gateway leaves one file that can be copied, not a file and a log.
  if (idle_writer_ && is_in_place()) idle_writer_->allow_checkpoint_on_close();
  idle_writer_.reset();
  if (place_) forget_log(place_->path);
}

bool Connections::is_in_place() const {
  const auto leads = [](const std::string& path, const Pin& pin) {
    return !pin.identity() || pin.identity() == identity_at(path);
  };
  return place_ && leads(path_, place_->file) && leads(place_->log_path(), place_->log) &&
         leads(place_->index_path(), place_->index);
}

Result<FileState> Connections::take_place() {
  auto file = state_of(path_);
  if (!file) return file;
  if (place_) {
    file->path = place_->path;
    return file;
  }
  file->path = own_name(path_);
  Place place{.path = file->path, .file = Pin(file->path)};
  if (place.file.identity() != file->identity) {
    return fail(ErrorCode::store_unavailable, path_ + ": was replaced, or there is no descriptor left for it");
  }
  if (is_of_another_file(file->path, file->identity)) {
    return fail(ErrorCode::store_unavailable,
                place.log_path() + ": belongs to another file than the one that is there now; a running gateway puts " +
                    "it aside with its next request, else move it away, or, if it is this file's log, remove " +
                    file->path + ".lock");
  }
  place_ = std::move(place);
  return file;
}

// Through a connection, and so by descriptors, never by name: whatever became of the old file, it is whole then. False
// if that is not possible at this moment.
bool Connections::fold_log(std::chrono::milliseconds patience) {
  Connection* last = idle_writer_ ? idle_writer_.get() : nullptr;
  if (last == nullptr && !idle_readers_.empty()) last = idle_readers_.back().get();
  if (last == nullptr) return true;
  last->set_busy_timeout(patience);
  return last->fold_log();
}

Result<void> Connections::leave_place(std::chrono::milliseconds patience) {
  const auto& log = place_->log.identity();
  // A link that leads elsewhere now leaves the old file, and its log, where they were.
  const bool file_stayed = place_->file.identity() == identity_at(place_->path);
  const bool log_stayed = log && log == identity_at(place_->log_path());
  const bool log_is_left = log_stayed && !file_stayed;
  // A log that was removed beside its file holds what nobody else knows; one that went with its file is read there.
  const bool log_was_removed = log && file_stayed && !log_stayed && !has_log(place_->path);
  if ((log_is_left || log_was_removed) && !fold_log(patience)) {
    return fail(ErrorCode::store_unavailable,
                path_ + ": was replaced, and its log cannot be folded into the old file at this moment");
  }
  idle_readers_.clear();
  idle_writer_.reset();
  if (log_is_left && !put_log_aside(place_->path, *log)) {
    return fail(ErrorCode::store_unavailable,
                path_ + ": was replaced, and its old log cannot be put aside: " + place_->log_path());
  }
  place_.reset();
  return {};
}

// ---- Lending ----

bool Connections::has_turn(Access access) const {
  return access == Access::write ? !writer_is_out_ : readers_out_ < max_readers_;
}

Result<FileState> Connections::wait_for_turn(std::unique_lock<std::mutex>& lock, Access access, Deadline deadline) {
  while (true) {
    const bool is_elsewhere = place_ && !is_in_place();
    const bool is_quiet = readers_out_ == 0 && !writer_is_out_;
    if (is_elsewhere && is_quiet) {
      auto left = leave_place(std::chrono::milliseconds::zero());
      if (!left) return std::unexpected(std::move(left.error()));
      continue;
    }
    if (!is_elsewhere) {
      auto file = take_place();
      if (!file || has_turn(access)) return file;
    }
    if (std::chrono::steady_clock::now() >= deadline) {
      if (is_elsewhere)
        return fail(ErrorCode::store_unavailable, path_ + ": was replaced, and we still use the old file");
      if (access == Access::write) return fail(ErrorCode::store_read_only, "the writing connection is busy");
      return fail(ErrorCode::store_unavailable, "every reading connection is busy");
    }
    is_back_.wait_until(lock, deadline);
  }
}

Result<Lease> Connections::reader() {
  const Deadline deadline = std::chrono::steady_clock::now() + busy_timeout_;
  std::unique_lock lock(mutex_);
  auto file = wait_for_turn(lock, Access::read, deadline);
  if (!file) return std::unexpected(std::move(file.error()));
  ++readers_out_;
  if (idle_readers_.empty()) {
    lock.unlock();
    return open_reader(*file, deadline);
  }
  std::unique_ptr<Connection> idle = std::move(idle_readers_.back());
  idle_readers_.pop_back();
  idle->set_busy_timeout(time_left(deadline));
  return Lease(*this, Access::read, std::move(idle), *file);
}

Result<Lease> Connections::writer() {
  const Deadline deadline = std::chrono::steady_clock::now() + busy_timeout_;
  std::unique_lock lock(mutex_);
  auto file = wait_for_turn(lock, Access::write, deadline);
  if (!file) return std::unexpected(std::move(file.error()));
  writer_is_out_ = true;
  if (!idle_writer_) {
    lock.unlock();
    return open_writer(*file, deadline);
  }
  idle_writer_->set_busy_timeout(time_left(deadline));
  return Lease(*this, Access::write, std::move(idle_writer_), *file);
}

Result<Lease> Connections::open_reader(FileState file, Deadline deadline) {
  Lease lease(*this, Access::read, nullptr, std::move(file));  // from here on the place is given back whatever happens
  auto opened = Connection::open(lease.file_path(), Access::read, time_left(deadline));
  if (!opened && needs_writable_folder(opened.error()) && is_readable(lease.file_path()) &&
      !has_log(lease.file_path())) {
    lease.access_ = Access::immutable;
    opened = Connection::open(lease.file_path(), Access::immutable, time_left(deadline));
  }
  if (!opened) return std::unexpected(sql::environment_error(std::move(opened.error()), sql::During::read));
  if (!was_opened_in_place()) return fail(ErrorCode::store_unavailable, path_ + ": was replaced");
  lease.connection_ = std::move(*opened);
  return lease;
}

Result<Lease> Connections::open_writer(FileState file, Deadline deadline) {
  Lease lease(*this, Access::write, nullptr, std::move(file));
  auto opened = Connection::open(lease.file_path(), Access::write, time_left(deadline));
  if (!opened) {
    const sql::During during = is_readable(lease.file_path()) ? sql::During::write : sql::During::read;
    return std::unexpected(sql::environment_error(std::move(opened.error()), during));
  }
  if (!was_opened_in_place()) return fail(ErrorCode::store_unavailable, path_ + ": was replaced");
  lease.connection_ = std::move(*opened);
  return lease;
}

bool Connections::was_opened_in_place() {
  const std::scoped_lock lock(mutex_);
  // As long as something is lent the place stays the same one.
  if (!place_->log.identity()) place_->log = Pin(place_->log_path());
  if (!place_->index.identity()) place_->index = Pin(place_->index_path());
  return is_in_place() && claim_log();
}

// Two that open two files beside one log: the first has it.
bool Connections::claim_log() {
  if (place_->claim || !place_->log.identity()) return true;
  place_->claim = sqlite::claim_log(place_->path, *place_->file.identity(), *place_->log.identity());
  if (place_->claim) return true;
  place_->log = Pin();  // nothing that we should fold or move
  place_->index = Pin();
  return false;
}

void Connections::give_back(Access access, std::unique_ptr<Connection> connection) {
  // An open transaction means that the caller was interrupted: closing rolls it back.
  if (connection && (access == Access::immutable || connection->in_transaction())) connection.reset();
  {
    const std::scoped_lock lock(mutex_);
    if (access == Access::write) {
      writer_is_out_ = false;
      idle_writer_ = std::move(connection);
    } else {
      --readers_out_;
      if (connection) idle_readers_.push_back(std::move(connection));
    }
  }
  is_back_.notify_all();
}

}  // namespace gatehouse::store::sqlite
