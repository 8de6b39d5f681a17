// Whether the process still does its work: every reactor turns and every pool takes calls. What the watchdog is fed by.
// It never asks the store: one that is down makes answers 503 and is no reason to restart what gives them.
#pragma once

#include <boost/asio/io_context.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <vector>

#include "net/worker_pool.hpp"

namespace gatehouse::app {

/// Confined to one thread; the pools and reactors must outlive it.
class SelfTest {
 public:
  /// `longest_call`: how long every thread of a pool may be in a call at once, as with a store that does not answer.
  SelfTest(std::vector<net::asio::io_context*> reactors, std::vector<net::WorkerPool*> pools,
           std::chrono::milliseconds longest_call);

  /// Asks everybody. What was not answered yet counts no more.
  void ask();
  /// True if every reactor has answered since `ask` and no pool is stuck.
  [[nodiscard]] bool passed() const;

 private:
  const std::vector<net::asio::io_context*> reactors_;
  const std::vector<net::WorkerPool*> pools_;
  const std::chrono::milliseconds longest_call_;
  std::shared_ptr<std::atomic<std::size_t>> answered_;
};

}  // namespace gatehouse::app
