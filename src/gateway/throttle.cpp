#include "gateway/throttle.hpp"

#include <arpa/inet.h>
#include <algorithm>
#include <array>
#include <cmath>

namespace gatehouse::gateway {

namespace {

std::string network_of(std::string_view address) {
  std::string text(address);
  std::array<unsigned char, 16> bytes{};
  if (inet_pton(AF_INET6, text.c_str(), bytes.data()) != 1) return text;
  // An IPv4 visitor of a socket for both families: its "network" would be everybody's.
  constexpr std::array<unsigned char, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (std::equal(kMapped.begin(), kMapped.end(), bytes.begin())) return text;
  return std::string(reinterpret_cast<const char*>(bytes.data()), 8);
}

std::string pair_key(std::string_view address, std::string_view name) {
  std::string key = network_of(address);
  key += '\0';
  key += name;
  return key;
}

}  // namespace

double Throttle::level(const Buckets& buckets, const std::string& key, Time now) const {
  const auto found = buckets.find(key);
  if (found == buckets.end()) return 0;
  const std::chrono::duration<double> passed = now - found->second.at;
  return std::max(0.0, found->second.level - passed / limits_.leak);
}

std::optional<std::chrono::seconds> Throttle::must_wait(std::string_view address, std::string_view name, Time now) {
  const std::scoped_lock lock(mutex_);
  const double over = std::max(level(pairs_, pair_key(address, name), now) - (limits_.pair_burst - 1),
                               level(addresses_, network_of(address), now) - (limits_.address_burst - 1));
  if (over <= 0) return std::nullopt;
  const auto seconds = static_cast<std::int64_t>(std::ceil(over * static_cast<double>(limits_.leak.count())));
  return std::chrono::seconds(std::max<std::int64_t>(1, seconds));
}

void Throttle::note_failure(std::string_view address, std::string_view name, Time now) {
  const std::scoped_lock lock(mutex_);
  fill(pairs_, pair_key(address, name), now);
  fill(addresses_, network_of(address), now);
}

void Throttle::note_success(std::string_view address, std::string_view name) {
  const std::scoped_lock lock(mutex_);
  pairs_.erase(pair_key(address, name));
}

void Throttle::fill(Buckets& buckets, const std::string& key, Time now) {
  if (buckets.size() >= limits_.max_entries) forget_empty(buckets, now);
  const double filled = level(buckets, key, now) + 1;
  buckets[key] = {filled, now};
}

// Memory stays bounded whoever floods: buckets that have leaked empty go first, then, if none has, all of them.
void Throttle::forget_empty(Buckets& buckets, Time now) {
  std::erase_if(buckets, [&](const auto& entry) {
    const std::chrono::duration<double> passed = now - entry.second.at;
    return entry.second.level - passed / limits_.leak <= 0;
  });
  if (buckets.size() >= limits_.max_entries) buckets.clear();
}

}  // namespace gatehouse::gateway
