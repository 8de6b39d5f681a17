#include "gateway/judge.hpp"

#include <algorithm>
#include <utility>

#include "gateway/identity.hpp"

namespace gatehouse::gateway {

namespace {

Verdict failed(auth::Error error) {
  Verdict verdict;
  verdict.error = std::move(error);
  return verdict;
}

bool is_allowed(const policy::Decision& decision) {
  return std::holds_alternative<policy::Allowed>(decision);
}

policy::Decision decide_for(const Rules& rules, const std::optional<auth::SessionUser>& found) {
  return decide(rules, found ? &found->user : nullptr);
}

// A user whose attributes no header can carry will be refused by the door: that refusal must not renew either.
bool can_be_told(const Settings& settings, const std::optional<auth::SessionUser>& found) {
  return !found || make_identity(settings.identity, &found->user, found->session.state).has_value();
}

void add_script_rule(Rules& rules, const Settings& settings, const http::Path& script, const http::Request& request) {
  const auto* rule = policy::match_script(settings.routes, *rules.route, script, request.host, request.method);
  if (rule != nullptr) rules.of_scripts.push_back(rule);
}

}  // namespace

Rules rules_of(const Settings& settings, const http::Request& request) {
  Rules rules{policy::match(settings.routes, request.path, request.host, request.method), {}};
  if (rules.route == nullptr) return rules;
  const auto downstream = settings.downstreams.find(rules.route->downstream);
  if (downstream == settings.downstreams.end()) return rules;
  const auto script = downstream->second->script_path(request.path);
  if (script) add_script_rule(rules, settings, *script, request);
  return rules;
}

Rules rules_of_checked(const Settings& settings, const http::Request& request) {
  Rules rules{policy::match(settings.routes, request.path, request.host, request.method), {}};
  if (rules.route == nullptr) return rules;
  const std::string_view path = request.path.text();
  for (std::size_t begin = 1, end = path.find('/', begin); end != path.npos;
       begin = end + 1, end = path.find('/', begin)) {
    if (!path.substr(begin, end - begin).contains('.')) continue;
    const auto script = http::Path::from_decoded(path.substr(0, end));
    if (script) add_script_rule(rules, settings, *script, request);
  }
  return rules;
}

bool is_for_web_servers(std::string_view method) {
  return method == "TRACE" || method == "CONNECT";
}

policy::Decision decide(const Rules& rules, const auth::User* user) {
  const policy::Decision decision = policy::decide(rules.route, user);
  if (!is_allowed(decision)) return decision;
  for (const policy::Route* rule : rules.of_scripts) {
    const policy::Decision of_script = policy::decide(rule, user);
    if (!is_allowed(of_script)) return of_script;
  }
  return decision;
}

// A session that is gone when it is to be renewed was logged out meanwhile, and then nobody is signed in.
net::Task<Verdict> judge(World& world, Scope& scope, Rules rules, std::optional<auth::Renewal> renewal) {
  const bool asks_store = scope.auth.presented().has_value();
  auto found = co_await run_on(world.read_pool, asks_store, [&scope] { return scope.auth.find(); });
  if (!found) co_return failed(found.error());
  if (!*found) co_return failed(found->error());
  Verdict verdict{decide_for(rules, **found), std::move(**found), std::nullopt};
  const bool writes = scope.auth.owes_write();
  if (!is_allowed(verdict.decision) || (writes && !can_be_told(*scope.settings, verdict.user))) {
    auto settled = co_await run_on(world.write_pool, writes, [&scope] { return scope.auth.settle(); });
    if (!settled) co_return failed(settled.error());
    if (!*settled) co_return failed(settled->error());
    co_return verdict;
  }
  auto renewed = co_await run_on(world.write_pool, writes, [&scope, renewal] { return scope.auth.renew(renewal); });
  // No thread for a write is as a store that takes none: who was found is let in, unrenewed.
  if (!renewed && verdict.user) co_return verdict;
  if (!renewed) co_return failed(renewed.error());
  if (!*renewed) co_return failed(renewed->error());
  verdict.user = std::move(**renewed);
  verdict.decision = decide_for(rules, verdict.user);
  co_return verdict;
}

}  // namespace gatehouse::gateway
