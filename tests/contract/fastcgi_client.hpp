// A web server's side of FastCGI for tests: blocking, byte by byte if need be, and free to break every rule.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fastcgi/name_value.hpp"
#include "fastcgi/record.hpp"

namespace gatehouse::fastcgi::test {

using Pairs = std::vector<std::pair<std::string, std::string>>;

inline constexpr std::uint16_t kResponder = 1;
inline constexpr std::uint16_t kAuthorizer = 2;

/// What came back for one request, up to END_REQUEST or the end of the connection.
struct Answer {
  std::string out;
  std::string err;
  std::optional<EndRequest> end;
  bool out_ended = false;  ///< the empty STDOUT record has come
  bool is_malformed = false;
  Pairs values;  ///< of GET_VALUES_RESULT
  std::vector<int> unknown_types;
  std::vector<std::uint16_t> refused;  ///< ids answered with CANT_MPX_CONN
  bool is_closed = false;              ///< the connection has ended
  bool is_reset = false;               ///< and not in the orderly way
};

/// Bytes of a whole BEGIN_REQUEST and PARAMS stream.
inline std::string begin_and_params(std::uint16_t role, bool keeps, const Pairs& params, std::uint16_t id = 1) {
  std::string bytes;
  append_begin_request(bytes, id, {.role = role, .flags = keeps ? kKeepConnection : std::uint8_t{0}});
  if (!append_params(bytes, id, params)) std::abort();
  append_stream_end(bytes, RecordType::params, id);
  return bytes;
}

inline std::string body_records(std::string_view body, std::uint16_t id = 1) {
  std::string bytes;
  append_stream(bytes, RecordType::stdin_stream, id, body);
  append_stream_end(bytes, RecordType::stdin_stream, id);
  return bytes;
}

inline std::string responder_request(bool keeps, const Pairs& params, std::string_view body = {},
                                     std::uint16_t id = 1) {
  return begin_and_params(kResponder, keeps, params, id) + body_records(body, id);
}

/// A record with whatever header and content; the padding is made of bytes that would be seen.
inline std::string raw_record(int type, std::uint16_t id, std::string_view content, std::uint8_t padding = 0) {
  const auto header = encode_header({.type = static_cast<RecordType>(type),
                                     .request_id = id,
                                     .content_length = static_cast<std::uint16_t>(content.size()),
                                     .padding_length = padding});
  return std::string(header.data(), header.size()) + std::string(content) + std::string(padding, '\x01');
}

class Client {
 public:
  explicit Client(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    connect(address);
  }
  explicit Client(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connect(address);
  }
  ~Client() { close(); }
  Client(Client&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), is_connected_(other.is_connected_), input_(std::move(other.input_)) {}
  Client& operator=(Client&&) = delete;

  [[nodiscard]] bool is_connected() const { return is_connected_; }

  /// Returns false if the peer has closed.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  }
  void send_bytewise(std::string_view bytes) {
    for (const char& byte : bytes) send({&byte, 1});
  }
  /// Sends until the peer takes no more; returns how much it took.
  std::size_t send_what_fits(std::string_view bytes) {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
      pollfd state{.fd = fd_, .events = POLLOUT, .revents = 0};
      if (::poll(&state, 1, 200) <= 0) break;
      const ssize_t count = ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (count < 0 && errno != EAGAIN) break;
      if (count > 0) sent += static_cast<std::size_t>(count);
    }
    return sent;
  }

  /// Reads up to END_REQUEST with a protocol status other than CANT_MPX_CONN, or to the end of the connection.
  Answer receive() {
    return receive_until([](const Answer& answer) { return answer.end.has_value(); });
  }
  template <typename IsDone>
  Answer receive_until(IsDone is_done) {
    Answer answer;
    bool is_stalled = false;
    while (!answer.is_malformed && !answer.is_closed && !is_stalled && !is_done(answer)) {
      const Filled filled = input_.empty() ? fill() : Filled::some;
      answer.is_reset = filled == Filled::reset;
      answer.is_closed = filled == Filled::ended || answer.is_reset;
      is_stalled = filled == Filled::stalled;
      take_piece(answer);
    }
    return answer;
  }
  /// True if the peer closes without another byte.
  bool sees_end() {
    const Filled filled = input_.empty() ? fill() : Filled::some;
    return filled == Filled::ended || filled == Filled::reset;
  }
  /// True if a byte or the end comes within the time.
  bool sees_anything_within(int milliseconds) {
    pollfd state{.fd = fd_, .events = POLLIN, .revents = 0};
    return ::poll(&state, 1, milliseconds) > 0;
  }

  Answer ask(std::string_view request) {
    send(request);
    return receive();
  }

  void shut_down_sending() { ::shutdown(fd_, SHUT_WR); }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  template <typename Address>
  void connect(const Address& address) {
    // A test that waits in vain is to fail, not to hang.
    const timeval limit{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    is_connected_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  enum class Filled : std::uint8_t { some, ended, reset, stalled };

  Filled fill() {
    char buffer[65536];
    const ssize_t count = ::recv(fd_, buffer, sizeof buffer, 0);
    if (count > 0) input_.assign(buffer, static_cast<std::size_t>(count));
    if (count > 0) return Filled::some;
    if (count == 0) return Filled::ended;
    return errno == ECONNRESET ? Filled::reset : Filled::stalled;
  }
  void take_piece(Answer& answer) {
    std::string_view rest = input_;
    RecordPiece piece;
    const RecordDecoder::Step step = decoder_.next(rest, piece);
    if (step == RecordDecoder::Step::malformed) answer.is_malformed = true;
    if (step == RecordDecoder::Step::piece) note(piece, answer);
    input_.erase(0, input_.size() - rest.size());
  }
  void note(const RecordPiece& piece, Answer& answer) {
    switch (piece.header.type) {
      case RecordType::stdout_stream:
        answer.out += piece.content;
        answer.out_ended |= piece.header.content_length == 0;
        break;
      case RecordType::stderr_stream: answer.err += piece.content; break;
      case RecordType::end_request: {
        const EndRequest end = decode_end_request(piece.content);
        if (end.protocol_status == ProtocolStatus::cant_mpx_conn) {
          answer.refused.push_back(piece.header.request_id);
        } else {
          answer.end = end;
        }
        break;
      }
      case RecordType::get_values_result: {
        if (piece.first) values_.clear();
        values_ += piece.content;
        if (piece.last) note_values(answer);
        break;
      }
      case RecordType::unknown_type:
        answer.unknown_types.push_back(static_cast<unsigned char>(piece.content[0]));
        break;
      default: answer.is_malformed = true;
    }
  }
  void note_values(Answer& answer) {
    PairDecoder decoder({});
    std::string_view content = values_;
    NameValue pair;
    while (decoder.next(content, pair) == PairDecoder::Step::pair) answer.values.emplace_back(pair.name, pair.value);
  }

  int fd_;
  bool is_connected_ = false;
  std::string input_;
  std::string values_;
  RecordDecoder decoder_;
};

}  // namespace gatehouse::fastcgi::test
