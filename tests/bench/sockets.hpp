// What the benchmark's programs share: a socket that closes itself, and epoll. They run for seconds on one thread and
// know their peer, so whatever goes wrong ends the program.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace bench {

/// Says what failed and why (errno), and ends the program with 1.
[[noreturn]] void fail(std::string_view what);

class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);  // ours is closed with `other`
    return *this;
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket();

  [[nodiscard]] int fd() const { return fd_; }
  /// Sends all of it. The peer waits for these bytes and they fit its buffer: less than all ends the program.
  /// Returns false if the peer has gone.
  [[nodiscard]] bool send(std::string_view bytes) const;
  /// Appends what can be read at once. Returns false at the end of the stream.
  [[nodiscard]] bool receive(std::string& into) const;

 private:
  int fd_ = -1;
};

/// Listens on a unix socket that everybody may connect to; what was at `path` is removed.
[[nodiscard]] Socket listen_on(const std::string& path);
/// Returns an accepted connection; one without a descriptor if there is none.
[[nodiscard]] Socket accept_from(const Socket& listener);
/// Connects to "unix:PATH" or "tcp:PORT" on the loopback.
[[nodiscard]] Socket connect_to(std::string_view address);

/// Readiness for reading, level-triggered. A closed socket leaves by itself.
class Poll {
 public:
  Poll();
  /// `data` comes back with each event.
  void add(const Socket& socket, void* data);
  /// Returns the events, none if the time is over first.
  [[nodiscard]] std::span<const epoll_event> wait(std::chrono::milliseconds time);

 private:
  Socket epoll_;
  std::array<epoll_event, 64> events_{};
};

}  // namespace bench
