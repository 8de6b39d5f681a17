#include "gateway/body.hpp"

#include <array>
#include <chrono>

namespace gatehouse::gateway {

namespace {

using namespace std::chrono_literals;

constexpr auto kBodyTime = 10s;

net::Task<std::expected<std::string, int>> read_small_body(const http::Request& request, net::Exchange& exchange) {
  const net::Deadline deadline = net::after(kBodyTime);
  std::string body;
  std::array<char, 8192> piece{};
  while (!request.content_length || body.size() < *request.content_length) {
    const auto got = co_await exchange.read_body(piece, deadline);
    if (!got) {
      const int status = got.error() == net::StreamError::closed ? 0 : 400;
      co_return std::unexpected(status);
    }
    if (*got == 0) break;
    body.append(piece.data(), *got);
    if (body.size() > kMaxFormBytes) co_return std::unexpected(413);
  }
  if (request.content_length && body.size() != *request.content_length) co_return std::unexpected(400);
  co_return body;
}

}  // namespace

bool has_form_body(const http::Request& request) {
  return http::is_form_type(request.content_type);
}

net::Task<std::expected<http::Form, int>> read_form(const http::Request& request, net::Exchange& exchange) {
  if (request.content_length && *request.content_length > kMaxFormBytes) co_return std::unexpected(413);
  auto body = co_await read_small_body(request, exchange);
  if (!body) co_return std::unexpected(body.error());
  if (body->empty()) co_return http::Form();
  if (!http::is_form_type(request.content_type)) co_return std::unexpected(400);
  auto form = http::Form::parse(*body);
  if (!form) co_return std::unexpected(400);
  co_return std::move(*form);
}

}  // namespace gatehouse::gateway
