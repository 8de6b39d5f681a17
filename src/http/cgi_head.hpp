// The head of an answer as a CGI program writes it (RFC 3875 section 6), which is what FastCGI carries in STDOUT. Pure.
#pragma once

#include <string>

#include "http/response.hpp"

namespace gatehouse::http {

/// Returns true if every name and value can be written on a line of its own: no CR, LF or NUL anywhere, names are
/// tokens (RFC 9110 section 5.6.2), the status has three digits.
[[nodiscard]] bool is_writable(const ResponseHead& head);

/// Returns what may be written of it: the head itself, or a bare 500, which has no body, if it is not writable. That is
/// a bug of ours: the visitor gets an error instead of a header that somebody else wrote.
[[nodiscard]] const ResponseHead& writable_head(const ResponseHead& head);

/// Appends `Status:`, always first, then the header and the empty line. The reason is the status's own if `head` has
/// none. A field named Status is left out: one line decides. Requires is_writable(head).
void append_cgi_head(std::string& out, const ResponseHead& head);

}  // namespace gatehouse::http
