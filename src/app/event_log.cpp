#include "app/event_log.hpp"

namespace gatehouse::app {

namespace {

constexpr std::size_t kMaxRemembered = 10'000;

ops::LogLevel level_of(auth::EventKind kind) {
  switch (kind) {
    case auth::EventKind::unknown_session:
    case auth::EventKind::expiry_beyond_policy: return ops::LogLevel::info;
    case auth::EventKind::doubled_cookie:
    case auth::EventKind::rotated_reuse:
    case auth::EventKind::implausible_expiry:
    case auth::EventKind::renewal_not_written: break;
  }
  return ops::LogLevel::warn;
}

}  // namespace

void EventLog::report(const auth::Event& event) {
  if (is_repeated(event)) return;
  log_.write(level_of(event.kind), auth::name(event.kind),
             {{"request", event.request_id},
              {"user", event.user_id},
              {"session", event.handle},
              {"address", event.address},
              {"detail", event.detail}});
}

bool EventLog::is_repeated(const auth::Event& event) {
  const bool repeats =
      event.kind == auth::EventKind::expiry_beyond_policy || event.kind == auth::EventKind::implausible_expiry;
  if (!repeats) return false;
  const std::scoped_lock lock(mutex_);
  if (reported_.size() >= kMaxRemembered) reported_.clear();
  return !reported_.insert(std::string(auth::name(event.kind)) + event.handle).second;
}

}  // namespace gatehouse::app
