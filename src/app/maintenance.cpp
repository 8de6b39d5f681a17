#include "app/maintenance.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <utility>

#include "app/service_manager.hpp"

namespace gatehouse::app {

namespace {

using namespace std::chrono_literals;
namespace asio = net::asio;

constexpr auto kTidyInterval = 2s;
constexpr auto kFlushInterval = 1min;
constexpr auto kPruneInterval = 1h;
// Dead rows stay two days: a wall clock that jumped a day ahead and comes back must not have cost anybody a session.
constexpr auto kPruneGrace = 48h;
constexpr std::size_t kPruneBatch = 500;
constexpr int kSoon = 8;

// With a store that does not answer, every thread may be in a call for as long as one may take: for a connection, for
// the answer, and both once more after a failure. Or for as long as hashes take on a machine that swaps.
std::chrono::milliseconds longest_store_call(const config::Store& store) {
  return std::max<std::chrono::milliseconds>(30s, 3 * (store.mysql.acquire_timeout + store.mysql.timeout));
}

}  // namespace

Maintenance::Maintenance(asio::io_context& reactor, std::vector<asio::io_context*> reactors, House& house)
    : reactor_(reactor),
      house_(house),
      self_test_(std::move(reactors), house.pools(), longest_store_call(house.config().store)),
      tidy_timer_(reactor),
      flush_timer_(reactor),
      prune_timer_(reactor),
      watchdog_timer_(reactor) {}

void Maintenance::start() {
  asio::co_spawn(reactor_, tidy_downstreams(), asio::detached);
  asio::co_spawn(reactor_, flush_each_minute(), asio::detached);
  asio::co_spawn(reactor_, prune_each_hour(), asio::detached);
  if (const auto interval = service_manager::watchdog_interval()) {
    const auto half = std::chrono::duration_cast<std::chrono::milliseconds>(*interval / 2);
    asio::co_spawn(reactor_, feed_watchdog(half), asio::detached);
  }
}

void Maintenance::stop() {
  asio::post(reactor_, [this] {
    is_stopped_ = true;
    tidy_timer_.cancel();
    flush_timer_.cancel();
    prune_timer_.cancel();
    watchdog_timer_.cancel();
  });
}

net::Task<bool> Maintenance::pause(Timer& timer, std::chrono::milliseconds span) {
  if (is_stopped_) co_return false;
  timer.expires_after(span);
  boost::system::error_code ignored;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  co_return !is_stopped_;
}

net::Task<> Maintenance::tidy_downstreams() {
  while (co_await pause(tidy_timer_, kTidyInterval)) {
    const auto settings = house_.gateway().settings();
    for (const auto& [name, downstream] : settings->downstreams) downstream->tidy();
  }
}

net::Task<> Maintenance::flush_each_minute() {
  while (co_await pause(flush_timer_, kFlushInterval)) {
    const auto done = co_await house_.write_pool().run([this] {
      house_.write_last_uses();
      return true;
    });
    if (!done) house_.log().write(ops::LogLevel::warn, "busy", {{"reason", "last_used_at waits for the store"}});
  }
}

// A batch at a time, until one is not full: the writer is free for others in between.
net::Task<> Maintenance::prune_each_hour() {
  bool is_more = false;
  while (true) {
    if (!is_more) {
      const bool goes_on = co_await pause(prune_timer_, kPruneInterval);
      if (!goes_on) co_return;
    }
    const auto settings = house_.gateway().settings();
    // By reference: GCC 12 destroys a capture twice that is an object and stands in an awaited expression.
    auth::Auth& auth = *settings->auth;
    const auto done = co_await house_.write_pool().run([&auth] { return auth.sweep(kPruneBatch, kPruneGrace); });
    if (is_stopped_) co_return;
    is_more = done && *done && **done == kPruneBatch;
    if (done && !*done) house_.log().write(ops::LogLevel::warn, "prune_failed", {{"detail", done->error().detail}});
  }
}

// A process that accepts and no longer answers must be restarted. One that was only held up is asked again soon.
net::Task<> Maintenance::feed_watchdog(std::chrono::milliseconds interval) {
  bool has_passed = true;
  while (true) {
    self_test_.ask();
    const bool goes_on = co_await pause(watchdog_timer_, has_passed ? interval : interval / kSoon);
    if (!goes_on) co_return;
    has_passed = self_test_.passed();
    if (has_passed) service_manager::feed_watchdog();
  }
}

}  // namespace gatehouse::app
