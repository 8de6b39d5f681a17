// Security events of the core as log lines.
#pragma once

#include <mutex>
#include <set>
#include <string>

#include "auth/events.hpp"
#include "ops/log.hpp"
#include "ops/sparse.hpp"

namespace gatehouse::app {

/// Thread-safe. What would repeat with every request of one session is written once
/// for it, what would with every request once a minute.
class EventLog final : public auth::Events {
 public:
  explicit EventLog(ops::Log& log) : log_(log) {}
  void report(const auth::Event& event) override;

 private:
  void write(ops::LogLevel level, const auth::Event& event, std::string detail);
  [[nodiscard]] bool is_repeated(const auth::Event& event);

  ops::Log& log_;
  ops::Sparse unwritten_;
  std::mutex mutex_;
  std::set<std::string> reported_;  // guarded by mutex_; kind and handle
};

}  // namespace gatehouse::app
