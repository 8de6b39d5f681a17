// Stored time, and who is asked for it. The core never looks at a clock by itself: rules take `now`.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>

namespace gatehouse::auth {

/// A point of wall-clock time as it is stored: Unix milliseconds.
using Timestamp = std::chrono::sys_time<std::chrono::milliseconds>;
using Milliseconds = std::chrono::milliseconds;

/// Adds. A row holds whatever somebody stored, and a caller may ask for any period: a sum beyond the range stays at its
/// end instead of wrapping into the past.
[[nodiscard]] inline Timestamp later_by(Timestamp time, Milliseconds period) {
  std::int64_t sum = 0;
  if (__builtin_add_overflow(time.time_since_epoch().count(), period.count(), &sum)) {
    sum = period.count() > 0 ? std::numeric_limits<std::int64_t>::max() : std::numeric_limits<std::int64_t>::min();
  }
  return Timestamp{Milliseconds{sum}};
}

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
