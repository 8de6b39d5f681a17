#include "gateway/checked.hpp"

#include <utility>

#include "gateway/endpoints.hpp"
#include "gateway/identity.hpp"

namespace gatehouse::gateway {

namespace {

constexpr std::size_t kMaxIdentityBytes = 3000;
constexpr std::string_view kStoreFailed = "store_failed";

// What an endpoint's own page is checked against: everybody reaches the login.
const policy::Route& everybody() {
  static const policy::Route route{
      .path = {}, .hosts = {}, .methods = {}, .access = policy::Access::public_, .require = {}, .downstream = {}};
  return route;
}

Rules rules_at(const Settings& settings, const http::Request& request, const http::Path& path) {
  switch (endpoint_at(settings, path.text())) {
    case Endpoint::none: return rules_of_checked(settings, request, path);
    case Endpoint::login:
    case Endpoint::logout:
    case Endpoint::session: return Rules{&everybody(), {}};
    case Endpoint::check:  // asked about itself: the front server did not say which page it means
    case Endpoint::forward:
    case Endpoint::reserved: break;
  }
  return {};
}

// A server that rewrites serves another page than the one that was asked for: who may have the one by the other's name
// may have both.
Rules rules_for(const Settings& settings, const http::Request& request) {
  Rules rules = rules_at(settings, request, request.path);
  if (!request.served_path) return rules;
  const Rules served = rules_at(settings, request, *request.served_path);
  rules.others.push_back(served.route);
  rules.others.insert(rules.others.end(), served.others.begin(), served.others.end());
  return rules;
}

Renews renews_for(const http::Request& request) {
  if (request.is_lookup || request.refused_method) return Renews::not_at_all;
  return request.delivers_cookies ? Renews::as_configured : Renews::by_extending;
}

http::Response bare(int status) {
  http::Response response;
  response.head.status = status;
  if (status == 503) response.head.headers.add("Retry-After", "5");
  return response;
}

// As headers or as variables of an authorizer: name, value and what stands between and around them.
std::size_t size_of(const cgi::Identity& identity) {
  constexpr std::size_t kAround = 4;
  std::size_t size = identity.remote_user.value_or("").size() + identity.user_id.size() + identity.session_state.size();
  for (const http::Header& header : identity.headers) size += header.name.size() + header.value.size() + kAround;
  return size;
}

}  // namespace

PageAnswer passed(http::Headers headers) {
  return {{.head = {200, {}, std::move(headers)}, .body = {}}, ops::LogLevel::debug, "allowed", {}};
}

PageAnswer refused(int status, std::string reason) {
  const bool is_ours = status == 503;
  return {bare(status), is_ours ? ops::LogLevel::warn : ops::LogLevel::info, is_ours ? kStoreFailed : "denied",
          std::move(reason)};
}

net::Task<Verdict> judge_page(World& world, Scope& scope, bool is_servable, Tell tell) {
  Verdict verdict;
  if (!is_servable) co_return verdict;
  const http::Request& request = scope.request;
  const Renews renews = renews_for(request);
  try {
    auto judged = co_await judge(world, scope, rules_for(*scope.settings, request), renews, std::move(tell));
    verdict = std::move(judged);
  } catch (const std::exception& bug) {
    verdict.error = auth::Error{auth::ErrorCode::internal, bug.what()};
  }
  co_return verdict;
}

Told tell_in_headers(const Settings& settings, const auth::User* user, auth::SessionState state) {
  auto identity = make_identity(settings.identity, user, state);
  if (identity && size_of(*identity) > kMaxIdentityBytes) {
    return std::unexpected("the user's attributes are too long for headers");
  }
  return identity;
}

std::optional<PageAnswer> refusal_of(const Verdict& verdict) {
  if (verdict.error) {
    PageAnswer answer = refused(503, verdict.error->detail);
    if (verdict.error->code != auth::ErrorCode::internal) return answer;
    answer.level = ops::LogLevel::error;
    answer.event = "bug";
    return answer;
  }
  if (const auto* denied = std::get_if<policy::Denied>(&verdict.decision)) {
    const int status = denied->why == policy::Refusal::no_session ? 401 : 403;
    return refused(status, std::string(policy::describe(denied->why)));
  }
  if (!verdict.told) return refused(403, verdict.told.error());
  return std::nullopt;
}

void note_answer(World& world, const Scope& scope, const Verdict& verdict, const PageAnswer& answer) {
  const http::Request& request = scope.request;
  const int status = answer.response.head.status;
  if (answer.event == kStoreFailed) {
    log_store_failure(world, request, answer.reason);
  } else {
    log_request(world.log, answer.level, answer.event, request, status, answer.reason,
                verdict.user ? std::string_view(verdict.user->user.id) : std::string_view());
  }
  if (status == 200 && verdict.user) world.last_uses.note(verdict.user->session.row);
}

}  // namespace gatehouse::gateway
