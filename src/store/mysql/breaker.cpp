#include "store/mysql/breaker.hpp"

#include <algorithm>

namespace gatehouse::store::mysql {

bool Breaker::allows(Time now) const {
  return !is_open_ || (!is_probing_ && now >= retry_at_);
}

bool Breaker::begin() {
  is_probing_ = is_open_;
  return is_probing_;
}

void Breaker::succeed() {
  is_open_ = false;
  is_probing_ = false;
  failures_ = 0;
  pause_ = kFirstPause;
}

void Breaker::fail(Failure failure, Time now, bool is_probe) {
  // Those that had begun before it opened come back one after the other: they are no news.
  if (is_open_ && !is_probe) return;
  if (is_open_) {
    is_probing_ = false;
    pause_ = std::min<Duration>(pause_ * 2, kLongestPause);
  } else if (++failures_; failure == Failure::doubtful && failures_ < kDoubtfulFailures) {
    return;
  }
  is_open_ = true;
  retry_at_ = now + jittered(pause_);
}

/// Between half of it and all of it: xorshift, for it need not be unpredictable, only different.
Breaker::Duration Breaker::jittered(Duration pause) {
  random_ ^= random_ << 13U;
  random_ ^= random_ >> 7U;
  random_ ^= random_ << 17U;
  return pause / 2 + Duration(static_cast<Duration::rep>(random_ % static_cast<std::uint64_t>(pause.count() / 2 + 1)));
}

}  // namespace gatehouse::store::mysql
