// Accepting, spreading connections over the reactors, and the ways to stop.
#include "net/server.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>

#include <array>
#include <cerrno>

namespace gatehouse::net {
namespace {

// Without descriptors or memory accept fails again at once; so it is left alone for a moment.
constexpr std::chrono::milliseconds kAcceptPause{100};
// After so many, requests that have already begun get their turn.
constexpr int kAcceptsPerTurn = 64;

bool is_tcp_socket(int fd) {
  int domain = AF_UNIX;
  socklen_t size = sizeof domain;
  ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size);
  return domain == AF_INET || domain == AF_INET6;
}

void set_no_delay(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

// An inherited descriptor comes as its maker left it.
void prepare_listener(int fd) {
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
}

// The connection is gone, the listener is well: RFC names for what accept(2) passes on from the network.
bool is_about_one_connection(int error) {
  constexpr std::array kErrors{EINTR,     ECONNABORTED, EPROTO,       EPERM,      ENETDOWN,   ENOPROTOOPT,
                               EHOSTDOWN, ENONET,       EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH};
  return std::ranges::find(kErrors, error) != kErrors.end();
}

}  // namespace

// Thread-safe where it says so; the rest happens on the first reactor.
class Server::Impl final : public ServerHost, public std::enable_shared_from_this<Server::Impl> {
 public:
  Impl(const std::vector<asio::io_context*>& contexts, std::vector<Listening> listeners, const ServerOptions& bounds);
  ~Impl() override;

  // Thread-safe.
  void start();
  void stop(std::function<void()> drained);
  void close_all();
  void abandon();
  void connection_ended() noexcept override;

 private:
  class Acceptor;

  [[nodiscard]] asio::io_context& first() const { return reactors_.front()->context; }
  void open_acceptors();
  void close_acceptors();
  void wake_acceptors();
  void adopt(int fd, bool is_tcp, const ConnectionFactory& make);
  [[nodiscard]] bool is_full() const { return connections.load() >= options.max_connections; }
  void end_idle_connections();
  void sweep_after_grace(Reactor& reactor, Deadline end);
  void close_connections();
  void check_drained();

  std::vector<std::unique_ptr<Reactor>> reactors_;  // the vector is constant, each reactor confined to its thread
  std::atomic<bool> is_stopping_{false};
  std::atomic<bool> is_abandoned_{false};         // the server object is gone: nothing is posted any more
  std::atomic<bool> has_paused_acceptor_{false};  // one waits for a connection to end

  // Confined to the first reactor.
  std::vector<Listening> listeners_;                // until their acceptors own them
  std::vector<std::weak_ptr<Acceptor>> acceptors_;  // each lives by its own wait
  std::size_t next_reactor_ = 0;
  std::function<void()> drained_;
};

// One listening socket. It is held by nothing but what it waits for, so that it dies on its reactor.
class Server::Impl::Acceptor : public std::enable_shared_from_this<Acceptor> {
 public:
  Acceptor(std::shared_ptr<Impl> server, Listening listening)
      : server_(std::move(server)),
        make_(std::move(listening.make)),
        descriptor_(server_->first().get_executor(), listening.fd),
        pause_(server_->first().get_executor()),
        is_tcp_(is_tcp_socket(listening.fd)) {}

  void accept();
  void wake() {
    if (is_paused_) pause_.cancel();
  }
  void close() {
    // Whoever is in the backlog connected in good faith, and is reset if nobody takes them.
    while (accept_some() == Turn::again) continue;
    boost::system::error_code ignored;
    descriptor_.close(ignored);
    pause_.cancel();
  }

 private:
  enum class Turn : std::uint8_t { wait, again, pause };

  [[nodiscard]] bool is_open() const { return descriptor_.is_open(); }
  Turn accept_some();
  void wait();
  void pause();

  const std::shared_ptr<Impl> server_;
  const ConnectionFactory make_;
  asio::posix::basic_stream_descriptor<ReactorExecutor> descriptor_;
  Timer pause_;
  const bool is_tcp_;
  bool is_paused_ = false;
};

void Server::Impl::Acceptor::accept() {
  switch (accept_some()) {
    case Turn::wait:
    case Turn::again: return wait();
    case Turn::pause: return pause();
  }
}

Server::Impl::Acceptor::Turn Server::Impl::Acceptor::accept_some() {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    if (server_->is_full()) return Turn::pause;
    const int fd = ::accept4(descriptor_.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      server_->adopt(fd, is_tcp_, make_);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return Turn::wait;
    } else if (!is_about_one_connection(errno)) {
      return Turn::pause;
    }
  }
  return Turn::again;
}

void Server::Impl::Acceptor::wait() {
  descriptor_.async_wait(decltype(descriptor_)::wait_read,
                         [self = shared_from_this()](const boost::system::error_code& error) {
                           if (!error && self->is_open()) self->accept();
                         });
}

void Server::Impl::Acceptor::pause() {
  is_paused_ = true;
  server_->has_paused_acceptor_ = true;
  // The timer is the sure way back, the end of a connection the fast one.
  pause_.expires_after(kAcceptPause);
  pause_.async_wait([self = shared_from_this()](const boost::system::error_code&) {
    self->is_paused_ = false;
    if (self->is_open()) self->accept();
  });
}

Server::Impl::Impl(const std::vector<asio::io_context*>& contexts, std::vector<Listening> listeners,
                   const ServerOptions& bounds)
    : ServerHost(bounds), listeners_(std::move(listeners)) {
  for (asio::io_context* context : contexts) reactors_.push_back(std::make_unique<Reactor>(*context));
  for (const Listening& listening : listeners_) prepare_listener(listening.fd);
}

Server::Impl::~Impl() {
  for (const Listening& listening : listeners_) ::close(listening.fd);
}

void Server::Impl::start() {
  asio::post(first(), [self = shared_from_this()] { self->open_acceptors(); });
}

void Server::Impl::open_acceptors() {
  if (is_stopping_) return;
  for (Listening& listening : std::exchange(listeners_, {})) {
    const auto acceptor = std::make_shared<Acceptor>(shared_from_this(), std::move(listening));
    acceptors_.push_back(acceptor);
    acceptor->accept();
  }
}

void Server::Impl::close_acceptors() {
  for (const std::weak_ptr<Acceptor>& weak : std::exchange(acceptors_, {})) {
    if (const auto acceptor = weak.lock()) acceptor->close();
  }
  for (const Listening& listening : std::exchange(listeners_, {})) ::close(listening.fd);
}

void Server::Impl::wake_acceptors() {
  for (const std::weak_ptr<Acceptor>& weak : acceptors_) {
    if (const auto acceptor = weak.lock()) acceptor->wake();
  }
}

void Server::Impl::adopt(int fd, bool is_tcp, const ConnectionFactory& make) {
  if (is_tcp) set_no_delay(fd);
  Reactor& reactor = *reactors_[next_reactor_];
  next_reactor_ = (next_reactor_ + 1) % reactors_.size();
  auto connection = make({shared_from_this(), reactor, fd, is_tcp});
  if (&reactor == reactors_.front().get()) return connection->start();
  asio::post(reactor.context, [connection = std::move(connection)] { connection->start(); });
}

void Server::Impl::connection_ended() noexcept {
  if (is_abandoned_) return;
  if (has_paused_acceptor_.exchange(false)) {
    asio::post(first(), [self = shared_from_this()] { self->wake_acceptors(); });
  }
  if (is_stopping_ && connections == 0) {
    asio::post(first(), [self = shared_from_this()] { self->check_drained(); });
  }
}

void Server::Impl::stop(std::function<void()> drained) {
  asio::post(first(), [self = shared_from_this(), drained = std::move(drained)]() mutable {
    if (self->is_stopping_) return;
    self->drained_ = std::move(drained);
    self->close_acceptors();
    self->is_stopping_ = true;
    self->end_idle_connections();
    self->check_drained();
  });
}

// A web server may use a kept connection at any moment. Closed right after an answer, it would often meet its next
// request half way, so only those that seem to be forgotten are closed.
void Server::Impl::end_idle_connections() {
  const Deadline end = after(options.shutdown_patience);
  for (const auto& reactor : reactors_) {
    asio::post(reactor->context, [self = shared_from_this(), &reactor = *reactor, end] {
      reactor.is_draining = true;
      for (Connection& connection : reactor.connections) connection.forget_use();
      self->sweep_after_grace(reactor, end);
    });
  }
}

void Server::Impl::sweep_after_grace(Reactor& reactor, Deadline end) {
  if (reactor.connections.empty() || is_abandoned_) return;
  const auto timer = std::make_shared<Timer>(reactor.context.get_executor(), options.shutdown_grace);
  timer->async_wait([self = shared_from_this(), timer, &reactor, end](const boost::system::error_code&) {
    reactor.keeps_idle = std::chrono::steady_clock::now() < end;
    for (auto it = reactor.connections.begin(); it != reactor.connections.end();) {
      Connection& connection = *it++;  // closing does not unlink the next one: a waiting handler holds each
      reactor.keeps_idle ? connection.close_if_forgotten() : connection.close_if_idle();
    }
    if (reactor.keeps_idle) self->sweep_after_grace(reactor, end);
  });
}

void Server::Impl::check_drained() {
  if (!is_stopping_ || connections != 0) return;
  const std::function<void()> drained = std::exchange(drained_, nullptr);
  if (drained) drained();
}

// By way of the first reactor, so that connections it has handed over before are closed as well.
void Server::Impl::close_all() {
  asio::post(first(), [self = shared_from_this()] { self->close_connections(); });
}

void Server::Impl::close_connections() {
  for (const auto& reactor : reactors_) {
    asio::post(reactor->context, [self = shared_from_this(), &reactor = *reactor] {
      std::vector<std::shared_ptr<Connection>> all;  // a notice of abort runs foreign code while we go through them
      for (Connection& connection : reactor.connections) all.push_back(connection.hold());
      for (const std::shared_ptr<Connection>& connection : all) {
        if (connection) connection->close_now();
      }
    });
  }
}

void Server::Impl::abandon() {
  is_abandoned_ = true;
  asio::post(first(), [self = shared_from_this()] {
    self->drained_ = nullptr;
    self->is_stopping_ = true;
    self->close_acceptors();
    self->close_connections();
  });
}

Server::Server(const std::vector<asio::io_context*>& reactors, std::vector<Listening> listeners,
               const ServerOptions& options)
    : impl_(std::make_shared<Impl>(reactors, std::move(listeners), options)) {}

Server::~Server() {
  impl_->abandon();
}

void Server::start() {
  impl_->start();
}

void Server::stop(std::function<void()> drained) {
  impl_->stop(std::move(drained));
}

void Server::close_all() {
  impl_->close_all();
}

ServerCounts Server::counts() const {
  return {.connections = impl_->connections, .busy = impl_->busy};
}

}  // namespace gatehouse::net
