#include "net/connect.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <cerrno>
#include <charconv>
#include <memory>
#include <system_error>

#include "net/signal.hpp"

namespace gatehouse::net {

namespace {

using asio::ip::tcp;

constexpr std::chrono::milliseconds kRetry{10};  // nothing tells when a unix socket's backlog has room

std::unexpected<NotConnected> failed(int error) {
  const bool is_busy = error == EAGAIN || error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
  const auto why = is_busy ? NotConnected::Why::busy : NotConnected::Why::down;
  return std::unexpected(NotConnected{why, "connect: " + std::generic_category().message(error)});
}

std::unexpected<NotConnected> not_in_time() {
  return std::unexpected(NotConnected{NotConnected::Why::silent, "connect: no answer"});
}

}  // namespace

std::optional<ConnectAddress> ConnectAddress::parse(std::string_view text) {
  constexpr std::string_view kUnix = "unix:";
  constexpr std::string_view kTcp = "tcp:";
  if (text.starts_with(kUnix)) {
    const auto path = text.substr(kUnix.size());
    if (path.empty() || path.size() >= sizeof(sockaddr_un::sun_path) || path.contains('\0')) return std::nullopt;
    return ConnectAddress{.path = std::string(path), .host = {}};
  }
  const auto colon = text.rfind(':');
  if (!text.starts_with(kTcp) || colon < kTcp.size()) return std::nullopt;
  auto host = text.substr(kTcp.size(), colon - kTcp.size());
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  ConnectAddress address{.path = {}, .host = std::string(host)};
  const auto digits = text.substr(colon + 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), address.port);
  const bool is_port = error == std::errc{} && end == digits.data() + digits.size() && address.port != 0;
  if (host.empty() || !is_port) return std::nullopt;
  return address;
}

struct Connecting::Shared {
  explicit Shared(const asio::any_io_executor& on) : executor(on), changed(on), resolver(on), socket(on) {}
  const asio::any_io_executor executor;
  Signal changed;
  tcp::resolver resolver;
  tcp::socket socket;
  boost::system::error_code error;
  bool is_over = false;
  bool is_given_up = false;
};

Connecting::Connecting(const asio::any_io_executor& executor) : shared_(std::make_shared<Shared>(executor)) {}

Connecting::~Connecting() = default;

void Connecting::give_up() {
  shared_->is_given_up = true;
  shared_->changed.notify();
}

Task<std::expected<int, NotConnected>> Connecting::connect(const ConnectAddress& address, Deadline deadline) {
  return address.path.empty() ? connect_tcp(address, deadline) : connect_unix(address, deadline);
}

Task<std::expected<int, NotConnected>> Connecting::connect_unix(const ConnectAddress& address, Deadline deadline) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  address.path.copy(name.sun_path, sizeof name.sun_path - 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) co_return failed(errno);
  for (;;) {
    // sockaddr is the form that every address takes here.
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0) co_return fd;
    const int error = errno;
    if (error == EINTR) continue;
    if (error != EAGAIN || shared_->is_given_up || std::chrono::steady_clock::now() >= deadline) {
      ::close(fd);
      co_return failed(error);
    }
    const Deadline next = after(kRetry);
    co_await shared_->changed.wait(next);
  }
}

Task<> Connecting::attempt(std::shared_ptr<Shared> shared, ConnectAddress address) {
  const auto port = std::to_string(address.port);
  const tcp::resolver::results_type found = co_await shared->resolver.async_resolve(
      address.host, port, tcp::resolver::numeric_service, asio::redirect_error(asio::use_awaitable, shared->error));
  if (!shared->error && !shared->is_given_up) {
    co_await asio::async_connect(shared->socket, found, asio::redirect_error(asio::use_awaitable, shared->error));
  }
  shared->is_over = true;
  shared->changed.notify();
}

Task<std::expected<int, NotConnected>> Connecting::connect_tcp(const ConnectAddress& address, Deadline deadline) {
  const auto shared = shared_;
  asio::co_spawn(shared->executor, attempt(shared, address), asio::detached);
  while (!shared->is_over && !shared->is_given_up && std::chrono::steady_clock::now() < deadline) {
    co_await shared->changed.wait(deadline);
  }
  boost::system::error_code ignored;
  if (!shared->is_over) {
    shared->is_given_up = true;
    shared->resolver.cancel();
    shared->socket.close(ignored);
    co_return not_in_time();
  }
  if (shared->error)
    co_return std::unexpected(NotConnected{NotConnected::Why::down, "connect: " + shared->error.message()});
  shared->socket.set_option(tcp::no_delay(true), ignored);
  shared->socket.non_blocking(true, ignored);
  co_return shared->socket.release(ignored);
}

}  // namespace gatehouse::net
