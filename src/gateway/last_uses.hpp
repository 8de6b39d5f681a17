// Which sessions were used lately, gathered so that last_used_at costs one write a minute and not one a request.
#pragma once

#include <map>
#include <mutex>
#include <vector>

#include "auth/store.hpp"

namespace gatehouse::gateway {

/// Thread-safe. Bounded: sessions beyond kMaxNoted in one interval keep their older last_used_at.
class LastUses {
 public:
  static constexpr std::size_t kMaxNoted = 100'000;

  void note(const auth::SessionRow& row) {
    const std::scoped_lock lock(mutex_);
    if (noted_.size() < kMaxNoted) noted_.try_emplace(row.id, row.last_used_at);
  }

  /// Takes everything noted since the last call, as used at `now`, but for the sessions whose row says that they were
  /// used less than `at_least` ago: a process that lives for one request would write with each of them.
  [[nodiscard]] std::vector<auth::LastUse> take(auth::Timestamp now,
                                                auth::Milliseconds at_least = auth::Milliseconds(0)) {
    std::map<auth::SessionId, auth::Timestamp> taken;
    {
      const std::scoped_lock lock(mutex_);
      taken.swap(noted_);
    }
    std::vector<auth::LastUse> uses;
    uses.reserve(taken.size());
    for (const auto& [id, last_used_at] : taken) {
      if (now - last_used_at >= at_least) uses.push_back({id, now});
    }
    return uses;
  }

 private:
  std::mutex mutex_;
  std::map<auth::SessionId, auth::Timestamp> noted_;  // guarded by mutex_; when each was used before
};

}  // namespace gatehouse::gateway
