#include "gateway/check.hpp"

#include <algorithm>
#include <utility>

#include "gateway/checked.hpp"
#include "gateway/identity.hpp"
#include "gateway/login.hpp"
#include "http/negotiation.hpp"

namespace gatehouse::gateway {

namespace {

// Every header is there, empty where there is nobody: a front server that copies them must have something to put in the
// place of what a visitor sent under these names.
PageAnswer pass(const cgi::Identity& identity) {
  http::Headers headers;
  headers.add("X-Gatehouse-User", identity.remote_user.value_or(""));
  headers.add("X-Gatehouse-User-Id", identity.user_id);
  headers.add("X-Gatehouse-Session-State", identity.session_state);
  for (const http::Header& header : identity.headers) headers.add(header.name, header.value);
  return passed(std::move(headers));
}

PageAnswer answer_to(const Verdict& verdict) {
  auto refusal = refusal_of(verdict);
  return refusal ? std::move(*refusal) : pass(*verdict.told);
}

// The web server will set the header that we own, and pass this one on beside it.
bool has_alias_of_owned_header(const Scope& scope) {
  return std::ranges::any_of(scope.request.headers.fields(), [&scope](const http::Header& header) {
    return is_alias_of_owned_header(scope.settings->identity, header.name);
  });
}

void send_to_login(const Scope& scope, PageAnswer& answer) {
  const auto location = absolute_login_location(*scope.settings, scope.request);
  if (location) answer.response = redirect_reply(scope.request, *location);
}

net::Task<Verdict> judge_for_headers(World& world, Scope& scope, bool is_servable) {
  const Settings& settings = *scope.settings;
  Tell tell = [&settings](const auth::User* user, auth::SessionState state) {
    return tell_in_headers(settings, user, state);
  };
  auto verdict = co_await judge_page(world, scope, is_servable, std::move(tell));
  co_return verdict;
}

enum class ReadBy { server, visitor };

net::Task<> send_answer(World& world, Scope& scope, net::Exchange& exchange, const Verdict& verdict, PageAnswer answer,
                        ReadBy reader) {
  const http::Request& request = scope.request;
  const bool keeps_cookie = verdict.error.has_value() || !request.delivers_cookies;
  if (keeps_cookie) scope.context.leave_cookie_alone();
  note_answer(world, scope, verdict, answer);
  std::vector<std::string> cookies;
  if (const auto& cookie = scope.context.session_cookie()) {
    cookies.push_back(*cookie);
    // For the page that will carry it: no cache may hand it to somebody else.
    if (reader == ReadBy::server) answer.response.head.headers.add("X-Gatehouse-Cache-Control", "no-store");
  }
  // The method is the page's and not the question's: the answer to a GET has a body, whatever it is about.
  co_await send(exchange, std::move(answer.response), request.id, false, std::move(cookies));
}

}  // namespace

net::Task<> serve_check(World& world, Scope& scope, net::Exchange& exchange) {
  const Verdict verdict = co_await judge_for_headers(world, scope, !is_for_web_servers(scope.request.method));
  PageAnswer answer = answer_to(verdict);
  co_await send_answer(world, scope, exchange, verdict, std::move(answer), ReadBy::server);
}

net::Task<> serve_forward(World& world, Scope& scope, net::Exchange& exchange) {
  const bool is_aliased = has_alias_of_owned_header(scope);
  const bool is_servable = !is_for_web_servers(scope.request.method) && !is_aliased;
  const Verdict verdict = co_await judge_for_headers(world, scope, is_servable);
  PageAnswer answer = answer_to(verdict);
  if (is_aliased) answer.reason = "a header is another spelling of one of ours";
  const int status = answer.response.head.status;
  if (status != 200) answer.response = error_reply(status, *scope.settings->pages, scope.request);
  if (status == 401 && http::is_navigation(scope.request)) send_to_login(scope, answer);
  const ReadBy reader = status == 200 ? ReadBy::server : ReadBy::visitor;
  co_await send_answer(world, scope, exchange, verdict, std::move(answer), reader);
}

}  // namespace gatehouse::gateway
