#include "gateway/endpoints.hpp"

#include <nlohmann/json.hpp>

#include "auth/logout.hpp"
#include "gateway/body.hpp"
#include "gateway/login.hpp"

namespace gatehouse::gateway {

namespace {

// Of the further columns only those that downstream is told too: a page's script must not read the administrator's
// notes.
nlohmann::ordered_json user_json(const auth::User& user, const IdentitySettings& identity) {
  nlohmann::ordered_json json{
      {"id", user.id}, {"username", user.username}, {"name", user.name}, {"email", user.email}, {"roles", user.roles}};
  for (const auto& [header, attribute] : identity.headers) {
    const auto found = user.attributes.find(attribute);
    if (found != user.attributes.end()) json[attribute] = found->second;
  }
  return json;
}

nlohmann::ordered_json session_json(const auth::Session& session) {
  const auto millis = [](auth::Timestamp time) { return time.time_since_epoch().count(); };
  // Lucia's tables do not say when somebody signed in.
  const bool is_known = session.row.created_at != auth::Timestamp{};
  return {{"handle", auth::session_handle(session.row.id)},
          {"state", auth::name(session.state)},
          {"created_at", is_known ? nlohmann::ordered_json(millis(session.row.created_at)) : nullptr},
          {"active_expires", millis(session.row.active_expires)},
          {"idle_expires", millis(session.row.idle_expires)}};
}

net::Task<> serve_session(World& world, Scope& scope, net::Exchange& exchange) {
  if (scope.request.method != "GET" && !scope.is_head()) {
    http::Response response = error_reply(405, *scope.settings->pages, scope.request);
    response.head.headers.add("Allow", "GET, HEAD");
    co_await reply(scope, exchange, std::move(response));
    co_return;
  }
  auto who = co_await identify(world, scope);
  if (!who) {
    co_await reply_store_failure(world, scope, exchange, who.error());
    co_return;
  }
  if (!*who) {
    co_await reply(scope, exchange, error_reply(401, {*scope.settings->pages, scope.request.id, false}));
    co_return;
  }
  const nlohmann::ordered_json body{{"user", user_json((*who)->user, scope.settings->identity)},
                                    {"session", session_json((*who)->session)}};
  const auto replace = nlohmann::ordered_json::error_handler_t::replace;
  co_await reply(scope, exchange, json_reply(200, body.dump(-1, ' ', false, replace)));
}

// Fails with a status, 0 if the visitor is gone. Only what comes from our own page is looked at.
net::Task<std::expected<auth::LogoutForm, int>> read_logout_form(const Scope& scope, net::Exchange& exchange) {
  if (scope.request.method != "POST" || scope.auth.origin() != auth::OriginVerdict::own) co_return auth::LogoutForm();
  // A body that is no form (a program's JSON) has nothing to say here and is no reason to stay signed in.
  std::expected<http::Form, int> body;
  if (has_form_body(scope.request)) body = co_await read_form(scope.request, exchange);
  if (!body) co_return std::unexpected(body.error());
  const auto query = http::Form::parse(scope.request.query);
  if (!query) co_return std::unexpected(400);
  auto form = auth::read_logout_form(*body, *query, scope.request.header("accept"));
  if (!form) co_return std::unexpected(400);
  co_return std::move(*form);
}

auth::LogoutHandler logout_handler(const Settings& settings) {
  auth::LogoutOptions options{settings.logout_redirect, settings.login.allowed_return_hosts, {}};
  if (settings.endpoint_origin) options.also_own.push_back(*settings.endpoint_origin);
  return auth::handle_logout_requests(*settings.auth, std::move(options));
}

// The handler's answer keeps its status and headers; a refusal gets the page of its status.
net::Task<> send_logout_answer(World& world, Scope& scope, net::Exchange& exchange, http::Response answer) {
  const int status = answer.head.status;
  if (status >= 400) {
    log_request(world.log, status == 503 ? ops::LogLevel::warn : ops::LogLevel::info, "logout_refused", scope.request,
                status, status == 503 ? "the store failed" : "method or origin");
    http::Response page = error_reply(status, *scope.settings->pages, scope.request);
    if (const auto allow = answer.head.headers.get("Allow")) page.head.headers.add("Allow", std::string(*allow));
    answer = std::move(page);
    scope.context.leave_cookie_alone();
  } else {
    log_request(world.log, ops::LogLevel::info, "signed_out", scope.request, status, {});
    const auto location = answer.head.headers.get("Location");
    if (location && location->starts_with('/'))
      answer.head.headers.set("Location", scope.as_reached(std::string(*location)));
  }
  co_await reply(scope, exchange, std::move(answer));
}

net::Task<> serve_logout(World& world, Scope& scope, net::Exchange& exchange) {
  const std::expected<auth::LogoutForm, int> form = co_await read_logout_form(scope, exchange);
  if (!form) {
    if (form.error() == 0) co_return;
    log_request(world.log, ops::LogLevel::info, "denied", scope.request, form.error(), "not a logout form");
    co_await reply_error(scope, exchange, form.error());
    co_return;
  }
  const auth::LogoutHandler handler = logout_handler(*scope.settings);
  const bool asks_store = scope.auth.presented().has_value();
  auto answered = co_await run_on(world.write_pool, asks_store, [&] { return handler(scope.context, *form); });
  if (!answered) {
    co_await reply_store_failure(world, scope, exchange, answered.error());
    co_return;
  }
  co_await send_logout_answer(world, scope, exchange, std::move(*answered));
}

}  // namespace

Endpoint endpoint_at(const Settings& settings, std::string_view path) {
  const std::string& prefix = settings.endpoint_prefix;
  if (path != prefix && !path.starts_with(prefix + "/")) return Endpoint::none;
  const std::string_view name = path.substr(std::min(path.size(), prefix.size() + 1));
  if (name == "login") return settings.login.enabled ? Endpoint::login : Endpoint::reserved;
  if (name == "logout") return Endpoint::logout;
  if (name == "session") return Endpoint::session;
  if (name == "check") return Endpoint::check;
  if (name == "forward") return Endpoint::forward;
  return Endpoint::reserved;
}

Endpoint met_endpoint(const Settings& settings, const http::Request& request) {
  const Endpoint by_name = endpoint_at(settings, request.endpoint_path);
  if (by_name != Endpoint::none && by_name != Endpoint::reserved) return by_name;
  const Endpoint by_path = endpoint_at(settings, request.path.text());
  return by_path != Endpoint::none ? by_path : by_name;
}

net::Task<> serve_endpoint(Endpoint endpoint, World& world, Scope& scope, net::Exchange& exchange) {
  switch (endpoint) {
    case Endpoint::login: co_await serve_login(world, scope, exchange); co_return;
    case Endpoint::logout: co_await serve_logout(world, scope, exchange); co_return;
    case Endpoint::session: co_await serve_session(world, scope, exchange); co_return;
    case Endpoint::check:
    case Endpoint::forward:
    case Endpoint::reserved:
    case Endpoint::none: break;
  }
  log_request(world.log, ops::LogLevel::info, "denied", scope.request, 404, "no such endpoint");
  co_await reply_error(scope, exchange, 404);
}

}  // namespace gatehouse::gateway
