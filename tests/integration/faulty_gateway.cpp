// The gateway with a fault built in, for tests of what web servers do then: the real doors, pipeline and servers, and
// one part that fails whenever it is used.
//
//   faulty_gateway FAULT CONFIG    serves the configuration's `listen` and `listen_http` until TERM, or a listening
//                                  descriptor 0, as from mod_fcgid and lighttpd, and nothing else
//
// It never serves less than the faulty part makes it to: what works without that part is answered as ever.
#include <fmt/format.h>
#include <unistd.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include <csignal>
#include <cstdio>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>

#include "app/assemble.hpp"
#include "app/doors.hpp"
#include "config/load.hpp"
#include "contract/failing_store.hpp"
#include "fastcgi/server.hpp"
#include "gateway/gateway.hpp"
#include "httpd/server.hpp"
#include "net/listener.hpp"
#include "net/server.hpp"

namespace gatehouse {
namespace {

namespace asio = net::asio;

struct Fault {
  std::function<void(contract::FailingStore&)> store = nullptr;
  std::size_t max_pending = 64;
  std::function<void()> handler = nullptr;  ///< called in the place of the door's
};

void throw_error() {
  throw std::runtime_error("a bug of the store's");
}

void throw_int() {
  throw 42;  // NOLINT(hicpp-exception-baseclass): what nobody expects
}

const std::map<std::string_view, Fault> kFaults{
    {"store throws", {.store = [](contract::FailingStore& store) { store.throw_always(throw_error); }}},
    {"store throws an int", {.store = [](contract::FailingStore& store) { store.throw_always(throw_int); }}},
    {"store stopped",
     {.store = [](contract::FailingStore& store) { store.fail_all(auth::ErrorCode::store_unavailable); }}},
    {"queue full", {.max_pending = 0}},
    {"handler throws", {.handler = throw_error}},
    {"handler throws an int", {.handler = throw_int}},
};

/// What app/house builds, with the fault in its place.
class FaultyHouse {
 public:
  FaultyHouse(config::Config config, const Fault& fault)
      : fault_(fault),
        config_(std::move(config)),
        inner_(app::make_store(config_.store)),
        read_pool_(1, fault.max_pending),
        write_pool_(1, fault.max_pending),
        hash_pool_(1, fault.max_pending) {
    if (fault_.store) fault_.store(store_);
    auto settings = app::make_settings(config_, {store_, clock_, random_, events_, log_});
    if (!settings) throw std::runtime_error(settings.error());
    gateway_ = std::make_unique<gateway::Gateway>(
        gateway::World{log_, read_pool_, write_pool_, hash_pool_, throttle_, last_uses_, random_, store_failures_},
        std::move(*settings));
  }

  std::vector<net::Listening> listen() {
    if (net::is_listening_socket(STDIN_FILENO)) return {{STDIN_FILENO, fastcgi_door()}};
    std::vector<net::Listening> out;
    for (const std::string& address : config_.listen) out.push_back({bind(address), fastcgi_door()});
    for (const std::string& address : config_.listen_http) out.push_back({bind(address), http_door()});
    return out;
  }
  void stop() {
    read_pool_.stop();
    write_pool_.stop();
    hash_pool_.stop();
  }

 private:
  static int bind(const std::string& address) {
    const auto parsed = net::ListenAddress::parse(address);
    if (!parsed) throw std::runtime_error(address + " is no address");
    const auto fd = net::listen_on(*parsed, {.mode = 0666, .group = {}});
    if (!fd) throw std::runtime_error(fd.error());
    return *fd;
  }

  [[nodiscard]] net::Task<> broken() const {
    fault_.handler();
    co_return;
  }
  net::ConnectionFactory fastcgi_door() {
    if (!fault_.handler) return app::fastcgi_door(*gateway_, log_);
    return fastcgi::connections([this](fastcgi::ServerRequest&) { return broken(); });
  }
  net::ConnectionFactory http_door() {
    if (!fault_.handler) return app::http_door(*gateway_, log_);
    return httpd::connections([this](httpd::ServerRequest&) { return broken(); },
                              [this](httpd::ServerRequest&, httpd::ParseProblem) { return broken(); });
  }

  const Fault fault_;
  const config::Config config_;
  ops::Log log_{ops::LogLevel::debug, ops::LogFormat::text};
  app::EventLog events_{log_};
  const auth::SystemClock clock_;
  auth::SystemRandom random_;
  std::unique_ptr<auth::Store> inner_;
  contract::FailingStore store_{*inner_};
  gateway::Throttle throttle_;
  gateway::LastUses last_uses_;
  ops::Sparse store_failures_;
  net::WorkerPool read_pool_;
  net::WorkerPool write_pool_;
  net::WorkerPool hash_pool_;
  std::unique_ptr<gateway::Gateway> gateway_;
};

int serve(const Fault& fault, const std::string& config_file) {
  std::ignore = std::signal(SIGPIPE, SIG_IGN);
  auto loaded = config::load(config_file);
  if (!loaded) throw std::runtime_error(loaded.error().front().message());
  FaultyHouse house(std::move(loaded->config), fault);
  asio::io_context reactor(1);
  net::Server server({&reactor}, house.listen());
  asio::signal_set ending(reactor, SIGTERM, SIGINT);
  ending.async_wait([&reactor](const boost::system::error_code&, int) { reactor.stop(); });
  server.start();
  reactor.run();
  house.stop();
  return 0;
}

}  // namespace
}  // namespace gatehouse

int main(int argc, char** argv) {
  const auto fault = argc == 3 ? gatehouse::kFaults.find(argv[1]) : gatehouse::kFaults.end();
  if (fault == gatehouse::kFaults.end()) {
    std::ignore = std::fputs("usage: faulty_gateway FAULT CONFIG\n", stderr);
    for (const auto& [name, value] : gatehouse::kFaults) fmt::print(stderr, "  {}\n", name);
    return 2;
  }
  try {
    return gatehouse::serve(fault->second, argv[2]);
  } catch (const std::exception& error) {
    fmt::print(stderr, "faulty_gateway: {}\n", error.what());
    return 1;
  }
}
