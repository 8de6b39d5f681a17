// How a request ended that a script was to answer: a CGI program or a FastCGI application.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <variant>

#include "http/response.hpp"

namespace gatehouse::cgi {

/// Sees the script's head before it is sent and may change it (cookies are added, foreign ones dropped).
using HeadHook = std::function<void(http::ResponseHead&)>;
/// Gets one line of what the script wrote for the log, without its end, escaped (control bytes as \xNN), at most 2048
/// bytes.
using StderrLine = std::function<void(std::string_view)>;

struct Delivered {
  int status = 0;
  /// Of the program, 128 + signal if one ended it; an application's appStatus. Not zero after a complete head is only
  /// logged.
  int exit_code = 0;
};
/// The script wants another path of ours to be served instead (RFC 3875 section 6.2.2). Nothing has been written.
struct LocalRedirect {
  std::string target;
};
/// Nothing has been written yet: the caller answers. 403, 404, 501 no such script, 400 malformed body, 413 max_body,
/// 431 a parameter is too long, 500 what we kept is lost, 502 broke, 503 no room, or cannot be started now, 504
/// timeout.
struct Failed {
  int status = 502;
  std::string reason;  ///< for the log
};
/// The head had been written and the rest could not be: the exchange was broken off. Or the visitor went away.
struct BrokenOff {
  std::string reason;
  bool by_visitor = true;  ///< else the script is to blame
  int status = 0;          ///< that the visitor has been told; 0: none
};
using RunOutcome = std::variant<Delivered, LocalRedirect, Failed, BrokenOff>;

}  // namespace gatehouse::cgi
