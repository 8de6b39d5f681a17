#include "gateway/scope.hpp"

namespace gatehouse::gateway {

net::Task<> reply(Scope& scope, net::Exchange& exchange, http::Response response, std::vector<std::string> cookies) {
  if (const auto& cookie = scope.context.session_cookie()) cookies.push_back(*cookie);
  co_await send(exchange, std::move(response), scope.request.id, scope.is_head(), std::move(cookies));
}

net::Task<> reply_error(Scope& scope, net::Exchange& exchange, int status) {
  if (status == 503) scope.context.leave_cookie_alone();
  co_await reply(scope, exchange, error_reply(status, *scope.settings->pages, scope.request));
}

void log_request(ops::Log& log, ops::LogLevel level, std::string_view event, const http::Request& request, int status,
                 std::string_view reason, std::string_view user) {
  log.write(level, event,
            {{"request", request.id},
             {"status", std::to_string(status)},
             {"reason", std::string(reason)},
             {"method", request.method},
             {"path", request.path.text()},
             {"host", request.host},
             {"address", request.remote_addr},
             {"user", std::string(user)}});
}

net::Task<auth::Result<std::optional<auth::SessionUser>>> identify(World& world, Scope& scope) {
  using Answer = auth::Result<std::optional<auth::SessionUser>>;
  auto asked = co_await with_store(world, scope, [&scope]() -> Answer {
    auto found = scope.auth.find();
    if (!found) return found;
    if (auto settled = scope.auth.settle(); !settled) return std::unexpected(settled.error());
    return found;
  });
  if (!asked) co_return std::unexpected(asked.error());
  co_return std::move(*asked);
}

}  // namespace gatehouse::gateway
