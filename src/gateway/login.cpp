#include "gateway/login.hpp"

#include <openssl/crypto.h>

#include <chrono>

#include "auth/cookie.hpp"
#include "gateway/body.hpp"
#include "http/form.hpp"
#include "http/negotiation.hpp"
#include "http/return_path.hpp"

namespace gatehouse::gateway {

namespace {

constexpr std::size_t kMaxReturnBytes = 2000;  // of the Location; the whole header block stays under 4,000 bytes
constexpr std::size_t kMaxUsernameBytes = 255;

struct PreSession {
  std::string value;
  bool is_new = false;
};

std::string_view login_cookie_name(const Scope& scope) {
  return scope.settings->auth->options().cookie.secure ? kSecureLoginCookie : kLoginCookie;
}

auth::CookieProfile login_cookie(const Scope& scope) {
  return {std::string(login_cookie_name(scope)), "/", "", auth::SameSite::lax,
          scope.settings->auth->options().cookie.secure};
}

// The value of the visitor's login cookie; none if it is missing, doubled or not of our making.
std::optional<std::string> presented_login_cookie(const Scope& scope) {
  const auto values = auth::cookie_values(scope.request.header("cookie"), login_cookie_name(scope));
  if (values.size() != 1) return std::nullopt;
  const auto parsed = auth::SessionToken::parse(values.front(), auth::TokenAlphabet::base36);
  if (!parsed) return std::nullopt;
  return parsed->reveal();
}

auth::Result<PreSession> pre_session(World& world, const Scope& scope) {
  if (auto presented = presented_login_cookie(scope)) return PreSession{std::move(*presented), false};
  auto made = auth::random_text(world.random, auth::kBase36, auth::kTokenLength);
  if (!made) return std::unexpected(made.error());
  return PreSession{std::move(*made), true};
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string path_and_query(const http::Request& request) {
  std::string target = request.path.escaped();
  if (!request.query.empty()) target += "?" + request.query;
  return target;
}

// The rd of a GET: its query's; reached through error_page, the page that was asked for.
std::string requested_return(const Scope& scope) {
  if (scope.request.path.text() != scope.settings->endpoint_prefix + "/login") {
    return http::safe_return_path(path_and_query(scope.request), {});
  }
  const auto query = http::Form::parse(scope.request.query);
  if (!query || query->is_doubled("rd")) return "/";
  return std::string(query->get("rd").value_or("/"));
}

struct FormView {
  int status = 200;
  std::string rd;
  std::string username;
  std::string message;
};

net::Task<> show_form(World& world, Scope& scope, net::Exchange& exchange, FormView view) {
  auto session = pre_session(world, scope);
  if (!session) {
    co_await reply_store_failure(world, scope, exchange, session.error());
    co_return;
  }
  const auto& hosts = scope.settings->login.allowed_return_hosts;
  const LoginPage page{scope.endpoint("login"),    http::safe_return_path(view.rd, hosts),
                       csrf_value(session->value), std::move(view.username),
                       std::move(view.message),    scope.request.id};
  std::vector<std::string> cookies;
  if (session->is_new) cookies.push_back(auth::set_cookie(login_cookie(scope), session->value, std::nullopt, {}));
  http::Response response = html_reply(view.status, scope.settings->pages->login(page), scope.request.id, hosts);
  co_await reply(scope, exchange, std::move(response), std::move(cookies));
}

// A page that would make our header block too long is not come back to.
std::string with_return(const std::string& login, std::string_view page) {
  const std::string rd = http::escape_component(page);
  if (login.size() + rd.size() > kMaxReturnBytes) return login;
  return login + (login.contains('?') ? "&" : "?") + "rd=" + rd;
}

// The external page is elsewhere, so it gets the whole URL. `target` is a path of ours, or already a URL.
std::string external_location(const Settings& settings, const http::Request& request, const std::string& target) {
  const std::string& url = settings.login.url;
  const auto origin = http::Origin::of_request(request.scheme, request.host, request.server_port);
  const bool is_path = target.starts_with('/');
  const std::string whole = is_path && origin ? origin->text() + request.mount + target : target;
  return with_return(url, whole);
}

// A program that asked for a page of somebody else's must not take the form for it.
bool is_program_elsewhere(const Scope& scope) {
  return scope.request.path.text() != scope.settings->endpoint_prefix + "/login" && !http::is_navigation(scope.request);
}

net::Task<> get_login(World& world, Scope& scope, net::Exchange& exchange) {
  // A dead cookie is cleared here, not carried into the next session.
  if (auto asked = co_await identify(world, scope); !asked) {
    co_await reply_store_failure(world, scope, exchange, asked.error());
    co_return;
  }
  if (is_program_elsewhere(scope)) {
    log_request(world.log, ops::LogLevel::info, "denied", scope.request, 401, "no valid session");
    co_await reply(scope, exchange, error_reply(401, {*scope.settings->pages, scope.request.id, false}));
    co_return;
  }
  if (!scope.settings->login.url.empty()) {
    const std::string back =
        http::safe_return_path(requested_return(scope), scope.settings->login.allowed_return_hosts);
    http::Response response = redirect_reply(scope.request, external_location(*scope.settings, scope.request, back));
    co_await reply(scope, exchange, std::move(response));
    co_return;
  }
  FormView view;
  view.rd = requested_return(scope);
  co_await show_form(world, scope, exchange, std::move(view));
}

struct Credentials {
  std::string username;
  std::string password;
  std::string rd;
};

struct SignedIn {
  auth::User user;
  auth::Session session;
};

// A password changed, or a user disabled, between the look and the session ended the sessions that were there then.
auth::Result<void> confirm(auth::Auth& auth, const auth::Key& key, const auth::SessionToken& token) {
  const auto confirmed = auth.confirm_key(key);
  if (!confirmed) return std::unexpected(confirmed.error());
  if (*confirmed) return {};
  if (auto ended = auth.invalidate_session(token); !ended) return std::unexpected(std::move(ended.error()));
  return auth::fail(auth::ErrorCode::invalid_password, "it was changed meanwhile");
}

// Everything of a login that blocks, in one go: the password, then the new session in the place of what was presented.
auth::Result<SignedIn> sign_in(Scope& scope, const Credentials& credentials) {
  auth::Auth& auth = *scope.settings->auth;
  auto used = auth.use_key(auth::kUsernameProvider, credentials.username, credentials.password);
  if (!used) return std::unexpected(used.error());
  const std::string& user_id = used->user.id;
  const auth::RequestView& view = scope.context.request();
  const auth::NewSession made{view.address, view.device};
  const auto& presented = scope.auth.presented();
  auto session = presented ? auth.replace_session(*presented, user_id, made) : auth.create_session(user_id, made);
  if (!session) return std::unexpected(session.error());
  if (auto confirmed = confirm(auth, used->key, session->token); !confirmed) {
    return std::unexpected(std::move(confirmed.error()));
  }
  scope.auth.set_session(&*session);
  return SignedIn{std::move(used->user), std::move(*session)};
}

bool is_wrong_credentials(const auth::Error& error) {
  return error.code == auth::ErrorCode::invalid_key_id || error.code == auth::ErrorCode::invalid_password ||
         error.code == auth::ErrorCode::expired_key || error.code == auth::ErrorCode::invalid_user_id;
}

net::Task<> welcome(World& world, Scope& scope, net::Exchange& exchange, const Credentials& credentials,
                    const SignedIn& signed_in) {
  world.throttle.note_success(scope.request.remote_addr, credentials.username);
  world.log.write(ops::LogLevel::info, "signed_in",
                  {{"request", scope.request.id},
                   {"user", signed_in.user.id},
                   {"session", auth::session_handle(signed_in.session.row.id)},
                   {"address", scope.request.remote_addr}});
  std::string target = http::safe_return_path(credentials.rd, scope.settings->login.allowed_return_hosts);
  if (target.starts_with('/')) target = scope.as_reached(std::move(target));
  http::Response response = redirect_reply(scope.request, target);
  std::vector<std::string> cookies{auth::remove_cookie(login_cookie(scope))};
  co_await reply(scope, exchange, std::move(response), std::move(cookies));
}

net::Task<> check_credentials(World& world, Scope& scope, net::Exchange& exchange, Credentials credentials) {
  const auto now = std::chrono::steady_clock::now();
  const std::string& address = scope.request.remote_addr;
  FormView again{401, credentials.rd, credentials.username, "The name or the password is wrong."};
  if (scope.settings->login.throttle) {
    if (const auto wait = world.throttle.must_wait(address, credentials.username, now)) {
      log_request(world.log, ops::LogLevel::info, "login_throttled", scope.request, 429, "too many failures");
      http::Response response = error_reply(429, *scope.settings->pages, scope.request);
      response.head.headers.add("Retry-After", std::to_string(wait->count()));
      co_await reply(scope, exchange, std::move(response));
      co_return;
    }
  }
  auto done = co_await world.hash_pool.run([&scope, &credentials] { return sign_in(scope, credentials); });
  if (!done) {
    const auth::Error busy{auth::ErrorCode::capacity, "the queue of logins is full"};
    co_await reply_store_failure(world, scope, exchange, busy);
    co_return;
  }
  if (*done) {
    const SignedIn signed_in = std::move(**done);
    co_await welcome(world, scope, exchange, credentials, signed_in);
    co_return;
  }
  if (!is_wrong_credentials(done->error())) {
    co_await reply_store_failure(world, scope, exchange, done->error());
    co_return;
  }
  world.throttle.note_failure(address, credentials.username, now);
  log_request(world.log, ops::LogLevel::info, "login_failed", scope.request, 401, "wrong name or password");
  co_await show_form(world, scope, exchange, std::move(again));
}

bool is_csrf_valid(const Scope& scope, const http::Form& form) {
  const auto cookie = presented_login_cookie(scope);
  const auto field = form.get("csrf");
  return cookie && field && equal_in_constant_time(csrf_value(*cookie), *field);
}

// The first thing that goes wrong on a new site: over plain http a browser throws Secure cookies away, ours among them.
bool is_secure_cookie_lost(const Scope& scope) {
  return scope.settings->auth->options().cookie.secure && scope.request.scheme == "http" &&
         !presented_login_cookie(scope);
}

bool has_doubled_field(const http::Form& form) {
  return form.is_doubled("username") || form.is_doubled("password") || form.is_doubled("rd") || form.is_doubled("csrf");
}

net::Task<> post_login(World& world, Scope& scope, net::Exchange& exchange) {
  if (scope.auth.origin() != auth::OriginVerdict::own) {
    log_request(world.log, ops::LogLevel::info, "denied", scope.request, 403, "login from a foreign or unknown origin");
    co_await reply_error(scope, exchange, 403);
    co_return;
  }
  auto form = co_await read_form(scope.request, exchange);
  if (!form && form.error() == 0) co_return;
  const int problem = !form ? form.error() : has_doubled_field(*form) ? 400 : 0;
  if (problem != 0) {
    log_request(world.log, ops::LogLevel::info, "denied", scope.request, problem, "not a login form");
    co_await reply_error(scope, exchange, problem);
    co_return;
  }
  Credentials credentials{std::string(form->get("username").value_or("")),
                          std::string(form->get("password").value_or("")), std::string(form->get("rd").value_or("/"))};
  if (credentials.username.size() > kMaxUsernameBytes || credentials.password.size() > auth::kMaxPasswordBytes) {
    log_request(world.log, ops::LogLevel::info, "denied", scope.request, 400, "name or password too long");
    co_await reply_error(scope, exchange, 400);
    co_return;
  }
  if (!is_csrf_valid(scope, *form)) {
    const bool needs_https = is_secure_cookie_lost(scope);
    log_request(world.log, needs_https ? ops::LogLevel::warn : ops::LogLevel::info, "denied", scope.request, 403,
                needs_https ? "session.cookie.secure is on and the visitor came over http: browsers keep no such cookie"
                            : "login form without its csrf value");
    FormView fresh{403, credentials.rd, credentials.username,
                   needs_https ? "Signing in works over https only. Please use the https address of this site."
                               : "The form had expired. Please try again."};
    co_await show_form(world, scope, exchange, std::move(fresh));
    co_return;
  }
  co_await check_credentials(world, scope, exchange, std::move(credentials));
}

}  // namespace

std::string csrf_value(std::string_view login_cookie) {
  return auth::sha256_hex("csrf:" + std::string(login_cookie));
}

std::string login_location(const Settings& settings, const http::Request& request) {
  if (!settings.login.url.empty()) return external_location(settings, request, path_and_query(request));
  return with_return(request.mount + settings.endpoint_prefix + "/login", path_and_query(request));
}

std::optional<std::string> absolute_login_location(const Settings& settings, const http::Request& request) {
  if (!settings.login.url.empty()) return login_location(settings, request);
  const auto page = http::Origin::of_request(request.scheme, request.host, request.server_port);
  if (!page || !settings.login.enabled) return std::nullopt;
  const http::Origin& login = settings.endpoint_origin.value_or(*page);
  const std::string target = path_and_query(request);
  return with_return(login.text() + settings.endpoint_prefix + "/login",
                     login == *page ? target : page->text() + target);
}

bool has_login(const Settings& settings) {
  return settings.login.enabled || !settings.login.url.empty();
}

http::Response sign_in_reply(const Settings& settings, const http::Request& request) {
  const bool is_navigation = http::is_navigation(request);
  if (has_login(settings) && is_navigation) return redirect_reply(request, login_location(settings, request));
  const bool wants_html = is_navigation && http::prefers_html(request.header("accept"));
  return error_reply(401, {*settings.pages, request.id, wants_html});
}

net::Task<> serve_login(World& world, Scope& scope, net::Exchange& exchange) {
  const std::string& method = scope.request.method;
  if (method == "GET" || method == "HEAD") {
    co_await get_login(world, scope, exchange);
    co_return;
  }
  if (method == "POST" && scope.settings->login.url.empty()) {
    co_await post_login(world, scope, exchange);
    co_return;
  }
  http::Response response = error_reply(405, *scope.settings->pages, scope.request);
  response.head.headers.add("Allow", scope.settings->login.url.empty() ? "GET, HEAD, POST" : "GET, HEAD");
  co_await reply(scope, exchange, std::move(response));
}

}  // namespace gatehouse::gateway
