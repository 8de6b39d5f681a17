// The login throttle: who waits, who never does, and that memory stays bounded.
#include "gateway/throttle.hpp"

#include <gtest/gtest.h>

namespace gatehouse::gateway {
namespace {

using namespace std::chrono_literals;

const Throttle::Time kStart{std::chrono::hours(1)};

TEST(Throttle, ABurstIsFreeThenOneTryAtATime) {
  Throttle throttle({.pair_burst = 3, .address_burst = 100, .leak = 30s, .max_entries = 100});
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(throttle.must_wait("192.0.2.1", "alice", kStart)) << i;
    throttle.note_failure("192.0.2.1", "alice", kStart);
  }
  EXPECT_EQ(throttle.must_wait("192.0.2.1", "alice", kStart), 30s);
  EXPECT_FALSE(throttle.must_wait("192.0.2.1", "alice", kStart + 30s));
}

TEST(Throttle, StrangersCannotLockTheOwnerOut) {
  Throttle throttle({.pair_burst = 3, .address_burst = 100, .leak = 30s, .max_entries = 100'000});
  for (int i = 0; i < 1000; ++i) throttle.note_failure("198.51.100." + std::to_string(i % 250), "alice", kStart);
  EXPECT_FALSE(throttle.must_wait("192.0.2.1", "alice", kStart));
}

TEST(Throttle, OneAddressWithManyNamesWaitsToo) {
  Throttle throttle({.pair_burst = 3, .address_burst = 5, .leak = 30s, .max_entries = 100});
  for (int i = 0; i < 5; ++i) throttle.note_failure("192.0.2.1", "user" + std::to_string(i), kStart);
  EXPECT_TRUE(throttle.must_wait("192.0.2.1", "another", kStart));
}

TEST(Throttle, Ipv6CountsByItsNetwork) {
  Throttle throttle({.pair_burst = 1, .address_burst = 100, .leak = 30s, .max_entries = 100});
  throttle.note_failure("2001:db8:1:2:3:4:5:6", "alice", kStart);
  EXPECT_TRUE(throttle.must_wait("2001:db8:1:2::99", "alice", kStart));
  EXPECT_FALSE(throttle.must_wait("2001:db8:1:3::99", "alice", kStart));
}

TEST(Throttle, MappedIpv4AddressesAreNotOneNetwork) {
  Throttle throttle({.pair_burst = 1, .address_burst = 100, .leak = 30s, .max_entries = 100});
  throttle.note_failure("::ffff:192.0.2.1", "alice", kStart);
  EXPECT_TRUE(throttle.must_wait("::ffff:192.0.2.1", "alice", kStart));
  EXPECT_FALSE(throttle.must_wait("::ffff:192.0.2.2", "alice", kStart));
}

TEST(Throttle, SuccessForgetsThePairOnly) {
  Throttle throttle({.pair_burst = 1, .address_burst = 2, .leak = 30s, .max_entries = 100});
  throttle.note_failure("192.0.2.1", "alice", kStart);
  throttle.note_success("192.0.2.1", "alice");
  EXPECT_FALSE(throttle.must_wait("192.0.2.1", "alice", kStart));
  throttle.note_failure("192.0.2.1", "bob", kStart);
  EXPECT_TRUE(throttle.must_wait("192.0.2.1", "alice", kStart)) << "the address has failed twice";
}

TEST(Throttle, AFloodOfNamesDoesNotGrowForEver) {
  Throttle throttle({.pair_burst = 2, .address_burst = 1e9, .leak = 30s, .max_entries = 50});
  for (int i = 0; i < 10'000; ++i) throttle.note_failure("192.0.2.1", "user" + std::to_string(i), kStart);
  EXPECT_FALSE(throttle.must_wait("192.0.2.9", "alice", kStart));
}

}  // namespace
}  // namespace gatehouse::gateway
