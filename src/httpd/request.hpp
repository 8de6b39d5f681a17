// One HTTP/1.1 request as the listener hands it over: read by Boost.Beast, checked byte for byte, not yet believed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/headers.hpp"

namespace gatehouse::httpd {

/// Who is at the other end of the connection. A unix socket has no address: its mode and group say who may speak.
struct Peer {
  bool is_unix = false;
  std::string address;  ///< numeric, without brackets; "" over a unix socket
  std::string port;     ///< "" over a unix socket
};

/// The head of a request, in the order and spelling in which it came, doubled fields included. The server has refused
/// already what is no HTTP: names that are no tokens, control bytes in values, folded lines, a missing or doubled Host
/// (HTTP/1.1), doubled or contradicting lengths, transfer codings other than `chunked`.
struct RequestHead {
  std::string method;  ///< a token
  std::string target;  ///< as sent: origin-form, or whatever else came
  bool is_http_1_0 = false;
  http::Headers fields;
  std::optional<std::uint64_t> content_length;  ///< nullopt: no body, or a chunked one
  bool is_chunked = false;
};

/// Why a request is not read any further. The connection cannot be kept.
struct ParseProblem {
  int status = 400;  ///< 431 beyond a limit
  std::string_view reason;
};

}  // namespace gatehouse::httpd
