// Nobody talks to a server, closes a connection or tells news while holding the mutex.
#include "store/mysql/hosts.hpp"

#include <algorithm>
#include <random>

namespace gatehouse::store::mysql {

using sql::Problem;
using sql::SqlError;
using sql::SqlResult;

namespace {

using std::chrono::steady_clock;

// A host that was read-only is asked again after this, if nothing better is there.
constexpr std::chrono::seconds kReadOnlyPause{2};
// Beyond this a clock is news: expiries are written by ours, and read by everybody's.
constexpr std::chrono::seconds kClockTolerance{2};

std::uint64_t seed() {
  static thread_local std::random_device device;
  return (std::uint64_t{device()} << 32U) | device();
}

/// ±10 %: connections that were made together do not end together.
Deadline end_of_life(std::chrono::milliseconds lifetime) {
  const auto part = static_cast<std::chrono::milliseconds::rep>(seed() % 201) - 100;
  return steady_clock::now() + lifetime + lifetime * part / 1'000;
}

bool may_be_used_again(Aftermath trouble) {
  switch (trouble) {
    case Aftermath::nothing:
    case Aftermath::refused:
    case Aftermath::no_match:
    case Aftermath::deadlock: return true;
    case Aftermath::stale:
    case Aftermath::read_only:  // behind a name there may be another host by now
    case Aftermath::suspect:
    case Aftermath::lost:
    case Aftermath::silent: return false;
  }
  std::unreachable();
}

}  // namespace

Slot::~Slot() {
  if (owner_ == nullptr) return;
  {
    const std::scoped_lock lock(owner_->mutex_);
    owner_->put_back(*this);
  }
  owner_->is_back_.notify_all();
}

Lease::~Lease() {
  if (pooled_.connection) slot_.owner()->give_back(std::move(slot_), host_, std::move(pooled_), is_in_order_);
}

Hosts::Hosts(MySqlOptions options) : options_(std::move(options)) {
  for (std::size_t i = 0; i < options_.hosts.size(); ++i) hosts_.emplace_back(seed());
}

Hosts::~Hosts() = default;

// ── which host ──────────────────────────────────────────────────────────────────────────────────────────────────────

SqlResult<Lease> Hosts::acquire(Purpose purpose, Deadline deadline) {
  auto slot = take_slot(purpose, std::min(deadline, steady_clock::now() + options_.acquire_timeout));
  if (!slot) {
    const std::string use = purpose == Purpose::read ? "in use: " : "in use that writes may have: ";
    const std::string count = std::to_string(limit_for(purpose));
    return std::unexpected(SqlError{Problem::unavailable, "all connections are " + use + count});
  }
  std::optional<SqlError> first_error;
  std::optional<std::pair<std::size_t, Pooled>> read_only;  // the next best
  for (const std::size_t host : candidates()) {
    if (steady_clock::now() >= deadline) break;
    auto pooled = connection_to(host, deadline);
    if (!pooled) {
      // Not down: a replica that lags behind would not know who has just logged in, and still know who has logged out.
      if (is_full(pooled.error().code)) return std::unexpected(std::move(pooled.error()));
      if (!first_error) first_error = std::move(pooled.error());
      continue;
    }
    if (is_writable(host, *pooled->connection, purpose, deadline)) {
      set_current(host);
      return Lease(std::move(*slot), host, std::move(*pooled));
    }
    if (!read_only) read_only.emplace(host, std::move(*pooled));
  }
  if (!read_only) {
    return std::unexpected(std::move(first_error).value_or(SqlError{Problem::unavailable, "no host answered in time"}));
  }
  set_current(read_only->first);
  Lease lease(std::move(*slot), read_only->first, std::move(read_only->second));
  if (purpose == Purpose::read) return lease;
  lease.set_in_order();
  return std::unexpected(SqlError{Problem::read_only, "the server is read-only"});
}

std::size_t Hosts::limit_for(Purpose purpose) const {
  const std::size_t all = options_.max_connections;
  return purpose == Purpose::read || all == 1 ? all : all / 2;
}

std::optional<Slot> Hosts::take_slot(Purpose purpose, Deadline until) {
  std::unique_lock lock(mutex_);
  const auto is_free = [&] {
    return slots_taken_ < options_.max_connections &&
           (purpose == Purpose::read || slots_for_writes_ < limit_for(purpose));
  };
  if (!is_back_.wait_until(lock, until, is_free)) return std::nullopt;
  ++slots_taken_;
  if (purpose == Purpose::write) ++slots_for_writes_;
  return std::optional<Slot>(std::in_place, *this, purpose);
}

void Hosts::put_back(const Slot& slot) {
  --slots_taken_;
  if (slot.purpose() == Purpose::write) --slots_for_writes_;
}

std::vector<std::size_t> Hosts::candidates() {
  const std::scoped_lock lock(mutex_);
  const auto now = steady_clock::now();
  const bool may_fail_back = now >= fail_back_at_;
  std::vector<std::size_t> order;
  std::vector<std::size_t> last_resort;
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    const bool is_left_alone = i < current_ && !may_fail_back;
    const bool is_read_only = now < hosts_[i].read_only_until;
    (is_left_alone || is_read_only ? last_resort : order).push_back(i);
  }
  // One caller looks whether an earlier host is back; the others go on meanwhile.
  if (may_fail_back) fail_back_at_ = now + options_.fail_back_after;
  order.insert(order.end(), last_resort.begin(), last_resort.end());
  return order;
}

/// Not if it is read-only, though our user may have the right to write all the same: it may be a replica.
bool Hosts::is_writable(std::size_t host, Connection& connection, Purpose purpose, Deadline deadline) {
  if (!connection.server().is_read_only) return true;
  if (purpose == Purpose::read) {
    const std::scoped_lock lock(mutex_);
    if (steady_clock::now() < hosts_[host].read_only_until) return false;
  }
  connection.begin_call(deadline);
  // If it does not answer, whoever uses it will notice.
  if (!connection.look_at_server() || !connection.server().is_read_only) return true;
  note_read_only(host);
  return false;
}

void Hosts::set_current(std::size_t host) {
  std::vector<Pooled> to_close;
  const std::scoped_lock lock(mutex_);
  if (host == current_) return;
  current_ = host;
  fail_back_at_ = steady_clock::now() + options_.fail_back_after;
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    if (i != host) std::ranges::move(std::exchange(hosts_[i].idle, {}), std::back_inserter(to_close));
  }
}

// ── which connection ────────────────────────────────────────────────────────────────────────────────────────────────

SqlResult<Pooled> Hosts::connection_to(std::size_t host, Deadline deadline) {
  while (auto pooled = take_idle(host)) {
    if (is_alive(host, *pooled, deadline)) return std::move(*pooled);
    if (steady_clock::now() >= deadline) return std::unexpected(SqlError{Problem::unavailable, "no answer in time"});
  }
  return connect(host);
}

std::optional<Pooled> Hosts::take_idle(std::size_t host) {
  std::vector<Pooled> to_close;
  const std::scoped_lock lock(mutex_);
  std::vector<Pooled>& idle = hosts_[host].idle;
  while (!idle.empty()) {
    Pooled pooled = std::move(idle.back());
    idle.pop_back();
    if (steady_clock::now() < pooled.expires) return pooled;
    to_close.push_back(std::move(pooled));
  }
  return std::nullopt;
}

bool Hosts::is_alive(std::size_t host, Pooled& pooled, Deadline deadline) {
  if (steady_clock::now() - pooled.rests_since < options_.ping_after) return true;
  pooled.connection->begin_call(deadline);
  if (pooled.connection->look_at_server()) return true;
  note(host, pooled.connection->trouble());
  return false;
}

SqlResult<Pooled> Hosts::connect(std::size_t host) {
  std::optional<Pooled> to_close;
  bool is_probe = false;
  {
    const std::scoped_lock lock(mutex_);
    State& state = hosts_[host];
    if (!state.breaker.allows(steady_clock::now())) return std::unexpected(state.last_error);
    is_probe = state.breaker.begin();
    std::size_t resting = 0;
    for (const State& any : hosts_) resting += any.idle.size();
    const auto other = std::ranges::find_if(hosts_, [](const State& any) { return !any.idle.empty(); });
    if (slots_taken_ + resting > options_.max_connections && other != hosts_.end()) {
      to_close = std::move(other->idle.front());
      other->idle.erase(other->idle.begin());
    }
  }
  to_close.reset();
  auto connection = Connection::connect(options_.hosts[host], options_, options_.acquire_timeout);
  if (!connection) {
    const auto failure = connection.error().is_silent ? Breaker::Failure::doubtful : Breaker::Failure::certain;
    note_failure(host, connection.error().error, failure, is_probe);
    return std::unexpected(std::move(connection.error().error));
  }
  note_success(host);
  const auto ahead = std::chrono::abs((*connection)->server().clock_ahead);
  if (ahead > kClockTolerance) {
    tell(host, News::Topic::clock, "its clock is off by " + std::to_string(ahead.count()) + " ms");
  }
  return Pooled{std::move(*connection), end_of_life(options_.max_lifetime)};
}

void Hosts::give_back(Slot slot, std::size_t host, Pooled pooled, bool is_in_order) {
  const Aftermath trouble = pooled.connection->trouble();
  note(host, trouble);
  const bool is_sound = is_in_order && may_be_used_again(trouble);
  if (!is_sound) pooled.connection.reset();
  {
    // In one go, or else there would be one too many for a moment, or one too few.
    const std::scoped_lock lock(mutex_);
    if (is_sound && host == current_) {
      pooled.rests_since = steady_clock::now();
      hosts_[host].idle.push_back(std::move(pooled));
    }
    put_back(slot);
  }
  slot.forget();
  is_back_.notify_all();
}

// ── what is known of a host ─────────────────────────────────────────────────────────────────────────────────────────

void Hosts::note(std::size_t host, Aftermath trouble) {
  if (trouble >= Aftermath::lost) {
    // What ended one connection has likely ended those that rest: whoever repeats a unit wants one that is new.
    std::vector<Pooled> to_close;
    const std::scoped_lock lock(mutex_);
    to_close.swap(hosts_[host].idle);
  }
  if (trouble == Aftermath::silent) {
    note_failure(host, {Problem::unavailable, "no answer in time"}, Breaker::Failure::doubtful, false);
  } else if (trouble == Aftermath::read_only) {
    note_read_only(host);
  } else if (trouble < Aftermath::suspect) {
    note_success(host);
  }
}

void Hosts::note_failure(std::size_t host, const SqlError& error, Breaker::Failure failure, bool is_probe) {
  {
    const std::scoped_lock lock(mutex_);
    State& state = hosts_[host];
    state.breaker.fail(failure, steady_clock::now(), is_probe);
    state.last_error = error;
    if (!state.breaker.is_open()) return;
  }
  tell(host, News::Topic::down, error.detail);
}

void Hosts::note_success(std::size_t host) {
  {
    const std::scoped_lock lock(mutex_);
    hosts_[host].breaker.succeed();
  }
  tell(host, News::Topic::up, "answers again");
}

void Hosts::note_read_only(std::size_t host) {
  {
    const std::scoped_lock lock(mutex_);
    hosts_[host].read_only_until = steady_clock::now() + kReadOnlyPause;
  }
  tell(host, News::Topic::read_only, "is read-only");
}

void Hosts::tell(std::size_t host, News::Topic topic, const std::string& detail) {
  {
    const std::scoped_lock lock(mutex_);
    if (!hosts_[host].news.is_due(topic, steady_clock::now())) return;
  }
  if (options_.report) options_.report({options_.hosts[host], topic != News::Topic::down, detail});
}

}  // namespace gatehouse::store::mysql
