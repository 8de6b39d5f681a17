// A FastCGI application that does what a test says, rightly or wrongly: each connection in a thread of its own, with
// blocking calls that give up, so that a test that waits in vain fails and does not hang.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "contract/temporary_folder.hpp"
#include "fastcgi/name_value.hpp"
#include "fastcgi/record.hpp"
#include "net/connect.hpp"

namespace gatehouse::fastcgi::test {

/// What the web server's side has sent of one request.
struct Received {
  std::optional<BeginRequest> begin;
  std::vector<std::pair<std::string, std::string>> params;
  std::vector<std::size_t> params_sizes;  ///< of the records that are not empty
  bool pairs_are_whole = true;            ///< no pair crosses a record
  bool has_ended_params = false;
  std::string body;
  std::vector<std::size_t> stdin_sizes;
  bool has_ended_stdin = false;
  bool is_aborted = false;
  bool is_malformed = false;  ///< or came in a wrong order, or of another id than 1
};

/// One connection, in the hands of the script.
class Link {
 public:
  explicit Link(int fd) : fd_(fd) {
    const timeval limit{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  ~Link() { close(); }
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  /// Reads one whole request. Returns false if the other side ended or aborted before.
  bool read_request() {
    got = {};
    return read_until([this] { return got.has_ended_stdin; });
  }
  bool read_params() {
    got = {};
    return read_until([this] { return got.has_ended_params; });
  }
  bool read_body() {
    return read_until([this] { return got.has_ended_stdin; });
  }
  /// Reads on until the other side closes. Returns false if it does not.
  bool sees_end() {
    const bool never = read_until([] { return false; });
    return !never && is_ended_;
  }

  /// Returns false if the other side takes no more.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  }
  /// Sends, and returns when the other side has read all of it: what is sent next arrives alone. Unix sockets only.
  bool send_alone(std::string_view bytes) {
    if (!send(bytes)) return false;
    int unread = 1;
    while (::ioctl(fd_, SIOCOUTQ, &unread) == 0 && unread > 0 && !has_hung_up()) std::this_thread::yield();
    return unread == 0;
  }
  /// Sends the same again and again until the other side takes no more; returns how many bytes it took.
  std::size_t flood(std::string_view bytes) {
    std::size_t taken = 0;
    while (send(bytes)) taken += bytes.size();
    return taken;
  }
  /// Sends until the other side has taken nothing for a while; returns how much it took.
  std::size_t send_what_fits(std::string_view bytes) {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
      pollfd state{.fd = fd_, .events = POLLOUT, .revents = 0};
      if (::poll(&state, 1, 500) <= 0) break;
      const ssize_t count = ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (count < 0 && errno != EAGAIN) break;
      if (count > 0) sent += static_cast<std::size_t>(count);
    }
    return sent;
  }

  /// Reads so many bytes of the request, or up to its end.
  void take(std::size_t count) {
    const auto before = got.body.size();
    read_until([&] { return got.has_ended_stdin || got.body.size() >= before + count; });
  }
  void stop_reading() { ::shutdown(fd_, SHUT_RD); }
  /// Over TCP; what was sent may be lost.
  void reset() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

  Received got;

 private:
  bool has_hung_up() const {
    pollfd state{.fd = fd_, .events = 0, .revents = 0};
    return ::poll(&state, 1, 0) > 0;
  }
  template <typename IsDone>
  bool read_until(IsDone is_done) {
    while (!is_done()) {
      RecordPiece piece;
      std::string_view rest = input_;
      const auto step = decoder_.next(rest, piece);
      if (step == RecordDecoder::Step::piece) note(piece);
      input_.erase(0, input_.size() - rest.size());
      if (step == RecordDecoder::Step::piece) continue;
      if (step == RecordDecoder::Step::malformed) got.is_malformed = true;
      if (step == RecordDecoder::Step::malformed || !fill()) return false;
    }
    return true;
  }
  bool fill() {
    std::array<char, 65536> buffer;
    const ssize_t count = ::recv(fd_, buffer.data(), buffer.size(), 0);
    is_ended_ = count == 0 || (count < 0 && errno == ECONNRESET);
    if (count <= 0) return false;
    input_.assign(buffer.data(), static_cast<std::size_t>(count));
    return true;
  }
  void note(const RecordPiece& piece) {
    if (piece.header.request_id != 1) got.is_malformed = true;
    switch (piece.header.type) {
      case RecordType::begin_request: got.begin = decode_begin_request(piece.content); return;
      case RecordType::params: return note_params(piece);
      case RecordType::stdin_stream:
        got.is_malformed |= !got.has_ended_params || got.has_ended_stdin;
        got.body += piece.content;
        if (piece.first && piece.header.content_length > 0) got.stdin_sizes.push_back(piece.header.content_length);
        got.has_ended_stdin = piece.header.content_length == 0;
        return;
      case RecordType::abort_request: got.is_aborted = true; return;
      default: got.is_malformed = true;
    }
  }
  void note_params(const RecordPiece& piece) {
    got.is_malformed |= !got.begin || got.has_ended_params;
    if (piece.header.content_length == 0) {
      got.has_ended_params = true;
      return;
    }
    if (piece.first) got.params_sizes.push_back(piece.header.content_length);
    if (piece.first) record_.clear();
    record_ += piece.content;
    if (!piece.last) return;
    PairDecoder decoder({.pair_bytes = 100'000, .total_bytes = 1'000'000, .count = 10'000});
    std::string_view content = record_;
    NameValue pair;
    while (decoder.next(content, pair) == PairDecoder::Step::pair) got.params.emplace_back(pair.name, pair.value);
    got.pairs_are_whole &= decoder.at_boundary();
  }

  int fd_;
  bool is_ended_ = false;
  RecordDecoder decoder_;
  std::string input_;
  std::string record_;
};

/// Listens from its construction on; answers until finish().
class Application {
 public:
  using Script = std::function<void(Link&)>;
  enum class Family : std::uint8_t { unix_socket, ipv4, ipv6 };

  /// `backlog`: as many connections, and one more, may wait to be accepted. `accepts`: at once, or from accept() on.
  explicit Application(Script script, Family family = Family::unix_socket, int backlog = 64, bool accepts = true)
      : script_(std::move(script)) {
    family == Family::unix_socket ? bind_unix() : bind_tcp(family);
    EXPECT_EQ(::listen(listener_, backlog), 0);
    if (accepts) accept();
  }
  ~Application() { finish(); }
  Application(const Application&) = delete;
  Application& operator=(const Application&) = delete;

  [[nodiscard]] const net::ConnectAddress& address() const { return address_; }
  [[nodiscard]] int connections() const { return connections_; }

  void accept() {
    accepting_ = std::thread([this] {
      for (int fd = -1; (fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
        ++connections_;
        links_.emplace_back([this, fd] {
          Link link(fd);
          script_(link);
        });
      }
    });
  }
  /// Waits for every script to return.
  void finish() {
    if (listener_ < 0) return;
    ::shutdown(listener_, SHUT_RDWR);  // wakes the thread that accepts
    if (accepting_.joinable()) accepting_.join();
    for (auto& link : links_) link.join();
    ::close(std::exchange(listener_, -1));
  }

 private:
  template <typename Address>
  void bind(const Address& address) {
    EXPECT_EQ(::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  void bind_unix() {
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    address_ = *net::ConnectAddress::parse("unix:" + (folder_ / "application"));
    address_.path.copy(name.sun_path, sizeof name.sun_path - 1);
    bind(name);
  }
  void bind_tcp(Family family) {
    listener_ = ::socket(family == Family::ipv4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in6 name{};
    if (family == Family::ipv4) {
      sockaddr_in ipv4{};
      ipv4.sin_family = AF_INET;
      ipv4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      bind(ipv4);
    } else {
      name.sin6_family = AF_INET6;
      name.sin6_addr = in6addr_loopback;
      bind(name);
    }
    socklen_t size = sizeof name;
    // The port lies at the same place in both.
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&name), &size), 0);
    const std::string host = family == Family::ipv4 ? "127.0.0.1" : "[::1]";
    address_ = *net::ConnectAddress::parse("tcp:" + host + ":" + std::to_string(ntohs(name.sin6_port)));
  }

  const Script script_;
  const contract::TemporaryFolder folder_;
  int listener_ = -1;
  net::ConnectAddress address_;
  std::atomic<int> connections_{0};
  std::thread accepting_;
  std::list<std::thread> links_;
};

}  // namespace gatehouse::fastcgi::test
