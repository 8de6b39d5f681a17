// One request as every part behind the doors sees it: the same value whether it came as FastCGI
// parameters, as a CGI environment or over HTTP. The body is not in it; it is streamed beside.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "http/headers.hpp"
#include "http/path.hpp"

namespace gatehouse::http {

/// A parsed request line, the header fields and what the front server says of the connection.
/// Immutable once a door has made it.
struct Request {
  std::string id;      ///< 16 lower-case hex digits, in every log line and error page of this request
  std::string method;  ///< as sent; methods are case-sensitive (RFC 9110 section 9.1)
  Path path;           ///< the decided path: decoded once, normalised
  /// Authorizer door: what the front server will serve, where it says that this is not `path`.
  std::optional<Path> served_path;
  std::string query;  ///< undecoded, without the question mark
  std::string mount;  ///< prefix of our own links: SCRIPT_NAME where we are mounted below a path, else empty
  /// Authorizer door: Apache looks a file up for itself (an index page, what stands behind a script's name) and serves
  /// nothing yet.
  bool is_lookup = false;
  /// The method of a page that the front server was to refuse, whatever the reason was, and in whose place it shows
  /// this (Apache's ErrorDocument 401).
  std::optional<std::string> refused_method;
  /// Check and authorizer doors: the front server passes a Set-Cookie of ours on to the visitor.
  bool delivers_cookies = false;
  /// SCRIPT_NAME (PATH_INFO where mounted) as the front server gave it; an endpoint is met by it first.
  std::string endpoint_path;
  std::string scheme = "http";  ///< "http" or "https"
  std::string host;             ///< HTTP_HOST as sent, possibly with a port; empty if there was none
  std::string server_name;
  std::string server_addr;
  std::string server_protocol = "HTTP/1.1";
  std::uint16_t server_port = 0;  ///< 0 if unknown
  std::string remote_addr;
  std::string remote_port;
  std::string content_type;
  std::optional<std::uint64_t> content_length;  ///< nullopt: no body, or one that ends where it ends
  /// Names in lower case with '-' ("x-forwarded-for"): the CGI spelling HTTP_X_FORWARDED_FOR cannot tell
  /// '-' from '_', so neither do we. Content-Type and Content-Length are not in it.
  Headers headers;

  /// Returns the header's value or an empty view; an absent and an empty field read the same.
  [[nodiscard]] std::string_view header(std::string_view name) const { return headers.get(name).value_or(""); }
};

}  // namespace gatehouse::http
