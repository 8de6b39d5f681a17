#include "gateway/authorizer.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "gateway/checked.hpp"
#include "gateway/identity.hpp"
#include "gateway/login.hpp"
#include "http/syntax.hpp"

namespace gatehouse::gateway {

namespace {

constexpr std::chrono::seconds kSendTime{30};

std::string variable(std::string_view name) {
  return "Variable-" + std::string(name);
}

bool says_the_same(const cgi::Identity& identity, const http::Header& header) {
  const std::string name = canonical_header_name(header.name);
  return std::ranges::any_of(identity.headers, [&](const http::Header& ours) {
    return canonical_header_name(ours.name) == name && http::trim(ours.value) == http::trim(header.value);
  });
}

// A web server that looks for an index page asks again with the headers that it has set by our own answer.
bool contradicts(const Scope& scope, const cgi::Identity& identity) {
  return std::ranges::any_of(scope.request.headers.fields(), [&](const http::Header& header) {
    return is_owned_header(scope.settings->identity, header.name) && !says_the_same(identity, header);
  });
}

Told tell_in_variables(const Scope& scope, const auth::User* user, auth::SessionState state) {
  Told told = tell_in_headers(*scope.settings, user, state);
  if (told && contradicts(scope, *told)) return std::unexpected("the visitor sent a header that is ours");
  return told;
}

http::Headers variables_of(const cgi::Identity& identity) {
  http::Headers variables;
  if (identity.remote_user) {
    variables.add(variable("REMOTE_USER"), *identity.remote_user);
    variables.add(variable("AUTH_TYPE"), "Gatehouse");
    variables.add(variable("GATEHOUSE_USER_ID"), identity.user_id);
    variables.add(variable("GATEHOUSE_SESSION_STATE"), identity.session_state);
  }
  for (const http::Header& header : identity.headers)
    variables.add(variable(cgi::header_variable(header.name)), header.value);
  return variables;
}

// Not by send(): what it adds is about an answer of ours, and would be handed on as if it were about the page.
net::Task<> let_in(Scope& scope, net::Exchange& exchange, http::ResponseHead head) {
  const auto& cookie = scope.context.session_cookie();
  if (cookie && scope.request.delivers_cookies && !scope.request.is_lookup) {
    head.headers.add("Set-Cookie", *cookie);
    head.headers.add("Cache-Control", "no-store");
  }
  std::ignore = co_await exchange.write_head(head, net::after(kSendTime));
}

// mod_fcgid makes 401 of it, and puts its headers beside those of the page that it shows in its place.
net::Task<> refuse_bare(Scope& scope, net::Exchange& exchange, const Verdict& verdict) {
  http::ResponseHead head{401, {}, {}};
  const auto& cookie = scope.context.session_cookie();
  // The login in its place removes a dead session's cookie.
  const bool is_ours = cookie && !verdict.error && !scope.request.is_lookup && !has_login(*scope.settings);
  if (is_ours) head.headers.add("Set-Cookie", *cookie);
  std::ignore = co_await exchange.write_head(head, net::after(kSendTime));
}

net::Task<> refuse_page(Scope& scope, net::Exchange& exchange, const Verdict& verdict, int status) {
  const Settings& settings = *scope.settings;
  // Apache's lookups take a redirect for a yes.
  const bool sends_to_login = status == 401 && !scope.request.is_lookup;
  http::Response response =
      sends_to_login ? sign_in_reply(settings, scope.request) : error_reply(status, *settings.pages, scope.request);
  if (verdict.error || scope.request.is_lookup) scope.context.leave_cookie_alone();
  co_await reply(scope, exchange, std::move(response));
}

}  // namespace

net::Task<> serve_authorizer(World& world, Scope& scope, net::Exchange& exchange, Asker asker) {
  Tell tell = [&scope](const auth::User* user, auth::SessionState state) {
    return tell_in_variables(scope, user, state);
  };
  const bool is_servable = asker != Asker::basic_hook && !is_for_web_servers(scope.request.method);
  const Verdict verdict = co_await judge_page(world, scope, is_servable, std::move(tell));
  auto refusal = refusal_of(verdict);
  if (asker == Asker::basic_hook)
    refusal = refused(401, "asked by a hook for Basic authentication, use FcgidAccessChecker");
  if (!refusal) {
    PageAnswer answer = passed(variables_of(*verdict.told));
    note_answer(world, scope, verdict, answer);
    co_await let_in(scope, exchange, std::move(answer.response.head));
    co_return;
  }
  note_answer(world, scope, verdict, *refusal);
  if (asker == Asker::server) {
    co_await refuse_page(scope, exchange, verdict, refusal->response.head.status);
  } else {
    co_await refuse_bare(scope, exchange, verdict);
  }
}

net::Task<bool> serve_refusal(World& world, Scope& scope, net::Exchange& exchange) {
  http::Request page = scope.request;
  page.method = scope.request.refused_method.value_or(page.method);
  const auto asked = std::make_unique<Scope>(scope.settings, std::move(page), false);
  Tell tell = [&asked](const auth::User* user, auth::SessionState state) {
    return tell_in_headers(*asked->settings, user, state);
  };
  const Verdict verdict = co_await judge_page(world, *asked, true, std::move(tell));
  const auto refusal = refusal_of(verdict);
  if (!refusal || refusal->response.head.status == 401) co_return false;
  if (verdict.error) asked->context.leave_cookie_alone();
  co_await reply_error(*asked, exchange, refusal->response.head.status);
  co_return true;
}

}  // namespace gatehouse::gateway
