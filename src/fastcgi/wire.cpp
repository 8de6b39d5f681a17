// Sending and receiving by hand on a descriptor that Asio only watches.
#include "fastcgi/wire.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>

namespace gatehouse::fastcgi {
namespace {

// What may wait in `pending` while the peer takes it: small enough to copy, large enough for a page of ours.
constexpr std::size_t kGatherLimit = std::size_t{16} * 1024;

bool would_block(int error) {
  return error == EAGAIN || error == EWOULDBLOCK;
}

}  // namespace

void Wire::close(net::StreamError why) {
  if (!open_) return;
  open_ = false;
  failure_ = why;
  boost::system::error_code ignored;
  descriptor_.close(ignored);
  std::string{}.swap(pending_);
  if (write_timer_) write_timer_->cancel();
  on_closed();
}

void Wire::close_abruptly() {
  if (!open_) return;
  // Only TCP knows a reset; elsewhere the option has no effect.
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(descriptor_.native_handle(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close(net::StreamError::closed);
}

int Wire::release() {
  open_ = false;
  return descriptor_.release();
}

void Wire::stop_sending() {
  is_heard_ = false;
  std::string{}.swap(pending_);
  on_deaf_peer();
}

void Wire::wait_readable() {
  if (!open_ || waits_readable_) return;
  waits_readable_ = true;
  descriptor_.async_wait(decltype(descriptor_)::wait_read,
                         [self = shared_from_this()](const boost::system::error_code& error) {
                           self->waits_readable_ = false;
                           if (!error && self->open_) self->on_readable();
                         });
}

void Wire::wait_hang_up() {
  if (!open_ || waits_hang_up_) return;
  waits_hang_up_ = true;
  descriptor_.async_wait(decltype(descriptor_)::wait_error,
                         [self = shared_from_this()](const boost::system::error_code& error) {
                           self->waits_hang_up_ = false;
                           if (!error && self->open_) self->on_hang_up();
                         });
}

void Wire::wait_writable() {
  if (!open_ || waits_writable_) return;
  waits_writable_ = true;
  descriptor_.async_wait(decltype(descriptor_)::wait_write,
                         [self = shared_from_this()](const boost::system::error_code& error) {
                           self->waits_writable_ = false;
                           if (error || !self->open_) return;
                           self->flush();
                           if (self->write_timer_) self->write_timer_->cancel();
                         });
}

ssize_t Wire::receive(std::span<char> into) {
  while (true) {
    const ssize_t count = ::recv(descriptor_.native_handle(), into.data(), into.size(), MSG_DONTWAIT);
    if (count >= 0) return count;
    if (errno == EINTR) continue;
    if (!would_block(errno)) close(net::StreamError::closed);
    return -1;
  }
}

bool Wire::has_hung_up() {
  pollfd state{.fd = descriptor_.native_handle(), .events = 0, .revents = 0};
  return ::poll(&state, 1, 0) > 0;
}

bool Wire::has_input() {
  pollfd state{.fd = descriptor_.native_handle(), .events = POLLIN, .revents = 0};
  return ::poll(&state, 1, 0) > 0 && (state.revents & POLLIN) != 0;
}

void Wire::shut_down_sending() {
  ::shutdown(descriptor_.native_handle(), SHUT_WR);
}

void Wire::release_memory() {
  write_timer_.reset();
  // Assigning an empty string would keep the memory.
  if (pending_.empty()) std::string{}.swap(pending_);
}

// What one system call is to send: the pending bytes, then the rest of one record.
struct Wire::Parts {
  std::array<char, kHeaderSize> head;
  std::string_view content;
  std::size_t size;
  std::size_t sent = 0;
};

// Returns false if the socket takes nothing now; the wire may be closed then.
bool Wire::send_parts(Parts& parts) {
  static constexpr std::array<char, 8> kPadding{};
  const std::array<std::string_view, 4> pieces{std::string_view{pending_}.substr(pending_sent_),
                                               {parts.head.data(), parts.head.size()},
                                               parts.content,
                                               {kPadding.data(), padding_for(parts.content.size())}};
  std::array<iovec, pieces.size()> vector{};
  std::size_t used = 0;
  std::size_t skip = parts.sent;
  for (std::size_t i = is_in_record_ ? 1 : 0; i < pieces.size(); ++i) {
    const std::size_t passed = i == 0 ? 0 : std::min(skip, pieces[i].size());
    const std::string_view rest = pieces[i].substr(passed);
    skip -= passed;
    // sendmsg only reads what iovec, which has no const, points to.
    if (!rest.empty()) vector[used++] = {.iov_base = const_cast<char*>(rest.data()), .iov_len = rest.size()};
  }
  msghdr message{};
  message.msg_iov = vector.data();
  message.msg_iovlen = used;
  const ssize_t result = ::sendmsg(descriptor_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (result < 0) {
    if (errno == EINTR) return true;
    if (!would_block(errno)) stop_sending();
    return false;
  }
  last_sent_ = std::chrono::steady_clock::now();
  auto count = static_cast<std::size_t>(result);
  if (!is_in_record_) {
    const std::size_t taken = std::min(count, pieces[0].size());
    pending_sent_ += taken;
    count -= taken;
    if (pending_sent_ == pending_.size()) {
      pending_.clear();
      pending_sent_ = 0;
    }
  }
  parts.sent += count;
  is_in_record_ = parts.sent > 0 && parts.sent < parts.size;
  return true;
}

void Wire::flush() {
  while (open_ && is_heard_ && !is_in_record_ && !pending_.empty()) {
    const std::string_view rest = std::string_view{pending_}.substr(pending_sent_);
    const ssize_t count = ::send(descriptor_.native_handle(), rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && would_block(errno)) return wait_writable();
    if (count < 0) return stop_sending();
    last_sent_ = std::chrono::steady_clock::now();
    pending_sent_ += static_cast<std::size_t>(count);
    if (pending_sent_ < pending_.size()) continue;
    pending_.clear();
    pending_sent_ = 0;
    // Woken here and now, a writer goes on before anything that the peer sends in reply is read.
    if (write_timer_) write_timer_->cancel();
  }
}

void Wire::flush_soon() {
  if (!open_ || flush_is_posted_) return;
  flush_is_posted_ = true;
  asio::post(executor(), [self = shared_from_this()] {
    self->flush_is_posted_ = false;
    self->flush();
  });
}

net::Task<net::IoResult<void>> Wire::flush_all(net::Deadline deadline) {
  while (true) {
    flush();
    if (!open_ || !is_heard_) co_return std::unexpected(failure_);
    if (pending_.empty()) co_return net::IoResult<void>{};
    const bool in_time = co_await wait_for_room(deadline);
    if (!in_time) close(net::StreamError::deadline);
  }
}

net::Task<net::IoResult<void>> Wire::send_record(RecordType type, std::uint16_t request_id, std::string_view content,
                                                 net::Deadline deadline) {
  assert(content.size() <= kMaxContent);
  const RecordHeader header{.type = type,
                            .request_id = request_id,
                            .content_length = static_cast<std::uint16_t>(content.size()),
                            .padding_length = padding_for(content.size())};
  Parts parts{
      .head = encode_header(header), .content = content, .size = kHeaderSize + content.size() + header.padding_length};
  while (open_ && is_heard_) {
    const bool has_sent = send_parts(parts);
    if (!open_ || !is_heard_) break;
    if (parts.sent == parts.size) {
      if (!pending_.empty()) flush_soon();  // control records that came while this one was under way
      co_return net::IoResult<void>{};
    }
    if (has_sent) continue;
    const bool in_time = co_await wait_for_room(deadline);
    if (!in_time) close(net::StreamError::deadline);
  }
  co_return std::unexpected(failure_);
}

bool Wire::has_room_for(std::size_t bytes) const {
  return !waits_writable_ && !is_in_record_ && pending_.size() + bytes <= kGatherLimit;
}

// Returns false if the deadline has passed. Anything may have happened when it returns, closing included.
net::Task<bool> Wire::wait_for_room(net::Deadline deadline) {
  if (std::chrono::steady_clock::now() >= deadline) co_return false;
  wait_writable();
  if (!write_timer_) write_timer_ = std::make_unique<net::Timer>(executor());
  write_timer_->expires_at(deadline);
  boost::system::error_code ignored;
  co_await write_timer_->async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  co_return true;
}

}  // namespace gatehouse::fastcgi
