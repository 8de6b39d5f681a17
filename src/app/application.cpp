#include "app/application.hpp"

#include <pthread.h>
#include <unistd.h>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <optional>
#include <thread>

#include "app/doors.hpp"
#include "app/house.hpp"
#include "app/maintenance.hpp"
#include "app/service_manager.hpp"
#include "net/listener.hpp"
#include "net/server.hpp"

namespace gatehouse::app {

namespace {

using namespace std::chrono_literals;
namespace asio = net::asio;

constexpr int kConfigExit = 78;
constexpr auto kDrainTime = 30s;
constexpr std::size_t kStoreThreads = 8;
constexpr std::size_t kMaxStoreThreads = 64;
constexpr std::size_t kMaxPendingStoreCalls = 4096;
constexpr int kDrainedSignal = SIGUSR1;

std::size_t cores() {
  return std::max(1U, std::thread::hardware_concurrency());
}

std::size_t hashes_at_once(const config::Login& login) {
  if (login.max_hashes > 0) return login.max_hashes;
  return std::max<std::size_t>(1, cores() - 1);
}

sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, kDrainedSignal}) sigaddset(&set, number);
  return set;
}

/// An io_context and the one thread that runs it.
class Reactor {
 public:
  Reactor() : context_(1), guard_(asio::make_work_guard(context_)) {}
  ~Reactor() { stop(); }
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  void start() {
    thread_ = std::thread([this] { context_.run(); });
  }
  void stop() {
    guard_.reset();
    context_.stop();
    if (thread_.joinable()) thread_.join();
  }
  [[nodiscard]] asio::io_context& context() { return context_; }

 private:
  asio::io_context context_;
  asio::executor_work_guard<asio::io_context::executor_type> guard_;
  std::thread thread_;
};

// Before any thread is made, the pools' among them: one that has a signal unblocked takes it with its default action.
void block_signals() {
  const sigset_t signals = handled_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::ignore = std::signal(SIGPIPE, SIG_IGN);
  // Some process managers ignore it, and so would we: the ends of our scripts could not be waited for.
  std::ignore = std::signal(SIGCHLD, SIG_DFL);
}

std::vector<net::Listening> served(const std::vector<Listener>& listeners, gateway::Gateway& gateway, ops::Log& log) {
  std::vector<net::Listening> out;
  for (const Listener& listener : listeners) {
    const bool is_http = listener.protocol == Protocol::http;
    out.push_back({listener.fd, is_http ? http_door(gateway, log) : fastcgi_door(gateway, log)});
  }
  return out;
}

// A thread waits for a connection of its own: as many as there may be, for reads as for writes, so that writes that
// are stuck leave reads their threads.
PoolSizes pool_sizes(const config::Config& config) {
  const std::size_t hashes = hashes_at_once(config.login);
  const bool is_mysql = config.store.driver == config::Driver::mysql;
  const std::size_t threads = is_mysql ? std::min(config.store.mysql.pool_max, kMaxStoreThreads) : kStoreThreads;
  return {threads, kMaxPendingStoreCalls, hashes, hashes * (1 + config.login.hash_queue)};
}

}  // namespace

class Application::Impl {
 public:
  Impl(config::Config config, const PoolSizes& sizes, std::vector<Listener> listeners)
      : listeners_(std::move(listeners)), house_(std::move(config), sizes) {}

  int run();

 private:
  [[nodiscard]] std::vector<asio::io_context*> contexts();
  [[nodiscard]] bool is_spawned() const;
  void start_serving();
  void wait_for_signals();
  void reload();
  void begin_drain();
  void end();
  void remove_our_sockets();

  const std::vector<Listener> listeners_;
  // Before the reactors, so that it is the later one to go: a coroutine that is dropped with its reactor may still be
  // known to a pool.
  House house_;
  std::vector<std::unique_ptr<Reactor>> reactors_;
  std::unique_ptr<Maintenance> maintenance_;
  std::unique_ptr<net::Server> server_;
  const pthread_t main_thread_ = pthread_self();
};

std::vector<asio::io_context*> Application::Impl::contexts() {
  std::vector<asio::io_context*> out;
  out.reserve(reactors_.size());
  for (const auto& reactor : reactors_) out.push_back(&reactor->context());
  return out;
}

bool Application::Impl::is_spawned() const {
  return std::ranges::any_of(listeners_, [](const Listener& listener) { return listener.fd == STDIN_FILENO; });
}

int Application::Impl::run() {
  if (auto opened = house_.open(); !opened) {
    house_.log().write(ops::LogLevel::error, "cannot_start", {{"reason", opened.error()}});
    return kConfigExit;
  }
  start_serving();
  service_manager::ready();
  for (const Listener& listener : listeners_) {
    const std::string_view protocol = listener.protocol == Protocol::http ? "http" : "fastcgi";
    house_.log().write(ops::LogLevel::info, "listening",
                       {{"address", listener.address}, {"protocol", std::string(protocol)}});
  }
  house_.report_store();
  wait_for_signals();
  end();
  house_.log().write(ops::LogLevel::info, "stopped", {});
  return 0;
}

void Application::Impl::start_serving() {
  const std::size_t threads = house_.config().threads;
  const std::size_t count = threads == 0 ? cores() : threads;
  for (std::size_t i = 0; i < count; ++i) reactors_.push_back(std::make_unique<Reactor>());
  server_ = std::make_unique<net::Server>(contexts(), served(listeners_, house_.gateway(), house_.log()));
  maintenance_ = std::make_unique<Maintenance>(reactors_.front()->context(), contexts(), house_);
  maintenance_->start();
  server_->start();
  for (const auto& reactor : reactors_) reactor->start();
}

// The thread that waits here is the only one that signals reach. The first TERM drains, a second one, or the end of
// the drain time, closes what is left. But who started us on descriptor 0 says TERM again by rote: mod_fcgid a second
// after the first, in a graceful restart, and KILL seven seconds later.
void Application::Impl::wait_for_signals() {
  const sigset_t signals = handled_signals();
  std::optional<std::chrono::steady_clock::time_point> drain_end;
  while (true) {
    int number = 0;
    if (drain_end) {
      const auto left = std::max(*drain_end - std::chrono::steady_clock::now(), std::chrono::nanoseconds(0));
      const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
      const timespec limit{seconds.count(), (left - seconds).count()};
      number = sigtimedwait(&signals, nullptr, &limit);
    } else {
      number = sigwaitinfo(&signals, nullptr);
    }
    if (number == kDrainedSignal && drain_end) return;
    if (number == SIGHUP && !drain_end) reload();
    const bool is_stop = number == SIGTERM || number == SIGINT;
    const bool is_by_rote = number == SIGTERM && is_spawned();
    const bool is_over = drain_end && ((is_stop && !is_by_rote) || (number == -1 && errno == EAGAIN));
    if (is_over) {
      house_.log().write(ops::LogLevel::warn, "stopped_hard", {{"reason", "requests were still running"}});
      server_->close_all();
      return;
    }
    if (is_stop && !drain_end) {
      begin_drain();
      drain_end = std::chrono::steady_clock::now() + kDrainTime;
    }
  }
}

void Application::Impl::begin_drain() {
  service_manager::stopping();
  house_.log().write(ops::LogLevel::info, "draining", {});
  remove_our_sockets();
  server_->stop([main = main_thread_] { pthread_kill(main, kDrainedSignal); });
}

void Application::Impl::end() {
  maintenance_->stop();
  for (const auto& reactor : reactors_) reactor->stop();
  house_.stop();
  house_.write_last_uses();
}

void Application::Impl::reload() {
  service_manager::reloading();
  house_.reload();
  service_manager::ready();
}

void Application::Impl::remove_our_sockets() {
  for (const Listener& listener : listeners_) {
    if (!listener.is_ours) continue;
    const auto address = net::ListenAddress::parse(listener.address);
    if (address) net::remove_if_ours(*address, listener.fd);
  }
}

Application::Application(config::Config config, std::vector<Listener> listeners) {
  block_signals();
  const PoolSizes sizes = pool_sizes(config);
  impl_ = std::make_unique<Impl>(std::move(config), sizes, std::move(listeners));
}

Application::~Application() = default;

int Application::run() {
  return impl_->run();
}

}  // namespace gatehouse::app
