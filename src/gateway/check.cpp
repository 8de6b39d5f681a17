#include "gateway/check.hpp"

#include <utility>

#include "gateway/endpoints.hpp"
#include "gateway/identity.hpp"
#include "gateway/judge.hpp"

namespace gatehouse::gateway {

namespace {

// What an endpoint's own page is checked against: everybody reaches the login.
const policy::Route& everybody() {
  static const policy::Route route{
      .path = {}, .hosts = {}, .methods = {}, .access = policy::Access::public_, .require = {}, .downstream = {}};
  return route;
}

Rules rules_for(const Settings& settings, const http::Request& request) {
  switch (endpoint_at(settings, request.path.text())) {
    case Endpoint::none: return rules_of_checked(settings, request);
    case Endpoint::login:
    case Endpoint::logout:
    case Endpoint::session: return Rules{&everybody(), {}};
    case Endpoint::check:  // asked about itself: the front server did not say which page it means
    case Endpoint::reserved: break;
  }
  return {};
}

http::Response bare(int status) {
  http::Response response;
  response.head.status = status;
  if (status == 503) response.head.headers.add("Retry-After", "5");
  return response;
}

// Every header is there, empty where there is nobody: a front server that copies them must have something to put in the
// place of what a visitor sent under these names.
http::Response pass(const cgi::Identity& identity) {
  http::Response response = bare(200);
  http::Headers& headers = response.head.headers;
  headers.add("X-Gatehouse-User", identity.remote_user.value_or(""));
  headers.add("X-Gatehouse-User-Id", identity.user_id);
  headers.add("X-Gatehouse-Session-State", identity.session_state);
  for (const http::Header& header : identity.headers) headers.add(header.name, header.value);
  return response;
}

/// An answer and what the log says of it.
struct Answer {
  http::Response response;
  ops::LogLevel level = ops::LogLevel::info;
  std::string_view event = "denied";
  std::string reason;
};

Answer refused(int status, std::string reason) {
  const bool is_ours = status == 503;
  return {bare(status), is_ours ? ops::LogLevel::warn : ops::LogLevel::info, is_ours ? "store_failed" : "denied",
          std::move(reason)};
}

Answer answer_to(const Settings& settings, const Verdict& verdict) {
  if (verdict.error) return refused(503, verdict.error->detail);
  if (const auto* denied = std::get_if<policy::Denied>(&verdict.decision)) {
    const int status = denied->why == policy::Refusal::no_session ? 401 : 403;
    return refused(status, std::string(policy::describe(denied->why)));
  }
  const auto identity = make_identity(settings.identity, verdict.who(), verdict.state());
  if (!identity) return refused(403, "control byte in the user's " + identity.error());
  return {pass(*identity), ops::LogLevel::debug, "allowed", {}};
}

bool is_servable(const std::string& method) {
  return method != "TRACE" && method != "CONNECT";
}

}  // namespace

net::Task<> serve_check(World& world, Scope& scope, net::Exchange& exchange) {
  const http::Request& request = scope.request;
  Verdict verdict;
  if (is_servable(request.method)) {
    const auto renewal = request.delivers_cookies ? std::nullopt : std::optional(auth::Renewal::extend);
    verdict = co_await judge(world, scope, rules_for(*scope.settings, request), renewal);
  }
  Answer answer = answer_to(*scope.settings, verdict);
  const bool keeps_cookie = verdict.error.has_value() || !request.delivers_cookies;
  if (keeps_cookie) scope.context.leave_cookie_alone();
  const int status = answer.response.head.status;
  log_request(world.log, answer.level, answer.event, request, status, answer.reason,
              verdict.user ? std::string_view(verdict.user->user.id) : std::string_view());
  if (status == 200 && verdict.user) world.last_uses.note(verdict.user->session.row);
  co_await reply(scope, exchange, std::move(answer.response));
}

}  // namespace gatehouse::gateway
