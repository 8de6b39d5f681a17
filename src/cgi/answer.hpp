// A script's answer on its way to the visitor: the header block parsed, the body kept while the visitor takes it. What
// runs the script puts its bytes in, in its own time; one coroutine sends them on.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "cgi/outcome.hpp"
#include "cgi/response_parser.hpp"
#include "net/exchange.hpp"
#include "net/signal.hpp"
#include "net/spool.hpp"

namespace gatehouse::cgi {

struct AnswerOptions {
  bool without_body = false;  ///< to HEAD: body bytes are taken and dropped
  /// How many bytes of the body may wait for a visitor who reads slowly, in memory and then in a temporary file. The
  /// script waits beyond it. 0: it waits for every piece.
  std::uint64_t most_kept = 0;
  std::size_t in_memory = std::size_t{64} * 1024;  ///< of what is kept; the rest is in the file
  /// The longest time without a byte to the visitor.
  std::chrono::milliseconds visitor_stall{60'000};
};

/// Confined to one thread. take() and send() run side by side, each in a coroutine of its own; what they wait for is
/// the visitor alone.
class Answer {
 public:
  Answer(const net::asio::any_io_executor& executor, net::Exchange& exchange, const AnswerOptions& options,
         HeadHook on_head)
      : exchange_(exchange),
        options_(options),
        on_head_(std::move(on_head)),
        kept_(options.in_memory),
        has_more_(executor),
        has_room_(executor) {}

  /// Takes the next bytes, at most 64 KiB, and returns when more may come: at once before send() has begun, or after
  /// stop(). The bytes must stay until then. Fails: 502 with a malformed header, 503 if there is no room to keep them.
  [[nodiscard]] net::Task<std::expected<void, Failed>> take(std::string_view bytes);
  /// No more will come.
  void end();
  /// Lets take() and send() return as soon as they can.
  void stop();

  struct NotSent {
    bool by_visitor = true;  ///< who did not take it; else what was kept cannot be read again
    std::string reason;
  };
  /// Sends the head, once there is one, and the body as it comes, until its end. To be called once.
  [[nodiscard]] net::Task<std::expected<void, NotSent>> send();

  [[nodiscard]] bool has_head() const { return has_head_; }
  /// Of the head; 0 before it.
  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] const std::optional<std::string>& local_redirect() const { return local_redirect_; }
  /// Returns how many bytes of the announced Content-Length did not come; none if none was announced. What comes beyond
  /// it is dropped.
  [[nodiscard]] std::uint64_t missing() const { return body_left_.value_or(0); }
  /// True if nothing of the body can be missing: all of the announced length has come, or there is none to come.
  [[nodiscard]] bool is_whole() const;
  /// True if bytes that come now are for the visitor: the head is there, and the body is neither whole nor dropped.
  [[nodiscard]] bool wants_more() const;

 private:
  [[nodiscard]] std::expected<std::string_view, Failed> take_head(std::string_view bytes);
  [[nodiscard]] std::string_view body_of(std::string_view bytes);
  [[nodiscard]] net::Task<std::expected<void, Failed>> keep(std::string_view bytes);
  [[nodiscard]] net::Task<> wait_for_room();
  [[nodiscard]] bool has_room() const;
  [[nodiscard]] net::Task<net::IoResult<void>> send_head();
  [[nodiscard]] net::Task<net::IoResult<void>> send_piece(std::span<char> buffer);

  // Constant after construction.
  net::Exchange& exchange_;
  const AnswerOptions options_;
  const HeadHook on_head_;

  ResponseParser parser_;
  bool has_head_ = false;
  int status_ = 0;
  std::optional<http::ResponseHead> unsent_head_;
  std::optional<std::string> local_redirect_;
  std::optional<std::uint64_t> body_left_;  // of the announced Content-Length

  net::Spool kept_;
  std::uint64_t unsent_ = 0;  // bytes in kept_, and those of the write that is under way
  net::Signal has_more_;      // send() waits for it
  net::Signal has_room_;      // take() waits for it
  bool is_slow_ = false;      // the visitor, who is waited for no longer: what comes goes into the file
  bool is_sending_ = false;
  bool is_ended_ = false;
  bool is_stopped_ = false;
};

}  // namespace gatehouse::cgi
