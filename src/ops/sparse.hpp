// Keeps a fault that meets every request from filling the log: one line a minute says it, and how often it was not
// said.
#pragma once

#include <chrono>
#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace gatehouse::ops {

/// Thread-safe.
class Sparse {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit Sparse(std::chrono::seconds interval = std::chrono::minutes(1)) : interval_(interval) {}

  /// Returns how often it has held back since the last line, if a line is due at `now`; nullopt: hold back this one
  /// too.
  [[nodiscard]] std::optional<std::size_t> take(Time now) {
    const std::scoped_lock lock(mutex_);
    if (last_ && now - *last_ < interval_) {
      ++held_back_;
      return std::nullopt;
    }
    last_ = now;
    return std::exchange(held_back_, 0);
  }

 private:
  const std::chrono::seconds interval_;
  std::mutex mutex_;
  // guarded by mutex_
  std::optional<Time> last_;
  std::size_t held_back_ = 0;
};

/// `text`, and how many lines it stands for besides its own.
[[nodiscard]] inline std::string with_count(std::string text, std::size_t held_back) {
  if (held_back == 0) return text;
  return std::move(text) + " (and " + std::to_string(held_back) + " times more since it was last said)";
}

}  // namespace gatehouse::ops
