// One child process in a process group of its own, with pipes as its standard descriptors. Inner header of cgi/.
//
// posix_spawn, never fork: a fork of a daemon with a large heap costs a hundred times as much. A pidfd tells the end,
// never SIGCHLD, which a process has only once.
#pragma once

#include <utility>  // Boost 1.74's awaitable.hpp uses std::exchange without including it

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <sys/types.h>

#include <expected>
#include <string>
#include <string_view>

#include "cgi/runner.hpp"

namespace gatehouse::cgi {

using Pipe = net::asio::posix::stream_descriptor;

struct SpawnFailure {
  int error = 0;  ///< errno
  std::string_view step;
};

/// Confined to one thread. The process is never left behind: the destructor kills and reaps what is left.
class Process {
 public:
  Process(Process&& other) noexcept;
  Process& operator=(Process&&) = delete;
  ~Process();

  /// Becomes readable when the process has ended.
  [[nodiscard]] Pipe& exit_event() { return exit_event_; }

  /// Returns the exit code (128 + signal) if the process has ended. It stays a zombie, so that its number, which is
  /// the group's too, cannot be given to somebody else yet.
  [[nodiscard]] std::optional<int> exit_code();
  /// Sends the signal to the process and to all of its group, until they are known to be gone.
  void signal(int number);
  /// Takes the ended process off the kernel's table; does nothing if it runs.
  void reap();
  [[nodiscard]] bool is_reaped() const { return is_reaped_; }
  /// True if the process is reaped and nobody is left in its group whom we could signal.
  [[nodiscard]] bool is_gone();

 private:
  friend struct Child;
  Process(pid_t pid, Pipe exit_event) : pid_(pid), exit_event_(std::move(exit_event)) {}

  pid_t pid_;
  Pipe exit_event_;
  bool is_reaped_ = false;
  bool group_is_gone_ = false;
};

/// A process and our ends of its pipes.
struct Child {
  Process process;
  Pipe input;   ///< we write
  Pipe output;  ///< we read
  Pipe errors;  ///< we read

  /// Starts the program with argv = { filename }, no signal blocked or ignored, and no descriptor but 0, 1 and 2.
  [[nodiscard]] static std::expected<Child, SpawnFailure> spawn(const net::asio::any_io_executor& executor,
                                                                const Program& program);
};

}  // namespace gatehouse::cgi
