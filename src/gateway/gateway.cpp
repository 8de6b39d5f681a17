#include "gateway/gateway.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "gateway/check.hpp"
#include "gateway/endpoints.hpp"
#include "gateway/identity.hpp"
#include "gateway/judge.hpp"
#include "gateway/login.hpp"
#include "http/negotiation.hpp"
#include "policy/decide.hpp"

namespace gatehouse::gateway {

namespace {

constexpr int kMaxLocalRedirects = 10;  // RFC 3875 section 6.2.2 names no number; ten is what web servers allow

// Browsers send a cookie without a name back as its bare value: "=session=x" comes as "session=x".
bool is_our_cookie(const Scope& scope, std::string_view set_cookie) {
  while (set_cookie.starts_with('=') || set_cookie.starts_with(' ') || set_cookie.starts_with('\t')) {
    set_cookie.remove_prefix(1);
  }
  const std::string_view name = auth::set_cookie_name(set_cookie);
  return name == scope.settings->auth->options().cookie.name || name == kLoginCookie || name == kSecureLoginCookie;
}

// RFC 9110 section 7.6.1: they speak of one connection, and a script has none with the visitor.
bool is_hop_by_hop(std::string_view name) {
  constexpr std::array<std::string_view, 7> kNames{"connection", "keep-alive",        "proxy-connection", "te",
                                                   "trailer",    "transfer-encoding", "upgrade"};
  return std::ranges::find(kNames, name) != kNames.end();
}

// Headers by which a script tells the web server what to send in its place.
bool steers_web_server(std::string_view name) {
  return name.starts_with("x-accel-") || name.starts_with("x-sendfile") || name.starts_with("x-lighttpd-send-");
}

// The last word on a script's head: it may not steer the web server unless configured, nor set our cookies; ours is
// added.
void finish_head(const Scope& scope, bool may_steer, http::ResponseHead& head) {
  head.headers.remove_if([&](const http::Header& header) {
    const std::string name = http::to_lower(header.name);
    return is_hop_by_hop(name) || (steers_web_server(name) && !may_steer) ||
           (name == "set-cookie" && is_our_cookie(scope, header.value));
  });
  const auto& cookie = scope.context.session_cookie();
  if (!cookie) return;
  head.headers.add("Set-Cookie", *cookie);
  head.headers.set("Cache-Control", "no-store");  // whatever the script allows: the answer carries a session now
}

/// A request and what it becomes when the script asks for another path of ours.
struct Hop {
  http::Request request;
  bool has_body = true;
};

std::optional<Hop> follow(const Hop& from, std::string_view target) {
  // A script that builds it from its SCRIPT_NAME has our mount in front.
  const std::string& mount = from.request.mount;
  if (!mount.empty() && target.starts_with(mount + "/")) target.remove_prefix(mount.size());
  const http::Target parts = http::split_target(target);
  auto path = http::Path::parse(parts.path);
  if (!path) return std::nullopt;
  Hop next{from.request, false};
  next.request.method = from.request.method == "HEAD" ? "HEAD" : "GET";
  next.request.path = std::move(*path);
  next.request.endpoint_path = next.request.path.text();
  next.request.query = std::string(parts.query);
  next.request.content_length.reset();
  next.request.headers.remove("transfer-encoding");
  next.request.content_type.clear();
  return next;
}

net::Task<> refuse_visitor(World& world, Scope& scope, net::Exchange& exchange, const http::Request& request,
                           const policy::Denied& denied, const auth::User* user) {
  const bool may_sign_in = denied.why == policy::Refusal::no_session;
  const int status = may_sign_in ? 401 : 403;
  log_request(world.log, ops::LogLevel::info, "denied", request, status, policy::describe(denied.why),
              user == nullptr ? std::string_view() : user->id);
  http::Response response = may_sign_in ? sign_in_reply(*scope.settings, request)
                                        : error_reply(status, *scope.settings->pages, scope.request);
  co_await reply(scope, exchange, std::move(response));
}

// By the family, because a parallel request may have renewed the session. Lucia's tables have none, and keep the id.
class SessionConfirmation final : public Confirmation {
 public:
  SessionConfirmation(World& world, const Settings& settings, const Verdict& verdict)
      : world_(world), settings_(settings), verdict_(verdict) {}

  net::Task<int> ask() override {
    if (!verdict_.user) co_return 0;
    const auth::Auth& auth = *settings_.auth;
    const auth::SessionRow& own = verdict_.user->session.row;
    const auto sessions =
        co_await run_on(world_.read_pool, true, [&auth, &own] { return auth.get_all_user_sessions(own.user_id); });
    if (!sessions) co_return 503;
    if (!*sessions) co_return (*sessions).error().code == auth::ErrorCode::invalid_user_id ? 401 : 503;
    const bool is_alive = std::ranges::any_of(**sessions, [&own](const auth::ListedSession& session) {
      return session.row.id == own.id || (!own.family.empty() && session.row.family == own.family);
    });
    co_return is_alive ? 0 : 401;
  }

 private:
  World& world_;
  const Settings& settings_;
  const Verdict& verdict_;
};

/// Runs the downstream of an allowed route. Returns the local redirect that the script wants, if any.
net::Task<std::optional<std::string>> run_downstream(World& world, Scope& scope, net::Exchange& exchange,
                                                     const Hop& hop, const policy::Route& route,
                                                     const Verdict& verdict) {
  const Settings& settings = *scope.settings;
  const std::string_view who = verdict.user ? std::string_view(verdict.user->user.id) : std::string_view();
  const auto downstream = settings.downstreams.find(route.downstream);
  if (downstream == settings.downstreams.end()) {
    log_request(world.log, ops::LogLevel::info, "denied", hop.request, 404, "the route has no downstream here");
    co_await reply_error(scope, exchange, 404);
    co_return std::nullopt;
  }
  if (!verdict.told) {
    log_request(world.log, ops::LogLevel::warn, "denied", hop.request, 403, verdict.told.error(), who);
    co_await reply_error(scope, exchange, 403);
    co_return std::nullopt;
  }
  const http::Request clean =
      without_owned_headers(hop.request, settings.identity, settings.auth->options().cookie.name);
  SessionConfirmation confirmation(world, settings, verdict);
  const DownstreamRequest request{clean, *verdict.told, route.path.literal_prefix(), hop.has_body, confirmation};
  const bool may_steer = downstream->second->may_steer_web_server();
  cgi::HeadHook on_head = [&scope, may_steer](http::ResponseHead& head) { finish_head(scope, may_steer, head); };
  const cgi::RunOutcome outcome = co_await downstream->second->serve(request, exchange, std::move(on_head));

  if (const auto* redirect = std::get_if<cgi::LocalRedirect>(&outcome)) co_return redirect->target;
  if (const auto* done = std::get_if<cgi::Delivered>(&outcome)) {
    const bool went_wrong = done->exit_code != 0;
    log_request(world.log, went_wrong ? ops::LogLevel::warn : ops::LogLevel::debug,
                went_wrong ? "script_exit" : "allowed", hop.request, done->status,
                went_wrong ? "exit code " + std::to_string(done->exit_code) : "", who);
  } else if (const auto* broken = std::get_if<cgi::BrokenOff>(&outcome)) {
    log_request(world.log, broken->by_visitor ? ops::LogLevel::info : ops::LogLevel::warn, "broken_off", hop.request,
                broken->status, broken->reason, who, route.downstream);
  } else {
    const auto& wrong = std::get<cgi::Failed>(outcome);
    log_request(world.log, wrong.status >= 500 ? ops::LogLevel::warn : ops::LogLevel::info, "script_failed",
                hop.request, wrong.status, wrong.reason, who, route.downstream);
    co_await reply_error(scope, exchange, wrong.status);
  }
  co_return std::nullopt;
}

/// Serves a path that is no endpoint. Returns the local redirect that the script wants, if any.
net::Task<std::optional<std::string>> serve_route(World& world, Scope& scope, net::Exchange& exchange, const Hop& hop) {
  const Rules rules = rules_of(*scope.settings, hop.request);
  const Settings& settings = *scope.settings;
  Tell tell = [&settings](const auth::User* user, auth::SessionState state) {
    return make_identity(settings.identity, user, state);
  };
  const Verdict verdict = co_await judge(world, scope, rules, Renews::as_configured, std::move(tell));
  if (verdict.error) {
    co_await reply_store_failure(world, scope, exchange, *verdict.error);
    co_return std::nullopt;
  }
  if (const auto* denied = std::get_if<policy::Denied>(&verdict.decision)) {
    co_await refuse_visitor(world, scope, exchange, hop.request, *denied, verdict.who());
    co_return std::nullopt;
  }
  if (verdict.user) world.last_uses.note(verdict.user->session.row);
  auto redirect = co_await run_downstream(world, scope, exchange, hop, *rules.route, verdict);
  co_return redirect;
}

net::Task<> refuse_method(World& world, Scope& scope, net::Exchange& exchange) {
  log_request(world.log, ops::LogLevel::info, "denied", scope.request, 405, "method");
  http::Response response = error_reply(405, *scope.settings->pages, scope.request);
  response.head.headers.add("Allow", "GET, HEAD, POST");
  co_await reply(scope, exchange, std::move(response));
}

std::unique_ptr<Scope> scope_of(std::shared_ptr<const Settings> settings, http::Request request) {
  const Endpoint met = met_endpoint(*settings, request);
  // A check is about another page: what counts as its own origin is that page's.
  const bool is_of_endpoints = met != Endpoint::none && met != Endpoint::check && met != Endpoint::forward;
  return std::make_unique<Scope>(std::move(settings), std::move(request), is_of_endpoints);
}

}  // namespace

Gateway::Gateway(World world, std::shared_ptr<const Settings> settings)
    : world_(world), settings_(std::move(settings)) {}

void Gateway::replace(std::shared_ptr<const Settings> settings) {
  {
    const std::scoped_lock lock(mutex_);
    settings_.swap(settings);
  }
  for (const auto& [name, downstream] : settings->downstreams) downstream->retire();
}

std::shared_ptr<const Settings> Gateway::settings() const {
  const std::scoped_lock lock(mutex_);
  return settings_;
}

net::Task<> Gateway::serve(http::Request request, net::Exchange& exchange) {
  const auto scope = scope_of(settings(), std::move(request));
  const Endpoint met = met_endpoint(*scope->settings, scope->request);
  if (met == Endpoint::check) {
    co_await serve_check(world_, *scope, exchange);
    co_return;
  }
  if (is_for_web_servers(scope->request.method)) {
    co_await refuse_method(world_, *scope, exchange);
    co_return;
  }
  if (met == Endpoint::login && scope->request.refused_method) {
    const bool is_answered = co_await serve_refusal(world_, *scope, exchange);
    if (is_answered) co_return;
  }
  if (met != Endpoint::none) {
    co_await serve_endpoint(met, world_, *scope, exchange);
    co_return;
  }
  Hop hop{scope->request, true};
  for (int hops = 0; hops <= kMaxLocalRedirects; ++hops) {
    const auto redirect = co_await serve_route(world_, *scope, exchange, hop);
    if (!redirect) co_return;
    auto next = follow(hop, *redirect);
    if (!next) break;
    hop = std::move(*next);
    // A script may send its visitor to an endpoint by a real redirect, not in our name.
    if (met_endpoint(*scope->settings, hop.request) != Endpoint::none) {
      co_await reply_error(*scope, exchange, 502);
      co_return;
    }
  }
  log_request(world_.log, ops::LogLevel::warn, "script_failed", hop.request, 502, "local redirects that lead nowhere");
  co_await reply_error(*scope, exchange, 502);
}

net::Task<> Gateway::serve_endpoints(http::Request request, net::Exchange& exchange) {
  const auto scope = scope_of(settings(), std::move(request));
  const Endpoint met = met_endpoint(*scope->settings, scope->request);
  if (met == Endpoint::check) {
    co_await serve_check(world_, *scope, exchange);
  } else if (met == Endpoint::forward) {
    co_await serve_forward(world_, *scope, exchange);
  } else if (is_for_web_servers(scope->request.method)) {
    co_await refuse_method(world_, *scope, exchange);
  } else {
    co_await serve_endpoint(met, world_, *scope, exchange);
  }
}

net::Task<> Gateway::serve_authorizer(http::Request request, Asker asker, net::Exchange& exchange) {
  const auto scope = std::make_unique<Scope>(settings(), std::move(request), false);
  co_await gateway::serve_authorizer(world_, *scope, exchange, asker);
}

net::Task<> Gateway::serve_malformed(http::Malformed malformed, net::Exchange& exchange) {
  world_.log.write(
      ops::LogLevel::info, "malformed",
      {{"request", malformed.request_id}, {"status", std::to_string(malformed.status)}, {"reason", malformed.reason}});
  const auto taken = settings();
  http::Response response = error_reply(malformed.status, {*taken->pages, malformed.request_id, malformed.wants_html});
  if (malformed.is_check)
    response = http::Response{.head = {.status = malformed.status, .reason = {}, .headers = {}}, .body = {}};
  co_await send(exchange, std::move(response), malformed.request_id, false, {});
}

net::Task<> Gateway::refuse(std::string request_id, int status, std::string reason, net::Exchange& exchange) {
  world_.log.write(ops::LogLevel::warn, "refused",
                   {{"request", request_id}, {"status", std::to_string(status)}, {"reason", reason}});
  const auto taken = settings();
  http::Response response = error_reply(status, {*taken->pages, request_id, false});
  co_await send(exchange, std::move(response), request_id, false, {});
}

}  // namespace gatehouse::gateway
