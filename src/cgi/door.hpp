// The two open ends of the one request of a CGI process (RFC 3875): its body on one descriptor, its answer on another.
// Many servers write the whole body before they read a byte of the answer (fcgiwrap, mod_cgid), so while the answer
// waits to be taken, the body is taken in.
#pragma once

#include <utility>  // Boost 1.74's awaitable.hpp uses std::exchange without including it

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstdint>
#include <functional>

#include "cgi/read_request.hpp"
#include "net/exchange.hpp"
#include "net/spool.hpp"

namespace gatehouse::cgi {

/// Returns how many bytes of a CGI process's input are the request's body: CONTENT_LENGTH, for no more may be read (RFC
/// 3875 section 4.2); all there is (UINT64_MAX) where a chunked body came without a length; else, and where the length
/// is no number, 0.
[[nodiscard]] std::uint64_t body_length(const Variables& variables);

/// Confined to the thread of its reactor, and must outlive the reactor's run. A head that could make a line of its own
/// is a bug of ours: the visitor gets a bare 500.
class Door final : public net::Exchange {
 public:
  /// Owns both descriptors, which may be one socket's. They become non-blocking, for whoever shares them too; the
  /// destructor puts that back. Files and /dev/null will do.
  Door(const net::asio::any_io_executor& executor, int input, int output, std::uint64_t body_length);
  ~Door() override;
  Door(const Door&) = delete;
  Door& operator=(const Door&) = delete;

  /// Returns `closed` if the input ended before the announced length, or if there was no room to keep it.
  [[nodiscard]] net::Task<net::IoResult<std::size_t>> read_body(std::span<char> into, net::Deadline deadline) override;
  [[nodiscard]] net::Task<net::IoResult<void>> write_head(const http::ResponseHead& head,
                                                          net::Deadline deadline) override;
  [[nodiscard]] net::Task<net::IoResult<void>> write_body(std::string_view bytes, net::Deadline deadline) override;
  void on_abort(std::function<void()> notice) override;
  [[nodiscard]] bool head_written() const override { return head_written_; }
  void break_off() override { is_broken_off_ = true; }

  /// The server has told the process to end, or nobody reads the answer any more.
  void visitor_left();
  /// Ends the answer once the handler has returned. What is left of the body is read and dropped as long as it moves,
  /// 64 MiB of it at most: a server that cannot get rid of it would not show the answer. Returns true if a whole answer
  /// was written.
  [[nodiscard]] net::Task<bool> finish();

 private:
  using Stream = net::asio::posix::stream_descriptor;

  void start_taking_in();
  [[nodiscard]] net::Task<> take_in();
  [[nodiscard]] bool keep(std::string_view bytes);
  [[nodiscard]] bool must_wait() const;
  [[nodiscard]] net::Task<> watch_output();
  [[nodiscard]] net::Task<net::IoResult<void>> send(std::string_view bytes, net::Deadline deadline);
  [[nodiscard]] net::Task<std::size_t> write_some(std::string_view bytes, net::Deadline deadline);
  void end_answer();

  Stream input_;
  Stream output_;
  const int input_flags_;
  const int output_flags_;
  net::asio::steady_timer write_timer_;  // cancels a write that has waited too long
  net::asio::steady_timer reader_;       // condition variables: cancelled when there is something to look at
  net::asio::steady_timer room_;

  const bool has_known_length_;
  std::uint64_t left_;  // of the body, on the input
  std::size_t kept_ = 0;
  net::Spool body_;  // taken in and not yet read
  bool is_taking_in_ = false;
  bool has_ended_ = false;
  bool is_dropping_ = false;
  bool is_sending_ = false;

  std::function<void()> notice_;
  bool visitor_is_gone_ = false;
  bool head_written_ = false;
  bool hides_body_ = false;
  bool is_broken_off_ = false;
};

}  // namespace gatehouse::cgi
