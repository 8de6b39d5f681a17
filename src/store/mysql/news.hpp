// What is told of a host, and how often: the same at most once a minute. Pure: whoever uses it says what time it is.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>

namespace gatehouse::store::mysql {

/// Not thread-safe.
class News {
 public:
  using Time = std::chrono::steady_clock::time_point;

  enum class Topic { down, up, read_only, clock };

  /// Whether it is to be told now; if so it counts as told. `up` is news only after `down` was told.
  [[nodiscard]] bool is_due(Topic topic, Time now) {
    if (topic == Topic::up && !said_down_) return false;
    std::optional<Time>& last = last_.at(static_cast<std::size_t>(topic));
    if (last && now - *last < kPause) return false;
    last = now;
    if (topic == Topic::down) said_down_ = true;
    if (topic == Topic::up) said_down_ = false;
    return true;
  }

 private:
  static constexpr std::chrono::minutes kPause{1};

  std::array<std::optional<Time>, 4> last_;
  bool said_down_ = false;
};

}  // namespace gatehouse::store::mysql
