#include "httpd/stream.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cerrno>

namespace gatehouse::httpd {

namespace asio = net::asio;
using net::IoResult;
using net::StreamError;

Stream::Stream(asio::io_context& reactor, int fd)
    : descriptor_(reactor.get_executor(), fd), timer_(reactor.get_executor()) {}

net::Task<IoResult<void>> Stream::wait(Descriptor::wait_type what, net::Deadline deadline) {
  if (!is_open()) co_return std::unexpected(StreamError::closed);
  timer_.expires_at(deadline);
  timer_.async_wait([weak = weak_from_this(), number = ++wait_number_](const boost::system::error_code& cancelled) {
    const auto self = cancelled ? nullptr : weak.lock();
    boost::system::error_code ignored;
    if (self && self->wait_number_ == number) self->descriptor_.cancel(ignored);
  });
  boost::system::error_code error;
  co_await descriptor_.async_wait(what, asio::redirect_error(asio::use_awaitable, error));
  ++wait_number_;
  timer_.cancel();
  if (!error) co_return IoResult<void>{};
  co_return std::unexpected(is_open() ? StreamError::deadline : StreamError::closed);
}

net::Task<IoResult<void>> Stream::receive(std::string& into, std::span<char> scratch, net::Deadline deadline) {
  while (is_open()) {
    const ssize_t count = ::recv(descriptor_.native_handle(), scratch.data(), scratch.size(), MSG_DONTWAIT);
    if (count > 0) {
      into.append(scratch.data(), static_cast<std::size_t>(count));
      co_return IoResult<void>{};
    }
    if (count < 0 && errno == EINTR) continue;
    if (count == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) break;
    const auto waited = co_await wait(Descriptor::wait_read, deadline);
    if (!waited) co_return std::unexpected(waited.error());
  }
  co_return std::unexpected(StreamError::closed);
}

net::Task<IoResult<void>> Stream::send(std::string_view bytes, net::Deadline deadline) {
  while (!bytes.empty()) {
    if (!is_open()) co_return std::unexpected(StreamError::closed);
    const ssize_t count = ::send(descriptor_.native_handle(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(count));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) co_return std::unexpected(StreamError::closed);
    const auto waited = co_await wait(Descriptor::wait_write, deadline);
    if (!waited) co_return std::unexpected(waited.error());
  }
  co_return IoResult<void>{};
}

bool Stream::has_input() {
  pollfd state{.fd = descriptor_.native_handle(), .events = POLLIN, .revents = 0};
  return is_open() && ::poll(&state, 1, 0) > 0;
}

void Stream::close() {
  boost::system::error_code ignored;
  descriptor_.close(ignored);
  timer_.cancel();
}

void Stream::close_abruptly() {
  if (!is_open()) return;
  // Only TCP knows a reset; elsewhere the option has no effect.
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(descriptor_.native_handle(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close();
}

void Stream::shut_down_sending() {
  ::shutdown(descriptor_.native_handle(), SHUT_WR);
}

}  // namespace gatehouse::httpd
