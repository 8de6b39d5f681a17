// Bytes that must wait: in memory first, then in a temporary file without a name.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace gatehouse::net {

/// A first-in, first-out store of bytes. Confined to one thread. The file lies in $TMPDIR, else /tmp, and is gone with
/// this object or the process; what was taken from it is given back to the file system. Reads and writes of it go to
/// the page cache and are made where they are called.
class Spool {
 public:
  static constexpr std::size_t kInMemory = std::size_t{1} << 20U;

  /// `in_memory`: as many bytes are kept in memory, what comes beyond them in the file.
  explicit Spool(std::size_t in_memory = kInMemory) : memory_room_(in_memory) {}
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  /// Appends bytes. Returns false, with errno set, if the file could not be made or written: then nothing was put in.
  [[nodiscard]] bool put(std::string_view bytes);
  /// Takes the oldest bytes, at most `into.size()`; 0 if there are none, or if the file cannot be read (`is_broken`).
  [[nodiscard]] std::size_t take(std::span<char> into);
  [[nodiscard]] bool empty() const { return in_memory() == 0 && written_ == taken_; }
  [[nodiscard]] bool is_broken() const { return is_broken_; }

 private:
  [[nodiscard]] std::size_t in_memory() const { return memory_.size() - memory_taken_; }
  [[nodiscard]] bool put_in_file(std::string_view bytes);
  void give_back();

  const std::size_t memory_room_;
  std::string memory_;  // the oldest bytes; what came after it was full is in the file
  std::size_t memory_taken_ = 0;
  int fd_ = -1;
  std::int64_t written_ = 0;
  std::int64_t taken_ = 0;
  std::int64_t given_back_ = 0;
  bool is_broken_ = false;
};

}  // namespace gatehouse::net
