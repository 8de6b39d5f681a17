#include "app/self_test.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <utility>

namespace gatehouse::app {

namespace asio = net::asio;

SelfTest::SelfTest(std::vector<asio::io_context*> reactors, std::vector<net::WorkerPool*> pools,
                   std::chrono::milliseconds longest_call)
    : reactors_(std::move(reactors)), pools_(std::move(pools)), longest_call_(longest_call) {}

void SelfTest::ask() {
  answered_ = std::make_shared<std::atomic<std::size_t>>(0);
  for (asio::io_context* reactor : reactors_) asio::post(*reactor, [answered = answered_] { ++*answered; });
  for (net::WorkerPool* pool : pools_) pool->probe();
}

bool SelfTest::passed() const {
  const bool is_stuck =
      std::ranges::any_of(pools_, [this](net::WorkerPool* pool) { return pool->is_stuck(longest_call_); });
  return answered_ && *answered_ == reactors_.size() && !is_stuck;
}

}  // namespace gatehouse::app
