// A place among a bounded number of requests, given back on every path out.
#pragma once

#include <atomic>
#include <cstddef>

namespace gatehouse::gateway {

/// Thread-safe. The counter outlives it.
class Slot {
 public:
  Slot(std::atomic<std::size_t>& running, std::size_t max) : running_(running) {
    is_taken_ = running_.fetch_add(1) < max;
    if (!is_taken_) running_.fetch_sub(1);
  }
  ~Slot() {
    if (is_taken_) running_.fetch_sub(1);
  }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;
  /// False: all places were taken.
  [[nodiscard]] bool is_taken() const { return is_taken_; }

 private:
  std::atomic<std::size_t>& running_;
  bool is_taken_ = false;
};

}  // namespace gatehouse::gateway
