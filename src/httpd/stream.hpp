// A connected socket whose every wait ends: bytes move when they can, and otherwise the coroutine waits until a
// deadline.
#pragma once

#include <utility>

#include <boost/asio/posix/stream_descriptor.hpp>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "net/connection.hpp"

namespace gatehouse::httpd {

/// Confined to its reactor's thread; one receive or send at a time. Made by make_shared.
class Stream : public std::enable_shared_from_this<Stream> {
 public:
  /// Owns `fd`: a connected, non-blocking stream socket.
  Stream(net::asio::io_context& reactor, int fd);

  /// Appends what comes to `into`, at least one byte. `scratch` is only used between two waits. Fails: closed, which an
  /// end of input is too; deadline.
  [[nodiscard]] net::Task<net::IoResult<void>> receive(std::string& into, std::span<char> scratch,
                                                       net::Deadline deadline);
  /// Sends all of it. Fails: closed, deadline.
  [[nodiscard]] net::Task<net::IoResult<void>> send(std::string_view bytes, net::Deadline deadline);

  [[nodiscard]] bool is_open() const { return descriptor_.is_open(); }
  /// True if something, or the end, can be received at once.
  [[nodiscard]] bool has_input();
  /// Ends every wait.
  void close();
  /// Closes so that the peer cannot take what it received for a complete answer: over TCP by a reset.
  void close_abruptly();
  /// Tells the peer that nothing more will come, and goes on receiving.
  void shut_down_sending();

 private:
  using Descriptor = net::asio::posix::basic_stream_descriptor<net::ReactorExecutor>;

  [[nodiscard]] net::Task<net::IoResult<void>> wait(Descriptor::wait_type what, net::Deadline deadline);

  Descriptor descriptor_;
  net::Timer timer_;
  std::uint32_t wait_number_ = 0;  // tells an expired timer from one whose wait ended in that very moment
};

}  // namespace gatehouse::httpd
