// A server of ours for tests, with reactors and threads of its own, a unix socket in a folder of its own and a port.
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>

#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "net/listener.hpp"
#include "net/server.hpp"

namespace gatehouse::test {

class Folder {
 public:
  Folder() {
    char pattern[] = "/tmp/gatehouse-XXXXXX";
    path_ = ::mkdtemp(pattern);
  }
  ~Folder() {
    for (const char* name : {"/s", "/t", "/file"}) ::unlink((path_ + name).c_str());
    ::rmdir(path_.c_str());
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline net::ListenAddress unix_at(const std::string& path) {
  return {.kind = net::ListenAddress::Kind::unix_socket, .path = path, .host = {}, .port = 0};
}

class House {
 public:
  explicit House(const net::ConnectionFactory& make, const net::ServerOptions& options = {}, std::size_t reactors = 1) {
    for (std::size_t i = 0; i < reactors; ++i) reactors_.push_back(std::make_unique<net::asio::io_context>(1));
    std::vector<net::asio::io_context*> contexts;
    for (const auto& reactor : reactors_) {
      contexts.push_back(reactor.get());
      guards_.push_back(net::asio::make_work_guard(*reactor));
    }
    const std::vector<net::Listening> listeners{{net::listen_on(unix_at(path()), {}).value(), make},
                                                {tcp_listener(), make}};
    server_ = std::make_unique<net::Server>(contexts, listeners, options);
    server_->start();
    for (const auto& reactor : reactors_) threads_.emplace_back([&reactor = *reactor] { reactor.run(); });
  }
  ~House() { end(); }
  House(const House&) = delete;
  House& operator=(const House&) = delete;

  [[nodiscard]] std::string path() const { return folder_ / "s"; }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] net::Server& server() { return *server_; }

  /// Stops the server and waits until it has drained.
  void drain() {
    std::promise<void> drained;
    server_->stop([&drained] { drained.set_value(); });
    drained.get_future().wait();
  }
  /// Waits until the figures are as `is_right` wants them; false after ten seconds.
  template <typename IsRight>
  [[nodiscard]] bool reaches(IsRight is_right) const {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!is_right(server_->counts())) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::yield();
    }
    return true;
  }
  /// Stops the threads, whatever is under way, and destroys the server before its reactors.
  void end() {
    guards_.clear();
    for (const auto& reactor : reactors_) reactor->stop();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    server_.reset();
    reactors_.clear();
  }

 private:
  int tcp_listener() {
    const int fd =
        net::listen_on({.kind = net::ListenAddress::Kind::tcp, .path = {}, .host = "127.0.0.1", .port = 0}, {}).value();
    sockaddr_in address{};
    socklen_t size = sizeof address;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    return fd;
  }

  Folder folder_;
  std::uint16_t port_ = 0;
  std::vector<std::unique_ptr<net::asio::io_context>> reactors_;
  std::vector<net::asio::executor_work_guard<net::asio::io_context::executor_type>> guards_;
  std::unique_ptr<net::Server> server_;
  std::vector<std::thread> threads_;
};

}  // namespace gatehouse::test
