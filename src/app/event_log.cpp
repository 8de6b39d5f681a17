#include "app/event_log.hpp"

#include <utility>

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
    case auth::EventKind::renewal_not_written:
    case auth::EventKind::store_failed:
    case auth::EventKind::cookie_not_sent: break;
  }
  return ops::LogLevel::warn;
}

}  // namespace

void EventLog::report(const auth::Event& event) {
  if (event.kind == auth::EventKind::store_failed) return;  // said with the request that it met
  if (is_repeated(event)) return;
  // A store that takes no writes makes one of these of every request of an idle session.
  if (event.kind != auth::EventKind::renewal_not_written) return write(level_of(event.kind), event, event.detail);
  const auto held_back = unwritten_.take(std::chrono::steady_clock::now());
  write(held_back ? level_of(event.kind) : ops::LogLevel::debug, event,
        ops::with_count(event.detail, held_back.value_or(0)));
}

void EventLog::write(ops::LogLevel level, const auth::Event& event, std::string detail) {
  log_.write(level, auth::name(event.kind),
             {{"request", event.request_id},
              {"user", event.user_id},
              {"session", event.handle},
              {"address", event.address},
              {"detail", std::move(detail)}});
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
