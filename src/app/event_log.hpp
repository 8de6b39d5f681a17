// Security events of the core as log lines.
#pragma once

#include <mutex>
#include <set>
#include <string>

#include "auth/events.hpp"
#include "ops/log.hpp"

namespace gatehouse::app {

/// Thread-safe. What would repeat with every request of one session is written once for it.
class EventLog final : public auth::Events {
 public:
  explicit EventLog(ops::Log& log) : log_(log) {}
  void report(const auth::Event& event) override;

 private:
  [[nodiscard]] bool is_repeated(const auth::Event& event);

  ops::Log& log_;
  std::mutex mutex_;
  std::set<std::string> reported_;  // guarded by mutex_; kind and handle
};

}  // namespace gatehouse::app
