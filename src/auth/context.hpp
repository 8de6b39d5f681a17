// The request as AuthRequest needs it, and the place where a cookie goes: Lucia's middleware interface.
//
// Implement Context for whatever carries requests: the daemon's, FCGX_Request&, a plain CGI environment.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace gatehouse::auth {

/// A read-only view of one request, already parsed by whoever received it.
struct RequestView {
  std::string id;  ///< names the request in the log; may be empty
  std::string method;
  std::string scheme;                 ///< "http" or "https"
  std::string host;                   ///< the Host header as sent
  std::uint16_t server_port = 0;      ///< counts where Host has no port; 0 = unknown
  std::string cookie;                 ///< the Cookie header, several joined with "; "
  std::optional<std::string> origin;  ///< absent is not the same as empty
  std::optional<std::string> sec_fetch_site;
  /// The Authorization header; read only by validate_bearer_token. nullopt where bearer tokens are not taken.
  std::optional<std::string> authorization = {};
  std::string address;  ///< the visitor's, kept with a new session
  std::string device;   ///< User-Agent, kept with a new session
};

/// Confined to the request's thread, except that AuthRequest may call it from whichever thread it runs on, one at a
/// time.
class Context {
 public:
  virtual ~Context() = default;
  [[nodiscard]] virtual const RequestView& request() const = 0;
  /// Takes the value of a Set-Cookie header for our session cookie. The last call wins: one answer carries one such
  /// line. May throw a std::exception where it is too late for one.
  virtual void set_session_cookie(std::string line) = 0;
};

}  // namespace gatehouse::auth
