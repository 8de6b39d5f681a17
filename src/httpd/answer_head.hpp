// The status line and the fields of an answer, as RFC 9112 wants them on the wire. Pure.
#pragma once

#include <ctime>
#include <string>

#include "http/response.hpp"

namespace gatehouse::httpd {

/// How the answer's end is known and what becomes of the connection.
struct Framing {
  bool is_head_request = false;
  bool is_http_1_0 = false;  ///< the peer; it keeps a connection only if told so
  bool keeps = false;        ///< wanted; taken back where the answer has no length
};

/// Appends the head to `out`, a Date (`now`) and a Connection field added. Requires http::is_writable(head). Returns
/// whether the connection may be kept after the answer.
[[nodiscard]] bool append_answer_head(std::string& out, const http::ResponseHead& head, const Framing& framing,
                                      std::time_t now);
/// True for a status whose answer never has a body, and for every answer to HEAD (RFC 9110 section 6.4.1).
[[nodiscard]] bool has_no_body(int status, bool is_head_request);

}  // namespace gatehouse::httpd
