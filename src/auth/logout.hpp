// handle_logout_requests: Lucia's handler for a POST logout, mounted by the gateway and usable alone in a C++ CGI
// program.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/auth.hpp"
#include "auth/context.hpp"
#include "http/form.hpp"
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

/// Reads the fields `rd` and `all` ("1"): those of the body, where it has none those of the query. `accept` is the
/// request's Accept. Returns nullopt if a field is doubled: two answers are none, and the request is 400.
[[nodiscard]] std::optional<LogoutForm> read_logout_form(const http::Form& body, const http::Form& query,
                                                         std::string_view accept);

/// A context that reads the form of a logout by itself, so that the handler can be mounted with nothing else.
class LogoutContext : public Context {
 public:
  /// Fails with the status to answer instead.
  [[nodiscard]] virtual std::expected<LogoutForm, int> read_logout_form() = 0;
};

/// Answers one logout request. Deletes every row of the session's family first, then expires the cookie; only then 303
/// or 200 {}. Without a session the answer is the same. Other methods: 405 with Allow: POST. Foreign or no origin: 403,
/// nothing touched. A store that fails: 503 with Retry-After, nothing touched. The body is empty but for JSON: the
/// caller may put a page into a refusal. Thread-safe.
class LogoutHandler {
 public:
  LogoutHandler(Auth& auth, LogoutOptions options) : auth_(auth), options_(std::move(options)) {}
  [[nodiscard]] http::Response operator()(Context& context, const LogoutForm& form) const;
  /// Reads the form too, but only what comes from our own page; one that cannot be read touches nothing.
  [[nodiscard]] http::Response operator()(LogoutContext& context) const;

 private:
  Auth& auth_;
  LogoutOptions options_;
};

[[nodiscard]] LogoutHandler handle_logout_requests(Auth& auth, LogoutOptions options = {});

}  // namespace gatehouse::auth
