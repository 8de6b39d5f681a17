// Asks the gateway's own rules about a request that nobody made, and says why they decide as they do.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>

#include "app/cli/commands.hpp"
#include "app/cli/output.hpp"
#include "app/house.hpp"
#include "gateway/endpoints.hpp"
#include "gateway/identity.hpp"
#include "gateway/judge.hpp"
#include "http/origin.hpp"
#include "http/syntax.hpp"

namespace gatehouse::app::cli {

namespace {

using Json = nlohmann::ordered_json;

/// The request, or why it would be refused as malformed.
std::expected<http::Request, std::string> request_of(const std::string& method, std::string_view url) {
  http::Request request;
  if (!http::is_token(method)) return std::unexpected("the method is no token");
  request.method = method;
  request.scheme = "https";
  if (const auto scheme_end = url.find("://"); scheme_end != url.npos) {
    const auto path_begin = std::min(url.find_first_of("/?#", scheme_end + 3), url.size());
    const auto origin = http::Origin::parse(url.substr(0, path_begin));
    if (!origin) return std::unexpected("the URL has no http or https origin");
    request.scheme = origin->scheme;
    request.host = url.substr(scheme_end + 3, path_begin - scheme_end - 3);
    url.remove_prefix(path_begin);
  }
  const http::Target target = http::split_target(url.substr(0, url.find('#')));
  auto path = http::Path::parse(target.path.empty() ? "/" : target.path);
  if (!path) return std::unexpected(std::string(http::describe(path.error())));
  request.path = std::move(*path);
  request.query = target.query;
  request.endpoint_path = request.path.text();
  return request;
}

std::string_view access_name(policy::Access access) {
  switch (access) {
    case policy::Access::deny: return "deny";
    case policy::Access::authenticated: return "authenticated";
    case policy::Access::public_: return "public";
  }
  return "deny";
}

Json to_json(const gateway::Settings& settings, const policy::Route* route) {
  if (route == nullptr) return nullptr;
  Json json{{"number", route - settings.routes.data() + 1},
            {"path", route->path.text()},
            {"access", access_name(route->access)},
            {"hosts", route->hosts},
            {"methods", route->methods},
            {"require", route->require}};
  json["downstream"] = route->downstream.empty() ? Json(nullptr) : Json(route->downstream);
  return json;
}

Json to_json(const auth::User& user) {
  return {{"id", user.id},       {"username", user.username}, {"name", user.name},
          {"email", user.email}, {"roles", user.roles},       {"disabled", user.disabled}};
}

// What a script would be told while the session is active.
Json injected(const gateway::Settings& settings, const auth::User* user, std::string& problem) {
  const auto identity = gateway::make_identity(settings.identity, user, auth::SessionState::active);
  Json json = Json::object();
  if (!identity) {
    problem = identity.error();
    return json;
  }
  if (identity->remote_user) {
    json["REMOTE_USER"] = *identity->remote_user;
    json["AUTH_TYPE"] = "Gatehouse";
    json["GATEHOUSE_USER_ID"] = identity->user_id;
    json["GATEHOUSE_SESSION_STATE"] = identity->session_state;
  }
  for (const http::Header& header : identity->headers) json[header.name] = header.value;
  return json;
}

// Those of both kinds of doors: a route that leaves it to the web server which script runs, and one of ours.
gateway::Rules all_rules_of(const gateway::Settings& settings, const http::Request& request) {
  gateway::Rules rules = gateway::rules_of_checked(settings, request, request.path);
  for (const policy::Route* rule : gateway::rules_of(settings, request).others) {
    if (std::ranges::find(rules.others, rule) == rules.others.end()) rules.others.push_back(rule);
  }
  return rules;
}

Json explanation_of(const gateway::Settings& settings, const http::Request& request, const auth::User* user) {
  const gateway::Rules rules = all_rules_of(settings, request);
  const policy::Decision decision = gateway::decide(rules, user);
  const auto* denied = std::get_if<policy::Denied>(&decision);
  Json json{{"route", to_json(settings, rules.route)}, {"script_routes", Json::array()}};
  for (const policy::Route* rule : rules.others) json["script_routes"].push_back(to_json(settings, rule));
  std::string problem;
  Json variables = denied == nullptr ? injected(settings, user, problem) : Json::object();
  const bool is_allowed = denied == nullptr && problem.empty();
  const bool may_sign_in = denied != nullptr && denied->why == policy::Refusal::no_session;
  json["decision"] = is_allowed ? "allowed" : "denied";
  json["status"] = is_allowed ? 200 : may_sign_in ? 401 : 403;
  json["reason"] = denied != nullptr ? std::string(policy::describe(denied->why)) : problem;
  json["injected"] = std::move(variables);
  return json;
}

Json explain_request(const gateway::Settings& settings, const http::Request& request, const auth::User* user) {
  if (gateway::is_for_web_servers(request.method)) {
    return {{"route", nullptr}, {"decision", "denied"}, {"status", 405}, {"reason", "for the web server to answer"}};
  }
  // A disabled user's sessions are dead.
  if (user != nullptr && user->disabled) user = nullptr;
  switch (gateway::endpoint_at(settings, request.path.text())) {
    case gateway::Endpoint::none: return explanation_of(settings, request, user);
    case gateway::Endpoint::login:
    case gateway::Endpoint::logout:
    case gateway::Endpoint::session:
    case gateway::Endpoint::check:
    case gateway::Endpoint::forward:
      return {{"route", nullptr}, {"decision", "endpoint"}, {"reason", "an endpoint of ours; no route is asked"}};
    case gateway::Endpoint::reserved: break;
  }
  return {{"route", nullptr},
          {"decision", "denied"},
          {"status", 404},
          {"reason", "below endpoints.prefix, and no endpoint that is served"}};
}

std::string text_of(const Json& route) {
  if (route.is_null()) return "none matches";
  std::string text = fmt::format("{}: {} {}", route["number"].get<int>(), route["path"].get<std::string>(),
                                 route["access"].get<std::string>());
  for (const auto& [key, values] : route["require"].items()) {
    text += fmt::format(", {} in [{}]", key, fmt::join(values.get<std::vector<std::string>>(), ", "));
  }
  if (!route["downstream"].is_null()) text += " -> " + route["downstream"].get<std::string>();
  return text;
}

void print(const Json& json) {
  const auto line = [](std::string_view name, const std::string& text) { fmt::print("{:<10} {}\n", name, text); };
  line("request", json["method"].get<std::string>() + " " + json["url"].get<std::string>());
  if (json.contains("path")) line("path", json["path"].get<std::string>());
  if (json.contains("route")) line("route", json["decision"] == "endpoint" ? "-" : text_of(json["route"]));
  if (json.contains("script_routes")) {
    for (const Json& rule : json["script_routes"]) line("and route", text_of(rule));
  }
  line("user", json["user"].is_null() ? "nobody" : json["user"]["username"].get<std::string>());
  std::string decision = json["decision"].get<std::string>();
  if (json.contains("status")) decision += fmt::format(", {}", json["status"].get<int>());
  const std::string reason = json["reason"].get<std::string>();
  line("decision", reason.empty() ? decision : decision + ": " + reason);
  if (!json.contains("injected")) return;
  for (const auto& [name, value] : json["injected"].items()) {
    line("injects", name + ": " + value.get<std::string>());
  }
}

}  // namespace

int explain(const config::Config& config, const ExplainArguments& arguments) {
  House house(config, PoolSizes());
  if (auto opened = house.open(); !opened) return complain(kConfigError, opened.error());
  std::optional<auth::User> user;
  if (!arguments.user.empty()) {
    auto found = house.store().find_user_by_username(arguments.user);
    if (!found) return complain(found.error(), "explain");
    if (!*found) return complain(kFailed, "user " + arguments.user + ": no such user");
    user = std::move(**found);
  }
  Json json{{"method", arguments.method}, {"url", arguments.url}};
  json["user"] = user ? to_json(*user) : Json(nullptr);
  const auto request = request_of(arguments.method, arguments.url);
  if (request) {
    json["path"] = request->path.text();
    json.update(explain_request(*house.gateway().settings(), *request, user ? &*user : nullptr));
  } else {
    json.update(Json{{"decision", "denied"}, {"status", 400}, {"reason", request.error()}});
  }
  if (arguments.as_json) {
    fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
  } else {
    print(json);
  }
  return kDone;
}

}  // namespace gatehouse::app::cli
