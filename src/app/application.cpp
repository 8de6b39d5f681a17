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

#include "app/assemble.hpp"
#include "app/doors.hpp"
#include "app/event_log.hpp"
#include "app/maintenance.hpp"
#include "app/service_manager.hpp"
#include "config/load.hpp"
#include "fastcgi/listener.hpp"
#include "fastcgi/server.hpp"
#include "gateway/gateway.hpp"

namespace gatehouse::app {

namespace {

using namespace std::chrono_literals;
namespace asio = net::asio;

constexpr int kConfigExit = 78;
constexpr auto kDrainTime = 30s;
constexpr std::size_t kStoreThreads = 8;
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
}

std::vector<int> descriptors(const std::vector<Listener>& listeners) {
  std::vector<int> out;
  out.reserve(listeners.size());
  for (const Listener& listener : listeners) out.push_back(listener.fd);
  return out;
}

/// Names of the sections that only a restart can change, where they differ.
std::string changes_that_need_a_restart(const config::Config& old, const config::Config& now) {
  std::string out;
  const auto note = [&out](bool differs, std::string_view name) {
    if (differs) out += (out.empty() ? "" : " ") + std::string(name);
  };
  note(old.listen != now.listen, "listen");
  note(old.listen_http != now.listen_http, "listen_http");
  note(old.socket != now.socket, "socket");
  note(old.threads != now.threads, "threads");
  note(old.store != now.store, "store");
  note(old.admin_listen != now.admin_listen, "admin");
  note(old.login.max_hashes != now.login.max_hashes || old.login.hash_queue != now.login.hash_queue, "login.hashes");
  return out;
}

}  // namespace

class Application::Impl {
 public:
  Impl(config::Config config, std::vector<Listener> listeners)
      : config_(std::move(config)),
        listeners_(std::move(listeners)),
        log_(log_level(config_.log.level), log_format(config_.log.format)),
        events_(log_),
        store_(make_store(config_.store)),
        read_pool_(kStoreThreads, kMaxPendingStoreCalls),
        write_pool_(kStoreThreads, kMaxPendingStoreCalls),
        hash_pool_(hashes_at_once(config_.login), hashes_at_once(config_.login) * (1 + config_.login.hash_queue)) {}

  int run();

 private:
  [[nodiscard]] Foundation foundation() { return {*store_, clock_, random_, events_, log_}; }
  [[nodiscard]] std::vector<asio::io_context*> contexts();
  void start_serving();
  void report_store();
  void wait_for_signals();
  void reload();
  void begin_drain();
  void end();
  void remove_our_sockets();

  config::Config config_;
  const std::vector<Listener> listeners_;
  ops::Log log_;
  EventLog events_;
  const auth::SystemClock clock_;
  auth::SystemRandom random_;
  std::unique_ptr<auth::Store> store_;
  gateway::Throttle throttle_;
  gateway::LastUses last_uses_;
  std::unique_ptr<gateway::Gateway> gateway_;
  // Pools before reactors, so that they are the later ones to go: a coroutine that is dropped with its reactor may
  // still be known to a pool.
  net::WorkerPool read_pool_;
  net::WorkerPool write_pool_;
  net::WorkerPool hash_pool_;
  std::vector<std::unique_ptr<Reactor>> reactors_;
  std::unique_ptr<Maintenance> maintenance_;
  std::unique_ptr<fastcgi::Server> server_;
  const pthread_t main_thread_ = pthread_self();
};

std::vector<asio::io_context*> Application::Impl::contexts() {
  std::vector<asio::io_context*> out;
  out.reserve(reactors_.size());
  for (const auto& reactor : reactors_) out.push_back(&reactor->context());
  return out;
}

int Application::Impl::run() {
  auto settings = make_settings(config_, foundation());
  if (!settings) {
    log_.write(ops::LogLevel::error, "cannot_start", {{"reason", settings.error()}});
    return kConfigExit;
  }
  gateway_ = std::make_unique<gateway::Gateway>(
      gateway::World{log_, read_pool_, write_pool_, hash_pool_, throttle_, last_uses_, random_}, std::move(*settings));
  start_serving();
  service_manager::ready();
  for (const Listener& listener : listeners_) {
    log_.write(ops::LogLevel::info, "listening", {{"address", listener.address}});
  }
  report_store();
  wait_for_signals();
  end();
  log_.write(ops::LogLevel::info, "stopped", {});
  return 0;
}

void Application::Impl::start_serving() {
  const std::size_t count = config_.threads == 0 ? cores() : config_.threads;
  for (std::size_t i = 0; i < count; ++i) reactors_.push_back(std::make_unique<Reactor>());
  server_ = std::make_unique<fastcgi::Server>(contexts(), descriptors(listeners_), fastcgi_door(*gateway_, log_));
  maintenance_ = std::make_unique<Maintenance>(Maintenance::World{reactors_.front()->context(), contexts(), write_pool_,
                                                                  *store_, clock_, last_uses_, log_, *gateway_});
  maintenance_->start();
  server_->start();
  for (const auto& reactor : reactors_) reactor->start();
}

// Serving goes on whatever it says: the store may come later. But nobody should have to find out by a visitor's 503.
void Application::Impl::report_store() {
  const auto status = store_->schema_status();
  if (!status) {
    log_.write(
        ops::LogLevel::warn, "store_not_ready",
        {{"detail", status.error().detail}, {"hint", "visitors get 503 until it is; gatehouse db migrate makes it"}});
  } else if (!status->is_current()) {
    log_.write(ops::LogLevel::warn, "store_not_ready", {{"hint", "not migrated: run gatehouse db migrate"}});
  }
}

// The thread that waits here is the only one that signals reach. The first TERM drains, a second one, or the end of
// the drain time, closes what is left.
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
    const bool is_over = drain_end && (is_stop || (number == -1 && errno == EAGAIN));
    if (is_over) {
      log_.write(ops::LogLevel::warn, "stopped_hard", {{"reason", "requests were still running"}});
      server_->close_all();
      return;
    }
    if (is_stop) {
      begin_drain();
      drain_end = std::chrono::steady_clock::now() + kDrainTime;
    }
  }
}

void Application::Impl::begin_drain() {
  service_manager::stopping();
  log_.write(ops::LogLevel::info, "draining", {});
  remove_our_sockets();
  server_->stop([main = main_thread_] { pthread_kill(main, kDrainedSignal); });
}

void Application::Impl::end() {
  maintenance_->stop();
  for (const auto& reactor : reactors_) reactor->stop();
  read_pool_.stop();
  write_pool_.stop();
  hash_pool_.stop();
  maintenance_->flush();
}

void Application::Impl::reload() {
  service_manager::reloading();
  auto loaded = config::load(config_.file);
  if (!loaded) {
    for (const config::Problem& problem : loaded.error()) {
      log_.write(ops::LogLevel::error, "reload_refused", {{"problem", problem.message()}});
    }
    service_manager::ready();
    return;
  }
  const config::Config& next = loaded->config;
  auto settings = make_settings(next, foundation());
  if (!settings) {
    log_.write(ops::LogLevel::error, "reload_refused", {{"problem", settings.error()}});
    service_manager::ready();
    return;
  }
  if (const std::string left_alone = changes_that_need_a_restart(config_, next); !left_alone.empty()) {
    log_.write(ops::LogLevel::warn, "needs_restart", {{"keys", left_alone}});
  }
  for (const std::string& warning : loaded->warnings) {
    log_.write(ops::LogLevel::warn, "configuration", {{"warning", warning}});
  }
  gateway_->replace(std::move(*settings));
  log_.configure(log_level(next.log.level), log_format(next.log.format));
  log_.write(ops::LogLevel::info, "reloaded", {{"file", config_.file}});
  service_manager::ready();
}

void Application::Impl::remove_our_sockets() {
  for (const Listener& listener : listeners_) {
    if (!listener.is_ours) continue;
    const auto address = fastcgi::ListenAddress::parse(listener.address);
    if (address) fastcgi::remove_if_ours(*address, listener.fd);
  }
}

Application::Application(config::Config config, std::vector<Listener> listeners) {
  block_signals();
  impl_ = std::make_unique<Impl>(std::move(config), std::move(listeners));
}

Application::~Application() = default;

int Application::run() {
  return impl_->run();
}

}  // namespace gatehouse::app
