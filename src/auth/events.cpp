#include "auth/events.hpp"

namespace gatehouse::auth {

std::string_view name(EventKind kind) {
  switch (kind) {
    case EventKind::doubled_cookie: return "doubled_cookie";
    case EventKind::unknown_session: return "unknown_session";
    case EventKind::rotated_reuse: return "rotated_reuse";
    case EventKind::implausible_expiry: return "implausible_expiry";
    case EventKind::expiry_beyond_policy: return "expiry_beyond_policy";
    case EventKind::store_failed: return "store_failed";
    case EventKind::renewal_not_written: return "renewal_not_written";
    case EventKind::cookie_not_sent: return "cookie_not_sent";
  }
  return "unknown_event";
}

}  // namespace gatehouse::auth
