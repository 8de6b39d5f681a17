// What an administrator must be able to read afterwards. The core reports; ops/ writes. Never holds a token.
#pragma once

#include <string>
#include <string_view>

namespace gatehouse::auth {

enum class EventKind {
  doubled_cookie,        ///< two different values under the cookie's name: somebody tosses cookies
  unknown_session,       ///< a well-formed token that no row knows
  rotated_reuse,         ///< a rotated id came back after its grace: the family was ended
  implausible_expiry,    ///< a row's expiry is no time in milliseconds: not believed
  expiry_beyond_policy,  ///< a row outlives our periods: another program made it; believed
  store_failed,          ///< the store could not say who it is: neither somebody nor nobody
  renewal_not_written,   ///< the store could not write a renewal: let in unrenewed
  cookie_not_sent,       ///< the answer had begun when its cookie was to be set
};
[[nodiscard]] std::string_view name(EventKind kind);

struct Event {
  EventKind kind{};
  std::string user_id;     ///< empty if unknown
  std::string handle;      ///< the session's short handle, never the token; empty if there is none
  std::string request_id;  ///< empty outside a request
  std::string address;
  std::string detail;
};

/// Thread-safe; must not throw.
class Events {
 public:
  virtual ~Events() = default;
  virtual void report(const Event& event) = 0;
};

}  // namespace gatehouse::auth
