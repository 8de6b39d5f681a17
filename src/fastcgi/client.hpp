// FastCGI 1.0, the web server's side: one request to an application over one connection. It carries bytes and says what
// came; whose body it is and what becomes of the answer is the relay's.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <expected>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "fastcgi/record.hpp"
#include "fastcgi/wire.hpp"
#include "net/connect.hpp"
#include "net/signal.hpp"

namespace gatehouse::fastcgi {

/// What an application has sent.
struct Output {
  enum class Kind : std::uint8_t {
    out,  ///< bytes of STDOUT
    err,  ///< bytes of STDERR
    end,  ///< END_REQUEST: nothing more comes
  } kind = Kind::out;
  std::string_view content;  ///< valid until the next call
  EndRequest end;
};

/// The application broke the protocol or the connection: a sentence for the log.
struct Broken {
  std::string reason;
  bool is_closed = false;  ///< it only closed the connection, between two records
};

/// One request under way. Confined to its reactor: one coroutine sends, another receives. Nothing here has a deadline:
/// whoever watches over the two closes it, which ends both.
class ClientRequest final : public Wire {
 public:
  /// Owns `fd`: connected, non-blocking. `keeps`: the application is asked to leave the connection open.
  ClientRequest(const net::ReactorExecutor& reactor, int fd, bool keeps);

  /// Sends BEGIN_REQUEST for a responder and `params`: whole PARAMS records as append_params makes them, of the request
  /// kRequestId, without the end of the stream. Each of the three fails with `closed` if the application takes no more:
  /// it may have answered all the same.
  [[nodiscard]] net::Task<net::IoResult<void>> begin(std::string_view params);
  /// Sends bytes of STDIN, at most kMaxContent.
  [[nodiscard]] net::Task<net::IoResult<void>> send_stdin(std::string_view bytes);
  [[nodiscard]] net::Task<net::IoResult<void>> end_stdin();

  /// Waits for what the application sends next. Refused: records of another request (which management records are,
  /// since nothing was asked), of a type that no application sends, of a version other than 1; STDOUT after its end.
  [[nodiscard]] net::Task<std::expected<Output, Broken>> next();
  /// True if the application has ended its STDOUT stream.
  [[nodiscard]] bool has_ended_out() const { return has_ended_out_; }

  using Wire::close;
  using Wire::last_sent;
  /// Tells the application that nobody waits any more, as far as it reads, and closes.
  void abort();

  static constexpr std::uint16_t kRequestId = 1;

 private:
  friend class Client;

  void on_readable() override { readable_.notify(); }
  void on_hang_up() override {}
  void on_closed() override { readable_.notify(); }
  void on_deaf_peer() override {}  // an answer may lie in the socket

  [[nodiscard]] bool may_be_kept() const;
  [[nodiscard]] std::expected<bool, Broken> accept(const RecordPiece& piece, Output& output);
  [[nodiscard]] net::Task<std::expected<void, Broken>> receive_more();

  static constexpr std::size_t kBufferSize = std::size_t{32} * 1024;

  const bool keeps_;
  net::Signal readable_;
  RecordDecoder decoder_;
  const std::unique_ptr<char[]> buffer_;
  std::string_view input_;  // of the buffer: what was received and not looked at yet
  bool has_ended_in_ = false;
  bool has_ended_out_ = false;
  bool has_ended_ = false;
};

/// The connections to one application. Thread-safe.
class Client {
 public:
  /// `most_kept`: idle connections that are kept for the next request; for a request without a body only, because an
  /// application that leaves a body unread takes it for the next request. An application of one process is occupied by
  /// an idle connection.
  Client(net::ConnectAddress address, std::size_t most_kept) : address_(std::move(address)), most_kept_(most_kept) {}
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Opens a request on the calling coroutine's reactor: over a kept connection if it has no body, else over a new one,
  /// for which a kept one makes room. What the application has got by then is nothing.
  [[nodiscard]] net::Task<std::expected<std::shared_ptr<ClientRequest>, net::NotConnected>> open(
      bool has_body, net::Connecting& connecting, net::Deadline deadline);
  /// Takes back a request that has ended: its connection is kept or closed.
  void done(ClientRequest& request);
  /// Closes what has been idle for ten seconds: to be called every few seconds.
  void close_idle();
  /// Closes what is kept, and keeps no more.
  void retire();

 private:
  struct Idle {
    int fd;
    net::Deadline since;
  };
  static constexpr std::chrono::seconds kIdleTime{10};

  [[nodiscard]] static bool is_old(const Idle& idle);
  [[nodiscard]] int take_kept();
  void close_one_kept();

  const net::ConnectAddress address_;
  std::atomic<std::size_t> most_kept_;
  std::mutex mutex_;
  std::vector<Idle> kept_;  // guarded by mutex_; the one used last is at the end
};

}  // namespace gatehouse::fastcgi
