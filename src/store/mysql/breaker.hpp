// When a host that fails is left alone, and when it is asked again. Pure: whoever uses it says what time it is.
#pragma once

#include <chrono>
#include <cstdint>

namespace gatehouse::store::mysql {

/// A circuit breaker. Not thread-safe.
///
/// Closed: everybody may try. Three failures in a row, or one that leaves no doubt, open it: nobody may try until a
/// pause is over, then one at a time may, as a probe. A probe that fails doubles the pause, from 50 ms to 2 s; one that
/// succeeds closes the breaker.
class Breaker {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Duration = std::chrono::steady_clock::duration;

  enum class Failure {
    doubtful,  ///< took too long
    certain,   ///< refused: by the kernel, by the server (wrong password), by us (wrong certificate)
  };

  static constexpr int kDoubtfulFailures = 3;
  static constexpr std::chrono::milliseconds kFirstPause{50};
  static constexpr std::chrono::milliseconds kLongestPause{2'000};

  /// `seed` makes the pauses of several gateways differ.
  explicit Breaker(std::uint64_t seed) : random_(seed | 1U) {}

  /// Whether one may try now. Changes nothing.
  [[nodiscard]] bool allows(Time now) const;
  /// Announces a try that allows() allowed, and returns whether it is the probe: nobody else may try until it has
  /// succeeded or failed.
  [[nodiscard]] bool begin();
  void succeed();
  void fail(Failure failure, Time now, bool is_probe);

  [[nodiscard]] bool is_open() const { return is_open_; }
  /// When the next probe may be. Meaningful while it is open.
  [[nodiscard]] Time retry_at() const { return retry_at_; }

 private:
  [[nodiscard]] Duration jittered(Duration pause);

  std::uint64_t random_;
  bool is_open_ = false;
  bool is_probing_ = false;
  int failures_ = 0;
  Duration pause_ = kFirstPause;
  Time retry_at_{};
};

}  // namespace gatehouse::store::mysql
