// Origins (RFC 6454): scheme, host and port, all three. Pure values; the rule that uses them is auth/csrf.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gatehouse::http {

/// A tuple origin in canonical form: lower-case scheme and host, the port always a number. Immutable.
struct Origin {
  std::string scheme;  ///< "http" or "https"
  std::string host;    ///< lower case; an IPv6 address keeps its brackets
  std::uint16_t port = 0;

  /// Parses "scheme://host[:port]", with at most one '/' after it. Returns nullopt for "null", other schemes, user
  /// info, paths, empty hosts, control bytes and ports outside 1..65535.
  [[nodiscard]] static std::optional<Origin> parse(std::string_view text);
  /// Makes the origin of a request from its scheme, its Host ("host[:port]") and the server's port, which
  /// counts only where Host has none (0: the scheme's default).
  [[nodiscard]] static std::optional<Origin> of_request(std::string_view scheme, std::string_view host,
                                                        std::uint16_t server_port);
  [[nodiscard]] std::string text() const;  ///< without the scheme's default port

  bool operator==(const Origin&) const = default;
};

/// Returns "https" or "http" as the CGI variables HTTPS ("on" or "1"; mod_ssl, and sites behind a TLS proxy) and
/// REQUEST_SCHEME (which such a proxy leaves at http) tell it: one that says https is enough. Both may be empty.
[[nodiscard]] std::string_view scheme_of(std::string_view https, std::string_view request_scheme);

/// Returns the host of a Host header without its port, in lower case; empty if it is no host.
[[nodiscard]] std::string host_without_port(std::string_view host);

}  // namespace gatehouse::http
