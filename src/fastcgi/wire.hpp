// One connected socket on one reactor, and what is still to be sent through it: whole records, in order, gathered
// into as few system calls as possible. Knows nothing of requests; connection.hpp and client.hpp build on it.
//
// Waiting for readiness and moving bytes by hand, instead of Asio's read and write operations, is what lets an idle
// connection own no buffer, lets all connections of a reactor share one for reading, and sends foreign bytes uncopied.
#pragma once

#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "fastcgi/record.hpp"
#include "net/connection.hpp"
#include "net/task.hpp"

namespace gatehouse::fastcgi {

namespace asio = boost::asio;

/// Confined to the thread of its reactor. Lives as long as something waits on it or somebody holds it.
class Wire : public std::enable_shared_from_this<Wire> {
 public:
  /// Owns `fd`: a connected, non-blocking stream socket.
  Wire(const net::ReactorExecutor& reactor, int fd) : descriptor_(reactor, fd) {}
  virtual ~Wire() = default;
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  [[nodiscard]] net::ReactorExecutor executor() { return descriptor_.get_executor(); }
  [[nodiscard]] bool is_open() const { return open_; }
  /// Why it is closed. Requires !is_open().
  [[nodiscard]] net::StreamError failure() const { return failure_; }

  /// Records to be sent. Whoever appends to it appends whole records and then calls one of the three below.
  [[nodiscard]] std::string& pending() { return pending_; }
  /// Sends what is pending at once, or as soon as the peer takes it.
  void flush();
  /// Sends it when the running coroutine has come to its next wait, so that a head, a short body and the end of an
  /// answer leave together.
  void flush_soon();
  /// Waits until nothing is pending. Fails: closed, deadline; the wire is closed then.
  [[nodiscard]] net::Task<net::IoResult<void>> flush_all(net::Deadline deadline);
  /// Sends what is pending, then one record whose content is not copied. Requires at most kMaxContent bytes, alive
  /// until the return. Fails: closed, deadline; the wire is closed then, because a record is cut.
  [[nodiscard]] net::Task<net::IoResult<void>> send_record(RecordType type, std::uint16_t request_id,
                                                           std::string_view content, net::Deadline deadline);
  /// True if the peer takes what it is given, so that a few more bytes may be kept in `pending`.
  [[nodiscard]] bool has_room_for(std::size_t bytes) const;

  /// Closes the socket, ends every wait with `why`, calls on_closed. Does nothing if it is closed.
  void close(net::StreamError why);
  /// Closes so that the peer cannot take what it received for a complete answer: over TCP by a reset.
  void close_abruptly();

 protected:
  /// Called once, from within close.
  virtual void on_closed() = 0;
  /// Called once, when the peer takes nothing more; every write fails from then on. Closes: whoever still wants to read
  /// what it sent overrides this.
  virtual void on_deaf_peer() { close(net::StreamError::closed); }
  virtual void on_readable() = 0;
  virtual void on_hang_up() = 0;

  /// Calls on_readable once when there is something to read. One call at a time is under way.
  void wait_readable();
  /// Calls on_hang_up once when the peer is wholly gone, without reading anything.
  void wait_hang_up();
  /// Returns the number of bytes read, 0 at the end; -1 if there is nothing to read. Closes the wire on any error.
  [[nodiscard]] ssize_t receive(std::span<char> into);
  /// True if something, or the end, can be read at once.
  [[nodiscard]] bool has_input();
  [[nodiscard]] bool has_hung_up();
  /// Tells the peer that nothing more will come, and goes on reading.
  void shut_down_sending();
  /// When the peer last took a byte; the beginning of time if it never did.
  [[nodiscard]] net::Deadline last_sent() const { return last_sent_; }
  /// True if everything that was given to be sent is sent.
  [[nodiscard]] bool is_flushed() const { return pending_.empty() && !is_in_record_; }
  /// Gives the open socket away and is closed itself. Requires that nobody waits for anything.
  [[nodiscard]] int release();
  /// Gives back what sending took, once nothing is pending.
  void release_memory();

 private:
  struct Parts;

  void wait_writable();
  void stop_sending();
  [[nodiscard]] bool send_parts(Parts& parts);
  [[nodiscard]] net::Task<bool> wait_for_room(net::Deadline deadline);

  asio::posix::basic_stream_descriptor<net::ReactorExecutor> descriptor_;
  std::string pending_;
  std::size_t pending_sent_ = 0;             // of pending_, from its front
  std::unique_ptr<net::Timer> write_timer_;  // expires at a writer's deadline, is cancelled to wake it
  net::StreamError failure_ = net::StreamError::closed;
  net::Deadline last_sent_{};
  bool open_ = true;
  bool is_heard_ = true;       // false: the peer takes nothing more
  bool is_in_record_ = false;  // a record of send_record is cut: nothing else may be sent
  bool waits_readable_ = false;
  bool waits_writable_ = false;
  bool waits_hang_up_ = false;
  bool flush_is_posted_ = false;
};

}  // namespace gatehouse::fastcgi
