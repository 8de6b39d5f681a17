// Everything that answers a request, built of one configuration: log, store, pools, gateway. The serving process keeps
// it behind its reactors, a CGI process behind its one request.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "app/assemble.hpp"
#include "gateway/gateway.hpp"
#include "gateway/last_uses.hpp"
#include "gateway/throttle.hpp"
#include "net/worker_pool.hpp"

namespace gatehouse::app {

/// How many threads wait for what blocks, and how many calls may wait for one of them.
struct PoolSizes {
  std::size_t store_threads = 1;
  std::size_t pending_store_calls = 16;
  std::size_t hashes = 1;
  std::size_t pending_hashes = 16;
};

/// Signals that somebody handles must be blocked before it is made, for its threads inherit what is. `gateway()` is
/// thread-safe, as are the others but `open` and `reload`.
class House {
 public:
  House(config::Config config, const PoolSizes& sizes);

  /// Makes the gateway. Fails with a sentence: a template that cannot be used.
  [[nodiscard]] std::expected<void, std::string> open();
  /// Reads the configuration's file again and swaps the gateway's settings, or changes nothing and logs why.
  void reload();
  /// Waits for what the pools still do. Afterwards nothing that blocks is begun.
  void stop();

  /// Writes last_used_at of the sessions noted since the last call, but for those that were used less than `at_least`
  /// before. Blocks; a failure is logged.
  void write_last_uses(auth::Milliseconds at_least = auth::Milliseconds(0));
  /// Logs it if the store cannot be used yet.
  void report_store();

  [[nodiscard]] const config::Config& config() const { return config_; }
  [[nodiscard]] ops::Log& log() { return log_; }
  [[nodiscard]] auth::Store& store() { return *store_; }
  [[nodiscard]] const auth::Clock& clock() const { return clock_; }
  [[nodiscard]] net::WorkerPool& write_pool() { return write_pool_; }
  [[nodiscard]] std::vector<net::WorkerPool*> pools() { return {&read_pool_, &write_pool_, &hash_pool_}; }
  /// Only after `open`.
  [[nodiscard]] gateway::Gateway& gateway() { return *gateway_; }

 private:
  [[nodiscard]] Foundation foundation() { return {*store_, clock_, random_, events_, log_}; }
  void report_host(const store::HostNews& news);
  void refuse_reload(const std::vector<std::string>& problems);

  const config::Config config_;
  ops::Log log_;
  EventLog events_;
  const auth::SystemClock clock_;
  auth::SystemRandom random_;
  std::unique_ptr<auth::Store> store_;
  gateway::Throttle throttle_;
  gateway::LastUses last_uses_;
  ops::Sparse store_failures_;
  std::unique_ptr<gateway::Gateway> gateway_;
  net::WorkerPool read_pool_;
  net::WorkerPool write_pool_;
  net::WorkerPool hash_pool_;
};

}  // namespace gatehouse::app
