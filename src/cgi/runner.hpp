// Runs a CGI program for one request: body to its stdin, its answer to the visitor, its stderr to the log, all at once,
// and leaves no process behind. Never a shell, never an argument, never an inherited descriptor.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cgi/outcome.hpp"
#include "net/exchange.hpp"

namespace gatehouse::cgi {

struct Program {
  std::string filename;                         ///< absolute; executed by posix_spawn with argv = { filename }
  std::string directory;                        ///< its working directory; empty: ours
  std::vector<std::string> environment;         ///< "NAME=value", whole
  std::uint64_t max_body = 0;                   ///< bytes; 0 = no limit
  std::optional<std::uint64_t> content_length;  ///< exactly so many bytes are fed, more is never passed on
  /// The longest time without a byte moving to or from the program while we wait for it.
  std::chrono::milliseconds timeout{30'000};
  /// The longest time without a byte from or to the visitor.
  std::chrono::milliseconds visitor_stall{60'000};
};

/// While the program still takes the request's body, its answer is held (in memory, then in a temporary file): nginx
/// sends no more of a body once the answer has begun. It goes out when the body has ended, when the program has closed
/// its stdin or has not read for a second.
/// Runs the program to its end on the calling coroutine's (single-threaded) executor. `without_body`: the answer to
/// HEAD; body bytes are read and dropped. Whatever happens, when it returns the process group is gone and reaped, and
/// every descriptor closed: TERM to the group, KILL half a second later. A grandchild that keeps stdout open after the
/// program's exit is cut off one second later. A body longer than the program's own Content-Length is cut there, a
/// shorter one is broken off. Requires SIGPIPE to be ignored in this process, SIGCHLD not to be; a read_body that
/// failed with `deadline` may be repeated. An exception of a hook or of the exchange passes through, once the processes
/// are gone.
[[nodiscard]] net::Task<RunOutcome> run(Program program, net::Exchange& exchange, bool without_body, HeadHook on_head,
                                        StderrLine on_stderr);

}  // namespace gatehouse::cgi
