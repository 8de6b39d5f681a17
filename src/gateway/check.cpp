#include "gateway/check.hpp"

#include <algorithm>
#include <utility>

#include "gateway/endpoints.hpp"
#include "gateway/identity.hpp"
#include "gateway/judge.hpp"
#include "gateway/login.hpp"
#include "http/negotiation.hpp"

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
    case Endpoint::forward:
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

// With the other headers and a cookie it has to fit into the 4,000 bytes that a web server reads a head into (nginx's
// page).
constexpr std::size_t kMaxIdentityBytes = 3000;

std::size_t size_of(const http::Headers& headers) {
  std::size_t size = 0;
  for (const http::Header& header : headers.fields()) size += header.name.size() + header.value.size() + 4;
  return size;
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

constexpr std::string_view kStoreFailed = "store_failed";

/// An answer and what the log says of it.
struct Answer {
  http::Response response;
  ops::LogLevel level = ops::LogLevel::info;
  std::string_view event = "denied";
  std::string reason;
};

Answer refused(int status, std::string reason) {
  const bool is_ours = status == 503;
  return {bare(status), is_ours ? ops::LogLevel::warn : ops::LogLevel::info, is_ours ? kStoreFailed : "denied",
          std::move(reason)};
}

Answer answer_to(const Settings& settings, const Verdict& verdict) {
  if (verdict.error) {
    Answer answer = refused(503, verdict.error->detail);
    if (verdict.error->code != auth::ErrorCode::internal) return answer;
    answer.level = ops::LogLevel::error;
    answer.event = "bug";
    return answer;
  }
  if (const auto* denied = std::get_if<policy::Denied>(&verdict.decision)) {
    const int status = denied->why == policy::Refusal::no_session ? 401 : 403;
    return refused(status, std::string(policy::describe(denied->why)));
  }
  const auto identity = make_identity(settings.identity, verdict.who(), verdict.state());
  if (!identity) return refused(403, "control byte in the user's " + identity.error());
  http::Response passed = pass(*identity);
  if (size_of(passed.head.headers) > kMaxIdentityBytes)
    return refused(403, "the user's attributes are too long for headers");
  return {std::move(passed), ops::LogLevel::debug, "allowed", {}};
}

// The web server will set the header that we own, and pass this one on beside it.
bool has_alias_of_owned_header(const Scope& scope) {
  return std::ranges::any_of(scope.request.headers.fields(), [&scope](const http::Header& header) {
    return is_alias_of_owned_header(scope.settings->identity, header.name);
  });
}

void send_to_login(const Scope& scope, Answer& answer) {
  const auto location = absolute_login_location(*scope.settings, scope.request);
  if (location) answer.response = redirect_reply(scope.request, *location);
}

// Asks the store and decides; a request that nobody may make is not asked about. A bug is no reason to answer with a
// status that a web server might not know.
net::Task<Verdict> judge_page(World& world, Scope& scope, bool is_servable) {
  Verdict verdict;
  if (!is_servable) co_return verdict;
  const http::Request& request = scope.request;
  const auto renewal = request.delivers_cookies ? std::nullopt : std::optional(auth::Renewal::extend);
  try {
    auto judged = co_await judge(world, scope, rules_for(*scope.settings, request), renewal);
    verdict = std::move(judged);
  } catch (const std::exception& bug) {
    verdict.error = auth::Error{auth::ErrorCode::internal, bug.what()};
  }
  co_return verdict;
}

net::Task<> send_answer(World& world, Scope& scope, net::Exchange& exchange, const Verdict& verdict, Answer answer) {
  const http::Request& request = scope.request;
  const bool keeps_cookie = verdict.error.has_value() || !request.delivers_cookies;
  if (keeps_cookie) scope.context.leave_cookie_alone();
  const int status = answer.response.head.status;
  if (answer.event == kStoreFailed) {
    log_store_failure(world, request, answer.reason);
  } else {
    log_request(world.log, answer.level, answer.event, request, status, answer.reason,
                verdict.user ? std::string_view(verdict.user->user.id) : std::string_view());
  }
  if (status == 200 && verdict.user) world.last_uses.note(verdict.user->session.row);
  std::vector<std::string> cookies;
  if (const auto& cookie = scope.context.session_cookie()) {
    cookies.push_back(*cookie);
    // For the page that will carry it: no cache may hand it to somebody else.
    answer.response.head.headers.add("X-Gatehouse-Cache-Control", "no-store");
  }
  // The method is the page's and not the question's: the answer to a GET has a body, whatever it is about.
  co_await send(exchange, std::move(answer.response), request.id, false, std::move(cookies));
}

}  // namespace

net::Task<> serve_check(World& world, Scope& scope, net::Exchange& exchange) {
  const Verdict verdict = co_await judge_page(world, scope, !is_for_web_servers(scope.request.method));
  Answer answer = answer_to(*scope.settings, verdict);
  co_await send_answer(world, scope, exchange, verdict, std::move(answer));
}

net::Task<> serve_forward(World& world, Scope& scope, net::Exchange& exchange) {
  const bool is_aliased = has_alias_of_owned_header(scope);
  const bool is_servable = !is_for_web_servers(scope.request.method) && !is_aliased;
  const Verdict verdict = co_await judge_page(world, scope, is_servable);
  Answer answer = answer_to(*scope.settings, verdict);
  if (is_aliased) answer.reason = "a header is another spelling of one of ours";
  const int status = answer.response.head.status;
  if (status != 200) answer.response = error_reply(status, *scope.settings->pages, scope.request);
  if (status == 401 && http::is_navigation(scope.request)) send_to_login(scope, answer);
  co_await send_answer(world, scope, exchange, verdict, std::move(answer));
}

}  // namespace gatehouse::gateway
