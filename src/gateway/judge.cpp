#include "gateway/judge.hpp"

#include <algorithm>
#include <utility>

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

void add_script_rule(Rules& rules, const Settings& settings, const http::Path& script, const http::Request& request) {
  const auto* rule = policy::match_script(settings.routes, *rules.route, script, request.host, request.method);
  if (rule != nullptr) rules.others.push_back(rule);
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

Rules rules_of_checked(const Settings& settings, const http::Request& request, const http::Path& asked) {
  Rules rules{policy::match(settings.routes, asked, request.host, request.method), {}};
  if (rules.route == nullptr) return rules;
  const std::string_view path = asked.text();
  for (std::size_t begin = 1, end = path.find('/', begin); end != path.npos;
       begin = end + 1, end = path.find('/', begin)) {
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
  for (const policy::Route* rule : rules.others) {
    const policy::Decision other = policy::decide(rule, user);
    if (!is_allowed(other)) return other;
  }
  return decision;
}

// A session that is gone when it is to be renewed was logged out meanwhile, and then nobody is signed in.
net::Task<Verdict> judge(World& world, Scope& scope, Rules rules, Renews renews, Tell tell) {
  const bool asks_store = scope.auth.presented().has_value();
  auto found = co_await run_on(world.read_pool, asks_store, [&scope] { return scope.auth.find(); });
  if (!found) co_return failed(found.error());
  if (!*found) co_return failed(found->error());
  Verdict verdict{decide_for(rules, **found), std::move(**found), {}, std::nullopt};
  if (is_allowed(verdict.decision)) verdict.told = tell(verdict.who(), verdict.state());
  const bool writes = scope.auth.owes_write();
  if (!is_allowed(verdict.decision) || !verdict.told) {
    auto settled = co_await run_on(world.write_pool, writes, [&scope] { return scope.auth.settle(); });
    if (!settled) co_return failed(settled.error());
    if (!*settled) co_return failed(settled->error());
    co_return verdict;
  }
  if (renews == Renews::not_at_all) co_return verdict;
  const auto renewal = renews == Renews::by_extending ? std::optional(auth::Renewal::extend) : std::nullopt;
  auto renewed = co_await run_on(world.write_pool, writes, [&scope, renewal] { return scope.auth.renew(renewal); });
  // No thread for a write is as a store that takes none: who was found is let in, unrenewed.
  if (!renewed && verdict.user) co_return verdict;
  if (!renewed) co_return failed(renewed.error());
  if (!*renewed) co_return failed(renewed->error());
  verdict.user = std::move(**renewed);
  verdict.decision = decide_for(rules, verdict.user);
  if (writes && is_allowed(verdict.decision)) verdict.told = tell(verdict.who(), verdict.state());
  co_return verdict;
}

}  // namespace gatehouse::gateway
