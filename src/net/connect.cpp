#include "net/connect.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <cerrno>
#include <memory>
#include <system_error>

#include "http/number.hpp"
#include "net/signal.hpp"

namespace gatehouse::net {

namespace {

using asio::ip::tcp;

constexpr std::chrono::milliseconds kRetry{10};  // nothing tells when a unix socket's backlog has room

std::unexpected<NotConnected> failed(int error) {
  const bool is_busy = error == EAGAIN || error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
  const auto why = is_busy ? NotConnected::Why::busy : NotConnected::Why::down;
  // The kernel's words for it, "Resource temporarily unavailable", help nobody.
  const std::string reason = error == EAGAIN ? "the socket's queue is full" : std::generic_category().message(error);
  return std::unexpected(NotConnected{why, "connect: " + reason});
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
    ConnectAddress address;
    address.path = path;
    return address;
  }
  const auto colon = text.rfind(':');
  if (!text.starts_with(kTcp) || colon < kTcp.size()) return std::nullopt;
  auto host = text.substr(kTcp.size(), colon - kTcp.size());
  const bool is_literal = host.starts_with('[') && host.ends_with(']');
  if (is_literal) host = host.substr(1, host.size() - 2);
  const bool is_host = !host.empty() && !host.contains('[') && !host.contains(']') && host.contains(':') == is_literal;
  ConnectAddress address;
  address.host = host;
  address.port = http::parse_number<std::uint16_t>(text.substr(colon + 1)).value_or(0);
  if (!is_host || address.port == 0) return std::nullopt;
  boost::system::error_code not_literal;
  const auto literal = asio::ip::make_address(address.host, not_literal);
  if (!not_literal) address.endpoints.emplace_back(literal, address.port);
  return address;
}

std::expected<void, std::string> ConnectAddress::look_up() {
  if (!path.empty() || !endpoints.empty()) return {};
  asio::io_context context;
  boost::system::error_code error;
  tcp::resolver resolver(context);
  const auto found = resolver.resolve(host, std::to_string(port), tcp::resolver::numeric_service, error);
  if (error) return std::unexpected(host + ": " + error.message());
  endpoints.assign(found.begin(), found.end());
  return {};
}

struct Connecting::Shared {
  explicit Shared(const asio::any_io_executor& on) : executor(on), changed(on), socket(on) {}
  const asio::any_io_executor executor;
  Signal changed;
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

Task<> Connecting::attempt(std::shared_ptr<Shared> shared, std::vector<tcp::endpoint> endpoints) {
  co_await asio::async_connect(shared->socket, endpoints, asio::redirect_error(asio::use_awaitable, shared->error));
  shared->is_over = true;
  shared->changed.notify();
}

Task<std::expected<int, NotConnected>> Connecting::connect_tcp(const ConnectAddress& address, Deadline deadline) {
  const auto shared = shared_;
  asio::co_spawn(shared->executor, attempt(shared, address.endpoints), asio::detached);
  while (!shared->is_over && !shared->is_given_up && std::chrono::steady_clock::now() < deadline) {
    co_await shared->changed.wait(deadline);
  }
  boost::system::error_code ignored;
  if (!shared->is_over) {
    shared->is_given_up = true;
    shared->socket.close(ignored);
    co_return not_in_time();
  }
  // What Asio makes of a socket that cannot be opened.
  if (shared->error == asio::error::operation_aborted) co_return failed(EMFILE);
  if (shared->error) {
    co_return std::unexpected(NotConnected{NotConnected::Why::down, "connect: " + shared->error.message()});
  }
  shared->socket.set_option(tcp::no_delay(true), ignored);
  shared->socket.non_blocking(true, ignored);
  co_return shared->socket.release(ignored);
}

}  // namespace gatehouse::net
