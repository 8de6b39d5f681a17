// One connection of a web server: reads records, opens a request, starts the handler, ends the answer, and begins
// again if the web server keeps the connection. At most one request is open at a time.
//
//   idle ── BEGIN_REQUEST ─► params ── PARAMS end ─► serving ── answered, STDIN read ─► idle, or closed
//                              └─ too large, unknown role ─► draining ◄─┘ STDIN unread
//
// An answer whose request's STDIN is unread ends when the rest has come, or stops coming: then the connection is not
// kept.
//
// HAProxy takes an answer for ended with the last byte that it announces, and sends the next request before our
// END_REQUEST. A BEGIN_REQUEST behind a whole request therefore waits, and what follows it is not read.
//
// The reader is a chain of callbacks and not a coroutine: an idle connection then is this object and one wait.
#pragma once

#include <memory>

#include "fastcgi/request.hpp"
#include "fastcgi/wire.hpp"
#include "net/connection.hpp"

namespace gatehouse::fastcgi {

/// What every connection of a listener serves by.
struct Service {
  const Handler handler;
  const ServerOptions options;
};

class Connection final : public Wire, public Request::Source, public net::Connection {
 public:
  /// Owns the descriptor. May be made on any thread; the rest happens on the reactor's.
  Connection(std::shared_ptr<const Service> service, net::Accepted accepted);

  void close_if_idle() override;
  void close_now() override { close(net::StreamError::closed); }
  [[nodiscard]] std::shared_ptr<net::Connection> hold() override;
  void resume_reading() override;

 private:
  enum class Stage : std::uint8_t { idle, params, serving, draining };
  struct AskedValues;
  struct NextRequest;

  void begin() override;
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
  [[nodiscard]] net::Task<> take_rest();
  void answered();
  void start_draining();
  void next_request();
  void begin_next();

  void guard_header();
  void arm_guard(std::chrono::milliseconds time);
  void disarm_guard();

  const std::shared_ptr<const Service> service_;
  RecordDecoder decoder_;
  std::unique_ptr<Request> request_;     // in every stage but idle
  std::unique_ptr<AskedValues> values_;  // while a GET_VALUES comes
  std::unique_ptr<NextRequest> next_;    // has begun to arrive while the one before is answered
  std::unique_ptr<net::Timer> guard_;    // closes a stalled header or an endless drain
  std::uint32_t guard_number_ = 0;       // tells an expired guard from one that is disarmed in that very moment
  std::size_t ignored_ = 0;              // bytes of records that belong to no open request, since the last BEGIN
  Stage stage_ = Stage::idle;
  const bool is_tcp_;
  bool has_begun_ = false;    // a BEGIN_REQUEST has come
  bool input_ended_ = false;  // the peer has shut down its sending side and still reads
  bool keeps_ = false;        // after the answer
};

}  // namespace gatehouse::fastcgi
