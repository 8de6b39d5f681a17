// One request of a C++ program of yours, and its answer: what FCGX_Request& (fcgx_context.hpp) and a CGI process
// (cgi_context.hpp) have in common. Give it to auth.handle_request(), answer with send().
//
// For answers that are whole in memory. A program that streams writes its own head, with session_cookie() in it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "auth/logout.hpp"
#include "http/form.hpp"
#include "http/response.hpp"
#include "middleware/environment.hpp"

namespace gatehouse::middleware {

/// Confined to one thread, but for what auth::Context says.
class ProgramContext : public auth::LogoutContext {
 public:
  static constexpr std::size_t kMaxBodyBytes = std::size_t{64} * 1024;

  ~ProgramContext() override = default;
  ProgramContext(const ProgramContext&) = delete;
  ProgramContext& operator=(const ProgramContext&) = delete;

  [[nodiscard]] const auth::RequestView& request() const override { return view_; }
  /// Throws std::logic_error after send(): the cookie could not reach anybody any more.
  void set_session_cookie(std::string line) override;
  /// The Set-Cookie value that belongs into the head of the answer; nullopt: the cookie stays untouched. send() has it
  /// in there; this is for a program that writes its own head.
  [[nodiscard]] const std::optional<std::string>& session_cookie() const { return cookie_; }

  /// The value of a CGI variable ("PATH_INFO"), the last one if it is doubled; empty if there is none.
  [[nodiscard]] std::string_view variable(std::string_view name) const;

  /// Reads the body, of at most `max_bytes`, within ten seconds in all; once read, the same again at every call.
  /// Fails with the status to answer: 413, or 400 (no length that could be read, a body that ends early or stalls).
  [[nodiscard]] std::expected<std::string, int> read_body(std::size_t max_bytes = kMaxBodyBytes);
  /// The same, decoded. No body, or one that is no form, is an empty form. Fails with 400 for bad escapes too.
  [[nodiscard]] std::expected<http::Form, int> read_form();
  /// Of the body and the query, for handle_logout_requests(auth).
  [[nodiscard]] std::expected<auth::LogoutForm, int> read_logout_form() override;

  /// Answers, once: `Status:` first, then the headers, the session cookie, the body (none for HEAD). Without a
  /// Cache-Control the answer is `no-store`, because it depends on who asks; with a session cookie it is in any case. A
  /// header that could make a line of its own (CR, LF, NUL) is a bug: the visitor gets a bare 500. A visitor who is
  /// gone is nobody's error. Throws std::logic_error if it is called again.
  void send(http::Response response);

 protected:
  using Deadline = std::chrono::steady_clock::time_point;

  explicit ProgramContext(const Environment& environment);

  /// Reads at most so many bytes of the body. Returns 0 at its end; nullopt after an error, or past the deadline.
  [[nodiscard]] virtual std::optional<std::size_t> read_some(std::span<char> into, Deadline deadline) = 0;
  virtual void write_answer(std::string_view bytes) = 0;

  /// How much of the body has not been read; kUnknownLength if nobody knows.
  [[nodiscard]] std::uint64_t unread() const { return unread_; }
  [[nodiscard]] bool has_answered() const { return has_answered_; }
  /// read_some, and counts.
  [[nodiscard]] std::optional<std::size_t> take_some(std::span<char> into, Deadline deadline);

 private:
  [[nodiscard]] std::expected<std::string, int> take_body(std::size_t max_bytes);

  // Constant after construction:
  const Environment environment_;
  const auth::RequestView view_;
  const bool has_readable_length_;

  std::uint64_t unread_ = 0;
  std::optional<std::expected<std::string, int>> body_;
  std::optional<std::string> cookie_;
  bool has_answered_ = false;
};

}  // namespace gatehouse::middleware
