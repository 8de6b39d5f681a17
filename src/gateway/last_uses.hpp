// Which sessions were used lately, gathered so that last_used_at costs one write a minute and not one a request.
#pragma once

#include <mutex>
#include <set>
#include <vector>

#include "auth/store.hpp"

namespace gatehouse::gateway {

/// Thread-safe. Bounded: sessions beyond kMaxNoted in one interval keep their older last_used_at.
class LastUses {
 public:
  static constexpr std::size_t kMaxNoted = 100'000;

  void note(const auth::SessionId& id) {
    const std::scoped_lock lock(mutex_);
    if (noted_.size() < kMaxNoted) noted_.insert(id);
  }

  /// Takes everything noted since the last call, as used at `now`.
  [[nodiscard]] std::vector<auth::LastUse> take(auth::Timestamp now) {
    std::set<auth::SessionId> taken;
    {
      const std::scoped_lock lock(mutex_);
      taken.swap(noted_);
    }
    std::vector<auth::LastUse> uses;
    uses.reserve(taken.size());
    for (const auth::SessionId& id : taken) uses.push_back({id, now});
    return uses;
  }

 private:
  std::mutex mutex_;
  std::set<auth::SessionId> noted_;  // guarded by mutex_
};

}  // namespace gatehouse::gateway
