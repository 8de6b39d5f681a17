#include "gateway/scope.hpp"

namespace gatehouse::gateway {

net::Task<> reply(Scope& scope, net::Exchange& exchange, http::Response response, std::vector<std::string> cookies) {
  if (const auto& cookie = scope.context.session_cookie()) cookies.push_back(*cookie);
  co_await send(exchange, std::move(response), scope.request.id, scope.is_head(), std::move(cookies));
}

net::Task<> reply_error(Scope& scope, net::Exchange& exchange, int status) {
  co_await reply(scope, exchange, error_reply(status, *scope.settings->pages, scope.request));
}

void log_request(ops::Log& log, ops::LogLevel level, std::string_view event, const http::Request& request, int status,
                 std::string_view reason, std::string_view user, std::string_view downstream) {
  log.write(level, event,
            {{"request", request.id},
             {"status", std::to_string(status)},
             {"reason", std::string(reason)},
             {"method", request.method},
             {"path", request.path.text()},
             {"host", request.host},
             {"address", request.remote_addr},
             {"user", std::string(user)},
             {"downstream", std::string(downstream)}});
}

void log_store_failure(World& world, const http::Request& request, const std::string& detail) {
  const auto held_back = world.store_failures.take(std::chrono::steady_clock::now());
  log_request(world.log, held_back ? ops::LogLevel::warn : ops::LogLevel::debug, "store_failed", request, 503,
              ops::with_count(detail, held_back.value_or(0)));
}

net::Task<> reply_store_failure(World& world, Scope& scope, net::Exchange& exchange, const auth::Error& error) {
  log_store_failure(world, scope.request, error.detail);
  scope.context.leave_cookie_alone();
  co_await reply_error(scope, exchange, 503);
}

net::Task<auth::Result<std::optional<auth::SessionUser>>> identify(World& world, Scope& scope) {
  const bool asks_store = scope.auth.presented().has_value();
  auto found = co_await run_on(world.read_pool, asks_store, [&scope] { return scope.auth.find(); });
  if (!found) co_return std::unexpected(found.error());
  if (!*found) co_return std::unexpected(found->error());
  auto settled = co_await run_on(world.write_pool, scope.auth.owes_write(), [&scope] { return scope.auth.settle(); });
  if (!settled) co_return std::unexpected(settled.error());
  if (!*settled) co_return std::unexpected(settled->error());
  co_return std::move(*found);
}

}  // namespace gatehouse::gateway
