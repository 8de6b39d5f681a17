// The header block that a CGI program or a FastCGI application writes before its body. Pure: bytes in, a head out.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "http/response.hpp"

namespace gatehouse::cgi {

/// Reads one header block, in pieces of any size. Lines end in LF or CRLF; a first line "HTTP/1.x NNN reason" counts as
/// a status. At least one of Content-Type, Location, Status must be there (RFC 3875 section 6.2). Refused: NUL and
/// other control bytes in a value, a space before the colon, an empty or non-token name, folded lines, a Status that is
/// not three digits 100..599 (1xx refused too: a script cannot send interim answers), doubled Status, Location,
/// Content-Type or Content-Length, a Content-Length that is no number, more than kMaxHeaderBytes. Everything else
/// passes as it is: reason phrases, odd dates, lower-case names, several Set-Cookie lines.
class ResponseParser {
 public:
  static constexpr std::size_t kMaxHeaderBytes = 65'536;
  static constexpr std::size_t kMaxHeaders = 200;

  struct NeedMore {};
  struct Malformed {
    std::string reason;
  };
  /// `rest`: the bytes of this piece that belong to the body.
  struct Complete {
    http::ResponseHead head;  ///< without the Status field; status 302 for a Location without Status, else 200
    std::string_view rest;
    /// Set for RFC 3875's local redirect: Location begins with '/', and no other header field and no Status came
    /// with it. The target is path and query.
    std::optional<std::string> local_redirect;
  };
  using Step = std::variant<NeedMore, Malformed, Complete>;

  /// Takes the next piece. After Malformed or Complete it must not be called again.
  [[nodiscard]] Step feed(std::string_view piece);

 private:
  std::string buffer_;
  std::size_t line_begin_ = 0;  ///< in buffer_: the line that has not ended yet
};

}  // namespace gatehouse::cgi
