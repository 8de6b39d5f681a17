// auth::Context of the daemon: an http::Request seen by AuthRequest, and the cookie that waits for the answer's head.
#pragma once

#include <optional>
#include <string>

#include "auth/context.hpp"
#include "http/request.hpp"

namespace gatehouse::gateway {

class RequestContext final : public auth::Context {
 public:
  explicit RequestContext(const http::Request& request);

  [[nodiscard]] const auth::RequestView& request() const override { return view_; }
  void set_session_cookie(std::string line) override { cookie_ = std::move(line); }

  /// The Set-Cookie value to send with whatever is answered; nullopt: the cookie stays untouched.
  [[nodiscard]] const std::optional<std::string>& session_cookie() const { return cookie_; }
  /// Forgets it: the store failed, so nobody's cookie is touched.
  void leave_cookie_alone() { cookie_.reset(); }

 private:
  auth::RequestView view_;
  std::optional<std::string> cookie_;
};

}  // namespace gatehouse::gateway
