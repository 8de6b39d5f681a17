// A visitor made by hand, for what runs scripts: the request's body comes and the answer goes as the test says.
#pragma once

#include <gtest/gtest.h>

#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "cgi/outcome.hpp"
#include "net/exchange.hpp"

namespace gatehouse::contract {

/// A visitor whose every habit can be chosen. Confined to its reactor.
class FakeExchange final : public net::Exchange {
 public:
  explicit FakeExchange(net::asio::io_context& reactor) : reading_(reactor), writing_(reactor) {}

  std::string body;                                            // what is sent …
  std::size_t piece = 100'000;                                 // … in pieces of so many bytes …
  std::chrono::milliseconds before_piece{0};                   // … each so long on its way
  enum class End { at_end, never, closed } end = End::at_end;  // what comes after it
  std::chrono::milliseconds before_write{0};                   // how long a write of the answer takes
  bool takes_answer = true;                                    // false: no write ever returns in time
  bool takes_body = true;                                      // false: none of the body, until take_body()
  bool leaves_at_head = false;
  std::function<void()> at_body;  // is called at each piece of the answer's body

  std::optional<http::ResponseHead> head;
  std::string answer;
  bool is_broken_off = false;
  bool has_notice = false;
  std::size_t read = 0;
  std::size_t read_at_head = 0;

  void leave() {
    is_gone_ = true;
    reading_.cancel();
    writing_.cancel();
    if (auto notice = std::exchange(notice_, {})) notice();
  }
  void take_body() {
    takes_body = true;
    writing_.cancel();
  }

  net::Task<net::IoResult<std::size_t>> read_body(std::span<char> into, net::Deadline deadline) override {
    if (arrives_at_ == net::Deadline{}) arrives_at_ = net::after(before_piece);
    const bool is_waiting = read == body.size() && end == End::never;
    const net::Deadline until = is_waiting ? deadline : std::min(arrives_at_, deadline);
    co_await wait(reading_, until);
    if (is_gone_) co_return std::unexpected(net::StreamError::closed);
    if (is_waiting || std::chrono::steady_clock::now() < arrives_at_) {
      co_return std::unexpected(net::StreamError::deadline);
    }
    arrives_at_ = {};
    if (read == body.size() && end == End::closed) co_return std::unexpected(net::StreamError::closed);
    const auto size = std::min({into.size(), piece, body.size() - read});
    std::ranges::copy_n(body.data() + read, static_cast<std::ptrdiff_t>(size), into.data());
    read += size;
    co_return size;
  }

  net::Task<net::IoResult<void>> write_head(const http::ResponseHead& given, net::Deadline deadline) override {
    EXPECT_FALSE(head);
    head = given;
    read_at_head = read;
    const net::IoResult<void> taken = co_await take(takes_answer, deadline);
    if (leaves_at_head) leave();
    co_return taken;
  }
  net::Task<net::IoResult<void>> write_body(std::string_view bytes, net::Deadline deadline) override {
    EXPECT_TRUE(head);
    EXPECT_FALSE(bytes.empty());
    EXPECT_LE(bytes.size(), 64U * 1024);
    answer += bytes;
    if (at_body) at_body();
    const net::IoResult<void> taken = co_await take(takes_answer && takes_body, deadline);
    co_return taken;
  }

  void on_abort(std::function<void()> notice) override {
    has_notice = static_cast<bool>(notice);
    if (notice && is_gone_) return notice();
    notice_ = std::move(notice);
  }
  [[nodiscard]] bool head_written() const override { return head.has_value(); }
  void break_off() override { is_broken_off = true; }

 private:
  net::Task<> wait(net::asio::steady_timer& timer, net::Deadline until) {
    if (is_gone_ || until <= std::chrono::steady_clock::now()) co_return;
    boost::system::error_code ignored;
    timer.expires_at(until);
    co_await timer.async_wait(net::asio::redirect_error(net::asio::use_awaitable, ignored));
  }
  net::Task<net::IoResult<void>> take(bool takes, net::Deadline deadline) {
    const net::Deadline until = takes ? net::after(before_write) : deadline;
    co_await wait(writing_, until);
    if (is_gone_) co_return std::unexpected(net::StreamError::closed);
    if (!takes && std::chrono::steady_clock::now() >= deadline) co_return std::unexpected(net::StreamError::deadline);
    co_return net::IoResult<void>{};
  }

  net::asio::steady_timer reading_;
  net::asio::steady_timer writing_;
  net::Deadline arrives_at_{};
  bool is_gone_ = false;
  std::function<void()> notice_;
};

inline std::string describe(const cgi::RunOutcome& outcome) {
  if (const auto* failed = std::get_if<cgi::Failed>(&outcome)) {
    return std::to_string(failed->status) + " " + failed->reason;
  }
  if (const auto* broken = std::get_if<cgi::BrokenOff>(&outcome)) return "broken off: " + broken->reason;
  if (const auto* redirect = std::get_if<cgi::LocalRedirect>(&outcome)) return "redirect to " + redirect->target;
  return "delivered";
}

}  // namespace gatehouse::contract
