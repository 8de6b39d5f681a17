// The CGI door's process: one request, answered and gone. It binds nothing and caches nothing.
#pragma once

#include "config/config.hpp"

namespace gatehouse::app {

/// Takes over fd 0 and 1 (which become /dev/null), TERM, INT, HUP, PIPE and CHLD, and answers the request that the
/// environment describes. On TERM the script is ended before we are. Returns the process's exit code: 0 if the answer
/// is whole, 1 if it could not be given.
[[nodiscard]] int serve_cgi_process(config::Config config);

/// Writes an answer of last resort where there is not even a configuration to be had: explicit, so that nobody is let
/// in by an empty one.
void refuse_cgi_request(int status);

}  // namespace gatehouse::app
