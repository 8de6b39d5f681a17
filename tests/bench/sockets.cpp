#include "bench/sockets.hpp"

#include <fmt/core.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace bench {

namespace {

sockaddr_un unix_address(std::string_view path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) fail("the path of a socket is too long");
  path.copy(address.sun_path, path.size());
  return address;
}

template <class Address>
const sockaddr* generic(const Address& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

Socket open_socket(int family, int flags = 0) {
  const int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
  if (fd < 0) fail("socket");
  return Socket(fd);
}

Socket connect_unix(std::string_view path) {
  Socket socket = open_socket(AF_UNIX);
  const sockaddr_un address = unix_address(path);
  if (::connect(socket.fd(), generic(address), sizeof(address)) != 0) fail("connect");
  return socket;
}

Socket connect_tcp(const std::string& port) {
  Socket socket = open_socket(AF_INET);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(std::strtoul(port.c_str(), nullptr, 10)));
  if (::connect(socket.fd(), generic(address), sizeof(address)) != 0) fail("connect");
  const int on = 1;
  ::setsockopt(socket.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return socket;
}

}  // namespace

void fail(std::string_view what) {
  fmt::print(stderr, "{}: {}\n", what, std::strerror(errno));
  std::exit(1);
}

Socket::~Socket() {
  if (fd_ >= 0) ::close(fd_);
}

bool Socket::send(std::string_view bytes) const {
  const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0 && (errno == EPIPE || errno == ECONNRESET)) return false;
  if (sent != static_cast<ssize_t>(bytes.size())) fail("send");
  return true;
}

bool Socket::receive(std::string& into) const {
  std::array<char, 16384> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init): written before it is read
  const ssize_t received = ::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (received > 0) into.append(buffer.data(), static_cast<std::size_t>(received));
  return received > 0 || (received < 0 && errno == EAGAIN);
}

Socket listen_on(const std::string& path) {
  ::unlink(path.c_str());
  Socket listener = open_socket(AF_UNIX, SOCK_NONBLOCK);
  const sockaddr_un address = unix_address(path);
  if (::bind(listener.fd(), generic(address), sizeof(address)) != 0) fail("bind");
  if (::chmod(path.c_str(), 0666) != 0) fail("chmod");
  if (::listen(listener.fd(), SOMAXCONN) != 0) fail("listen");
  return listener;
}

Socket accept_from(const Socket& listener) {
  return Socket(::accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC));
}

Socket connect_to(std::string_view address) {
  if (address.starts_with("unix:")) return connect_unix(address.substr(5));
  if (address.starts_with("tcp:")) return connect_tcp(std::string(address.substr(4)));
  fail("an address is unix:PATH or tcp:PORT");
}

Poll::Poll() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {}

void Poll::add(const Socket& socket, void* data) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = data;
  if (::epoll_ctl(epoll_.fd(), EPOLL_CTL_ADD, socket.fd(), &event) != 0) fail("epoll_ctl");
}

std::span<const epoll_event> Poll::wait(std::chrono::milliseconds time) {
  const int count =
      ::epoll_wait(epoll_.fd(), events_.data(), static_cast<int>(events_.size()), static_cast<int>(time.count()));
  if (count < 0 && errno != EINTR) fail("epoll_wait");
  return std::span(events_).first(count > 0 ? static_cast<std::size_t>(count) : 0);
}

}  // namespace bench
