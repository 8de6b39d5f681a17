// The CGI variables of one request (RFC 3875 section 4.1, FastCGI 1.0 section 6.2), read for auth/. Pure.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "auth/context.hpp"

namespace gatehouse::middleware {

/// A view of lines "NAME=value", the last of them followed by a null pointer: `environ`, or FCGX_Request's envp. The
/// lines must outlive it and stay as they are. Immutable.
class Environment {
 public:
  Environment() = default;  ///< nothing is set
  explicit Environment(const char* const* lines) : lines_(lines) {}

  /// Returns the value of the last line of that name; nullopt if there is none, which is not the same as an empty one.
  [[nodiscard]] std::optional<std::string_view> get(std::string_view name) const;
  /// Returns the values of all lines of that name, equal ones once, as one list: a web server may pass a doubled header
  /// on as two variables (nginx does).
  [[nodiscard]] std::optional<std::string> joined(std::string_view name, std::string_view separator) const;

 private:
  const char* const* lines_ = nullptr;
};

/// Reads what AuthRequest asks for. Doubled: HTTP_COOKIE are joined with "; "; HTTP_ORIGIN, HTTP_SEC_FETCH_SITE and
/// HTTP_AUTHORIZATION that differ become a list that none of their readers takes, so that they are refused; of the
/// others the last counts (php-fpm's rule). X-Forwarded-* is not read: a web server behind a proxy sets REMOTE_ADDR,
/// HTTPS and HTTP_HOST itself.
[[nodiscard]] auth::RequestView read_request(const Environment& environment);

/// Stands for a chunked body, which comes without a length.
inline constexpr std::uint64_t kUnknownLength = UINT64_MAX;

/// Returns how long the request's body is: CONTENT_LENGTH, kUnknownLength, or 0 where nothing announces one. Fails if
/// CONTENT_LENGTH is no number.
[[nodiscard]] std::expected<std::uint64_t, std::string> body_length(const Environment& environment);

}  // namespace gatehouse::middleware
