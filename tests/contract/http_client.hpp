// A front server's side of HTTP/1.1 for tests: blocking, byte by byte if need be, and free to break every rule.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <string_view>

#include "http/headers.hpp"

namespace gatehouse::httpd::test {

/// What came back for one request.
struct Answer {
  int status = 0;  ///< 0: no head has come
  http::Headers fields;
  std::string body;
  bool is_closed = false;  ///< the connection ended before or with it
  bool is_reset = false;   ///< and not in the orderly way

  [[nodiscard]] std::string field(std::string_view name) const { return std::string(fields.get(name).value_or("")); }
};

class Client {
 public:
  explicit Client(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    is_connected_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    set_limit();
  }
  explicit Client(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    is_connected_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    set_limit();
  }
  ~Client() { ::close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  [[nodiscard]] bool is_connected() const { return is_connected_; }
  /// Returns false if the connection is gone.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  }
  void send_bytewise(std::string_view bytes) {
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof on);
    for (const char& byte : bytes) send({&byte, 1});
  }
  void end_sending() { ::shutdown(fd_, SHUT_WR); }

  /// Receives one answer; `is_head`: to a HEAD request, so without a body whatever its length says.
  [[nodiscard]] Answer receive(bool is_head = false) {
    Answer answer;
    while (!received_.contains("\r\n\r\n")) {
      if (!receive_more(answer)) return answer;
    }
    read_head(answer);
    if (is_head || answer.status < 200 || answer.status == 204) return answer;
    const auto length = answer.fields.get("content-length");
    const std::size_t size = length ? std::stoul(std::string(*length)) : std::string::npos;
    while (received_.size() < size) {
      if (!receive_more(answer)) break;
    }
    answer.body = received_.substr(0, size);
    received_.erase(0, size);
    return answer;
  }
  [[nodiscard]] Answer ask(std::string_view request) {
    send(request);
    return receive(request.starts_with("HEAD "));
  }
  /// True if the connection ends, in the orderly way, with nothing before it.
  [[nodiscard]] bool sees_end() {
    Answer rest;
    return received_.empty() && !receive_more(rest) && rest.is_closed && !rest.is_reset;
  }

 private:
  void set_limit() {
    const timeval limit{.tv_sec = 20, .tv_usec = 0};  // a hang fails the test instead of stopping the suite
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  bool receive_more(Answer& answer) {
    std::array<char, 4096> buffer{};
    const ssize_t count = ::recv(fd_, buffer.data(), buffer.size(), 0);
    if (count > 0) {
      received_.append(buffer.data(), static_cast<std::size_t>(count));
      return true;
    }
    answer.is_closed = count == 0 || errno == ECONNRESET;
    answer.is_reset = count < 0 && errno == ECONNRESET;
    return false;
  }
  void read_head(Answer& answer) {
    const std::size_t end = received_.find("\r\n\r\n");
    const std::string head = received_.substr(0, end + 2);
    received_.erase(0, end + 4);
    answer.status = std::stoi(head.substr(head.find(' ') + 1, 3));
    for (std::size_t at = head.find("\r\n") + 2; at < head.size();) {
      const std::size_t line_end = head.find("\r\n", at);
      const std::size_t colon = head.find(": ", at);
      answer.fields.add(head.substr(at, colon - at), head.substr(colon + 2, line_end - colon - 2));
      at = line_end + 2;
    }
  }

  int fd_;
  bool is_connected_ = false;
  std::string received_;
};

}  // namespace gatehouse::httpd::test
