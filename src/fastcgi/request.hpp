// One request of a connection: its parameters, the part of its body that has arrived and was not read yet, and the
// answer as the handler writes it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "fastcgi/name_value.hpp"
#include "fastcgi/server.hpp"
#include "fastcgi/wire.hpp"

namespace gatehouse::fastcgi {

/// Confined to the reactor of its connection, which owns it from BEGIN_REQUEST until the answer has ended.
class Request final : public ServerRequest {
 public:
  /// Tells the connection that there is room in the window again.
  class Source {
   public:
    virtual ~Source() = default;
    virtual void resume_reading() = 0;
  };

  Request(Wire& wire, Source& source, const ServerOptions& options, std::uint16_t id, Role role);

  // What the handler sees.
  [[nodiscard]] Role role() const override { return role_; }
  [[nodiscard]] const Params& params() const override { return params_; }
  [[nodiscard]] net::Task<net::IoResult<std::size_t>> read_body(std::span<char> into, net::Deadline deadline) override;
  [[nodiscard]] net::Task<net::IoResult<void>> write_head(const http::ResponseHead& head,
                                                          net::Deadline deadline) override;
  [[nodiscard]] net::Task<net::IoResult<void>> write_body(std::string_view bytes, net::Deadline deadline) override;
  void on_abort(std::function<void()> notice) override;
  [[nodiscard]] bool head_written() const override { return head_written_; }
  void break_off() override { is_broken_off_ = true; }

  // What the connection does with it.
  enum class ParamsStep : std::uint8_t { more, too_large };
  [[nodiscard]] std::uint16_t id() const { return id_; }
  [[nodiscard]] ParamsStep take_params(std::string_view content);
  /// Returns false if they end within a pair.
  [[nodiscard]] bool end_params();
  /// Takes bytes of STDIN. The reader stays within window_room(); what came along with PARAMS may go beyond it once.
  void take_body(std::string_view content);
  void end_body();
  [[nodiscard]] bool body_ended() const { return body_ended_; }
  /// An authorizer has no body, and must never wait for one.
  [[nodiscard]] bool has_body() const { return role_ == Role::responder; }
  /// How many more bytes of STDIN may be kept.
  [[nodiscard]] std::size_t window_room() const { return window_ > unread() ? window_ - unread() : 0; }
  /// Appends a whole answer of ours, without a handler.
  void refuse(int status);
  /// True if the answer may be ended with END_REQUEST: a head was written and nobody gave up.
  [[nodiscard]] bool is_answered() const { return head_written_ && !is_broken_off_; }
  /// Appends the last records of the answer.
  void append_end();
  /// Forgets the body: nobody will read it.
  void drop_body();
  /// Wakes a waiting reader; if the visitor has gone, gives notice of it.
  void end_waiting(net::StreamError why);
  void forget_notice() { notice_ = nullptr; }

 private:
  [[nodiscard]] std::size_t unread() const { return body_.size() - body_read_; }
  std::size_t read_unread(std::span<char> into);
  void wake_reader();
  [[nodiscard]] net::Task<> wait_for_body(net::Deadline deadline);

  Wire& wire_;
  Source& source_;
  const std::uint16_t id_;
  const Role role_;
  const std::size_t window_;

  std::unique_ptr<PairDecoder> pairs_;  // while PARAMS come
  Params params_;

  std::string body_;
  std::size_t body_read_ = 0;               // of body_, from its front
  std::span<char> wanted_;                  // where a waiting reader wants its bytes: spares them a stay in body_
  std::size_t given_ = 0;                   // how many bytes were put there
  std::unique_ptr<net::Timer> read_timer_;  // expires at the reader's deadline, is cancelled to wake it
  bool body_ended_ = false;

  std::function<void()> notice_;
  bool visitor_is_gone_ = false;
  bool head_written_ = false;
  bool is_broken_off_ = false;
  bool hides_body_ = false;
};

}  // namespace gatehouse::fastcgi
