// handle_logout_requests: Lucia's handler for a POST logout, mounted by the gateway and usable alone in a C++ CGI
// program.
#pragma once

#include <string>
#include <vector>

#include "auth/auth.hpp"
#include "auth/context.hpp"
#include "http/response.hpp"

namespace gatehouse::auth {

struct LogoutOptions {
  std::string redirect = "/";                     ///< where to go without a (safe) `rd`
  std::vector<std::string> allowed_return_hosts;  ///< hosts that `rd` may name besides local paths
  std::vector<http::Origin> also_own;             ///< further own origins (endpoints.url)
};

/// What the request says besides its headers.
struct LogoutForm {
  std::string rd;           ///< empty: none
  bool all = false;         ///< end every session of the user
  bool wants_json = false;  ///< 200 {} instead of 303
};

/// Answers one logout request. Deletes every row of the session's family first, then expires the cookie; only then 303
/// or 200 {}. Without a session the answer is the same. Other methods: 405 with Allow: POST. Foreign or no origin: 403,
/// nothing touched. A store that fails: 503 with Retry-After, nothing touched. The body is empty but for JSON: the
/// caller may put a page into a refusal. Thread-safe.
class LogoutHandler {
 public:
  LogoutHandler(Auth& auth, LogoutOptions options) : auth_(auth), options_(std::move(options)) {}
  [[nodiscard]] http::Response operator()(Context& context, const LogoutForm& form) const;

 private:
  Auth& auth_;
  LogoutOptions options_;
};

[[nodiscard]] LogoutHandler handle_logout_requests(Auth& auth, LogoutOptions options = {});

}  // namespace gatehouse::auth
