// The two open ends of one request: the body that comes in, the answer that goes out. Every door implements it
// (FastCGI, HTTP, CGI), and nothing behind the doors knows which one it talks to.
#pragma once

#include <functional>
#include <span>
#include <string_view>

#include "http/response.hpp"
#include "net/task.hpp"

namespace gatehouse::net {

/// Confined to the thread of its reactor: every member is called there, and coroutines resume there.
/// The order is: any reads; write_head once; write_body any number of times. The door itself ends the answer when the
/// handler returns. A handler that returns without having written a head, or after `break_off`, leaves the request
/// unanswered: the door then closes the connection without an end mark, which every web server treats as a failure.
class Exchange {
 public:
  virtual ~Exchange() = default;

  /// Reads at least one byte into `into` (not empty); 0 means the body has ended.
  /// Fails: closed (the visitor went), deadline, malformed.
  [[nodiscard]] virtual Task<IoResult<std::size_t>> read_body(std::span<char> into, Deadline deadline) = 0;

  /// Writes the status line and header. Must come first, exactly once. The door begins its answer with `Status:`.
  [[nodiscard]] virtual Task<IoResult<void>> write_head(const http::ResponseHead& head, Deadline deadline) = 0;
  /// Writes bytes of the body; returns when the web server's side has taken them (back-pressure). Each write of a part
  /// renews nothing by itself: the deadline is the caller's, and bounds a stall, not the whole download.
  [[nodiscard]] virtual Task<IoResult<void>> write_body(std::string_view bytes, Deadline deadline) = 0;

  /// Calls `notice` at most once, on the reactor's thread, when the visitor has gone. An empty function takes the
  /// notice back. If the visitor has gone already, it is called from within on_abort.
  virtual void on_abort(std::function<void()> notice) = 0;

  /// True once write_head has been called.
  [[nodiscard]] virtual bool head_written() const = 0;
  /// Gives up an answer that has begun and cannot be finished: the connection is closed without an end mark.
  virtual void break_off() = 0;
};

}  // namespace gatehouse::net
