// Slows down guessing. Two leaky buckets in memory: one for an address and a name together, one for an address.
//
// There is no counter for a name alone, on purpose: with one, a stranger could lock the owner out. Nothing is stored,
// so each process counts for itself and a restart forgets.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace gatehouse::gateway {

struct ThrottleLimits {
  double pair_burst = 10;         ///< failures of one address for one name before it must wait
  double address_burst = 100;     ///< failures of one address before it must wait
  std::chrono::seconds leak{30};  ///< one failure is forgotten in this time
  std::size_t max_entries = 100'000;
};

/// Thread-safe.
class Throttle {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit Throttle(ThrottleLimits limits = {}) : limits_(limits) {}

  /// Returns how long this address must wait before it may try this name; nullopt: it may try now.
  /// IPv6 addresses count by their /64. Source: facts on login throttling; NIST SP 800-63B section 3.2.2.
  [[nodiscard]] std::optional<std::chrono::seconds> must_wait(std::string_view address, std::string_view name,
                                                              Time now);
  void note_failure(std::string_view address, std::string_view name, Time now);
  /// Forgets the failures of this address for this name, not those of the address.
  void note_success(std::string_view address, std::string_view name);

 private:
  struct Bucket {
    double level = 0;
    Time at;
  };
  using Buckets = std::unordered_map<std::string, Bucket>;
  [[nodiscard]] double level(const Buckets& buckets, const std::string& key, Time now) const;
  void fill(Buckets& buckets, const std::string& key, Time now);
  void forget_empty(Buckets& buckets, Time now);

  const ThrottleLimits limits_;
  std::mutex mutex_;
  // guarded by mutex_
  Buckets pairs_;
  Buckets addresses_;
};

}  // namespace gatehouse::gateway
