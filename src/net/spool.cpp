#include "net/spool.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace gatehouse::net {

namespace {

constexpr std::int64_t kGivenBackAtOnce = std::int64_t{1} << 18U;

int nameless_file() {
  const char* folder = std::getenv("TMPDIR");
  if (folder == nullptr || *folder == '\0') folder = "/tmp";
  return ::open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

}  // namespace

Spool::~Spool() {
  if (fd_ >= 0) ::close(fd_);
}

bool Spool::put(std::string_view bytes) {
  // The order must hold: once the file has begun, everything goes there until it is empty.
  const bool is_file_in_use = written_ > taken_;
  if (!is_file_in_use && in_memory() + bytes.size() <= memory_room_) {
    if (memory_taken_ > 0) memory_.erase(0, memory_taken_);
    memory_taken_ = 0;
    memory_.append(bytes);
    return true;
  }
  return put_in_file(bytes);
}

bool Spool::put_in_file(std::string_view bytes) {
  if (fd_ < 0) fd_ = nameless_file();
  if (fd_ < 0) return false;
  std::int64_t end = written_;
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(fd_, bytes.data(), bytes.size(), end);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    end += count;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  written_ = end;
  return true;
}

std::size_t Spool::take(std::span<char> into) {
  if (in_memory() > 0) {
    const std::size_t count = std::min(into.size(), in_memory());
    std::memcpy(into.data(), memory_.data() + memory_taken_, count);
    memory_taken_ += count;
    return count;
  }
  if (written_ == taken_) return 0;
  const auto wanted =
      static_cast<std::size_t>(std::min<std::int64_t>(written_ - taken_, static_cast<std::int64_t>(into.size())));
  ssize_t count = 0;
  do count = ::pread(fd_, into.data(), wanted, taken_);
  while (count < 0 && errno == EINTR);
  is_broken_ = count <= 0;
  if (is_broken_) return 0;
  taken_ += count;
  give_back();
  return static_cast<std::size_t>(count);
}

// Whoever reads slowly and never catches up would otherwise fill the disk with all that passes. A file system that
// cannot do it keeps the bytes until the end.
void Spool::give_back() {
  if (taken_ == written_ && ::ftruncate(fd_, 0) == 0) {
    taken_ = written_ = given_back_ = 0;
    return;
  }
  const std::int64_t size = taken_ - given_back_;
  if (size < kGivenBackAtOnce) return;
  if (::fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, given_back_, size) == 0) given_back_ = taken_;
}

}  // namespace gatehouse::net
