// Stored time, and who is asked for it. The core never looks at a clock by itself: rules take `now`.
#pragma once

#include <chrono>

namespace gatehouse::auth {

/// A point of wall-clock time as it is stored: Unix milliseconds.
using Timestamp = std::chrono::sys_time<std::chrono::milliseconds>;
using Milliseconds = std::chrono::milliseconds;

/// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual Timestamp now() const = 0;
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] Timestamp now() const override {
    return std::chrono::time_point_cast<Milliseconds>(std::chrono::system_clock::now());
  }
};

}  // namespace gatehouse::auth
