// One connection of a web server: reads records, opens a request, starts the handler, ends the answer, and begins
// again if the web server keeps the connection. At most one request is open at a time.
//
//   idle ── BEGIN_REQUEST ─► params ── PARAMS end ─► serving ── answered, STDIN read ─► idle, or closed
//                              └─ too large, unknown role ─► draining ◄─┘ STDIN unread
//
// The reader is a chain of callbacks and not a coroutine: an idle connection then is this object and one wait.
#pragma once

#include <boost/intrusive/list.hpp>

#include <array>
#include <atomic>
#include <memory>

#include "fastcgi/request.hpp"
#include "fastcgi/wire.hpp"

namespace gatehouse::fastcgi {

class Connection;

using ConnectionHook = boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

/// What all connections of one server share. Options and handler are constant, the figures thread-safe.
class ConnectionHost {
 public:
  ConnectionHost(Handler serve, const ServerOptions& bounds) : handler(std::move(serve)), options(bounds) {}
  virtual ~ConnectionHost() = default;
  ConnectionHost(const ConnectionHost&) = delete;
  ConnectionHost& operator=(const ConnectionHost&) = delete;

  /// Called once by each connection that ends, on whatever thread.
  virtual void connection_ended() noexcept = 0;

  const Handler handler;
  const ServerOptions options;
  std::atomic<std::size_t> connections{0};
  std::atomic<std::size_t> busy{0};
};

/// What the connections of one reactor share. Confined to its thread.
struct Reactor {
  static constexpr std::size_t kScratchSize = std::size_t{64} * 1024;

  explicit Reactor(asio::io_context& io) : context(io), scratch(std::make_unique<char[]>(kScratchSize)) {}

  asio::io_context& context;
  std::unique_ptr<char[]> scratch;  // what was received last: nothing in it outlives one call of on_readable
  boost::intrusive::list<Connection, boost::intrusive::base_hook<ConnectionHook>,
                         boost::intrusive::constant_time_size<false>>
      connections;
  bool keeps_idle = true;  // false once the server's patience is over
};

class Connection final : public Wire, public Request::Source, public ConnectionHook {
 public:
  /// Owns `fd`. May be made on any thread; the rest happens on the reactor's.
  Connection(std::shared_ptr<ConnectionHost> host, Reactor& reactor, int fd, bool is_tcp);
  ~Connection() override;

  void start();
  /// Closes unless a request is under way, or has begun to arrive.
  void close_if_idle();
  /// The same, unless it was used since the last call.
  void close_if_forgotten();
  void forget_use() { was_used_ = false; }
  void resume_reading() override;

 private:
  enum class Stage : std::uint8_t { idle, params, serving, draining };
  struct AskedValues;

  void on_readable() override;
  void on_hang_up() override;
  void on_closed() override;

  [[nodiscard]] std::size_t reading_room() const;
  void end_of_input();
  void consume(std::string_view input);

  // Each takes one piece of a record and returns false if the peer has broken the protocol.
  [[nodiscard]] bool accept(const RecordPiece& piece);
  [[nodiscard]] bool accept_management(const RecordPiece& piece);
  [[nodiscard]] bool accept_begin(const RecordPiece& piece);
  [[nodiscard]] bool accept_params(const RecordPiece& piece);
  [[nodiscard]] bool accept_stdin(const RecordPiece& piece);
  [[nodiscard]] bool accept_abort();
  [[nodiscard]] bool accept_get_values(const RecordPiece& piece);
  [[nodiscard]] bool ignore(const RecordPiece& piece, std::size_t limit);

  void reply();
  void open_request(const RecordHeader& header, const BeginRequest& begin);
  void refuse_params();
  void start_serving();
  static net::Task<> serve(std::shared_ptr<Connection> self);
  void answered();
  void start_draining();
  void next_request();

  void guard_header();
  void arm_guard(std::chrono::milliseconds time);
  void disarm_guard();

  const std::shared_ptr<ConnectionHost> host_;
  Reactor& reactor_;
  RecordDecoder decoder_;
  std::unique_ptr<Request> request_;     // in every stage but idle
  std::unique_ptr<AskedValues> values_;  // while a GET_VALUES comes
  std::unique_ptr<Timer> guard_;         // closes a stalled header or an endless drain
  std::uint32_t guard_number_ = 0;       // tells an expired guard from one that is disarmed in that very moment
  std::size_t ignored_ = 0;              // bytes of records that belong to no open request, since the last BEGIN
  Stage stage_ = Stage::idle;
  bool was_used_ = false;  // since the last close_if_forgotten
  const bool is_tcp_;
  bool has_begun_ = false;    // a BEGIN_REQUEST has come
  bool input_ended_ = false;  // the peer has shut down its sending side and still reads
  bool keeps_ = false;        // after the answer
};

}  // namespace gatehouse::fastcgi
