// A place among a bounded number of requests, given back on every path out.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

namespace gatehouse::gateway {

/// Thread-safe. It keeps the counter: after a reload and a hard stop it may outlive whoever counts by it.
class Slot {
 public:
  using Counter = std::shared_ptr<std::atomic<std::size_t>>;
  [[nodiscard]] static Counter make_counter() { return std::make_shared<std::atomic<std::size_t>>(0); }

  Slot(Counter running, std::size_t max) : running_(std::move(running)) {
    is_taken_ = running_->fetch_add(1) < max;
    if (!is_taken_) running_->fetch_sub(1);
  }
  ~Slot() {
    if (is_taken_) running_->fetch_sub(1);
  }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;
  /// False: all places were taken.
  [[nodiscard]] bool is_taken() const { return is_taken_; }

 private:
  const Counter running_;
  bool is_taken_ = false;
};

}  // namespace gatehouse::gateway
