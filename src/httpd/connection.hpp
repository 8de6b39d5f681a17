// One connection of a front server: reads a request, starts the handler, ends the answer, and begins again if both
// sides keep the connection. A coroutine, because one request follows the other; whoever sends the next one before its
// answer is served in turn.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "httpd/parser.hpp"
#include "httpd/server.hpp"
#include "httpd/stream.hpp"
#include "net/connection.hpp"

namespace gatehouse::httpd {

/// What every connection of a listener serves by.
struct Service {
  const Handler handler;
  const Refuser refuser;
  const ServerOptions options;
};

class Connection final : public net::Connection,
                         private ServerRequest,
                         public std::enable_shared_from_this<Connection> {
 public:
  /// Owns the descriptor. May be made on any thread; the rest happens on the reactor's.
  Connection(std::shared_ptr<const Service> service, net::Accepted accepted);

  void close_if_idle() override;
  void close_now() override { stream_->close(); }
  [[nodiscard]] std::shared_ptr<net::Connection> hold() override { return weak_from_this().lock(); }

 private:
  void begin() override;
  [[nodiscard]] static net::Task<> serve(std::shared_ptr<Connection> self);
  [[nodiscard]] net::Task<bool> serve_request();
  [[nodiscard]] net::Task<std::expected<void, ParseProblem>> read_head();
  [[nodiscard]] net::Task<bool> answer(std::optional<ParseProblem> problem);
  [[nodiscard]] net::Task<bool> drop_body();
  [[nodiscard]] net::Task<> linger();
  [[nodiscard]] net::Task<net::IoResult<void>> receive(net::Deadline deadline);
  [[nodiscard]] net::Task<net::IoResult<void>> receive_body(net::Deadline deadline);

  // What the handler sees.
  [[nodiscard]] const RequestHead& head() const override { return parser_->head(); }
  [[nodiscard]] const Peer& peer() const override { return peer_; }
  [[nodiscard]] net::Task<net::IoResult<std::size_t>> read_body(std::span<char> into, net::Deadline deadline) override;
  [[nodiscard]] net::Task<net::IoResult<void>> write_head(const http::ResponseHead& head,
                                                          net::Deadline deadline) override;
  [[nodiscard]] net::Task<net::IoResult<void>> write_body(std::string_view bytes, net::Deadline deadline) override;
  void on_abort(std::function<void()>) override {}
  [[nodiscard]] bool head_written() const override { return head_written_; }
  void break_off() override { is_broken_off_ = true; }

  [[nodiscard]] net::Task<net::IoResult<void>> flush(net::Deadline deadline);

  const std::shared_ptr<const Service> service_;
  const std::shared_ptr<Stream> stream_;
  Peer peer_;
  std::string input_;           // received
  std::size_t input_read_ = 0;  // of it, from its front, while a body is read
  bool is_idle_ = true;

  // Of the request that is under way.
  std::optional<Parser> parser_;
  std::string body_;  // taken from the parser, not yet read by the handler
  std::size_t body_read_ = 0;
  std::string output_;
  bool awaits_continue_ = false;
  bool keeps_ = false;  // the connection, after the answer
  bool head_written_ = false;
  bool hides_body_ = false;
  bool is_broken_off_ = false;
};

}  // namespace gatehouse::httpd
