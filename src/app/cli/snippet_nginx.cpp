// nginx's configuration for the check door, made from ours. Each line that closes a trap says which.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "app/cli/snippet.hpp"
#include "http/headers.hpp"

namespace gatehouse::app::cli {

namespace {

// "Remote-User" → "remote_user": how nginx spells a header within a variable.
std::string nginx_spelling(std::string_view header) {
  std::string name = http::to_lower(header);
  std::ranges::replace(name, '-', '_');
  return name;
}

std::string as_variable(std::string_view header) {
  std::string name = "HTTP_" + nginx_spelling(header);
  std::ranges::transform(name, name.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return name;
}

// A regular expression that matches just this prefix: of the bytes that one may hold, only the dot means something
// else.
std::string as_pattern(std::string_view prefix) {
  std::string pattern;
  for (const char c : prefix) pattern += c == '.' ? "\\." : std::string(1, c);
  return pattern;
}

// As nginx writes it: "unix:PATH" as it is; "tcp:HOST:PORT" without its first part.
std::string nginx_address(const std::string& listen) {
  return listen.starts_with("tcp:") ? listen.substr(4) : listen;
}

std::expected<std::string, std::string> fastcgi_address(const config::Config& config) {
  if (config.listen.empty()) return std::unexpected("listen: there is no FastCGI socket that nginx could reach");
  return nginx_address(config.listen.front());
}

std::expected<std::string, std::string> http_address(const config::Config& config) {
  const auto socket = http_socket_to_ask(config);
  if (!socket) return socket;
  return nginx_address(*socket);
}

std::string set_from_answer(const config::Config& config) {
  std::string lines;
  for (const auto& [header, attribute] : config.identity.headers) {
    const std::string name = nginx_spelling(header);
    lines += fmt::format("auth_request_set $gatehouse_h_{0} $upstream_http_{0};\n", name);
  }
  return lines;
}

constexpr std::string_view kServerPart =
    R"(# Made by `gatehouse snippet nginx{options}` from {file}; make it again when that file's `{listen}`,
# `identity`, `login` or `endpoints` change. Include it as the first line of the server block:
#     server {{ include gatehouse-server.conf; ... }}
{needs}# From then on every location of that server is asked about, and the routes decide. `auth_request off;` in a location
# opens it to everybody. Traps that nginx leaves open:
#   - `return` and `rewrite ... redirect` in a location answer before anybody is asked: such a location is public.
#   - `satisfy any` beside `allow` lets in whom Gatehouse refuses.
#   - a location with an `error_page`, `add_header` or `auth_request_set` line of its own inherits none of these here:
#     then repeat them there.
#   - an `error_page 500` that serves content would serve it when Gatehouse is down.
#   - `rewrite` in a location, or in the server block below the include, serves another path than the visitor's, which is
#     the one that was decided. Above the include its result is decided; but one that matches {prefix}/check there makes
#     the question itself one of the site's pages, whose 200 lets everybody in.
#   - of the files that `try_files` looks for, only the last is decided by its own path.
#   - subrequests of other modules (`include virtual` of SSI, `add_before_body`, `mirror`) are never asked about.
#   - a location with parameters or headers of its own passes on what the visitor calls himself, unless it includes what
#     `--part application` (beside fastcgi_pass) or `--part proxy` (beside proxy_pass) prints.

# The question itself is none of the site's pages.
if ($uri = "{prefix}/check") {{
    break;
}}
# The path that nginx serves is the one that is decided, also after an internal redirect (index, try_files).
set $gatehouse_path $uri;
# nginx chooses the server by the request line before it looks at Host, and so do we; the port is only in Host.
set $gatehouse_port "";
if ($http_host ~ "(:[0-9]+)$") {{
    set $gatehouse_port $1;
}}
# Neither are our own pages, which everybody may reach.
if ($uri ~ ^{prefix_pattern}/) {{
    break;
}}

auth_request {prefix}/check;
auth_request_set $gatehouse_cookie $upstream_http_set_cookie;
auth_request_set $gatehouse_cache_control $upstream_http_x_gatehouse_cache_control;
auth_request_set $gatehouse_user $upstream_http_x_gatehouse_user;
auth_request_set $gatehouse_user_id $upstream_http_x_gatehouse_user_id;
auth_request_set $gatehouse_session_state $upstream_http_x_gatehouse_session_state;
{sets}
# A renewed session's cookie, on answers of every status, and then no cache's. An empty value adds no header.
add_header Set-Cookie $gatehouse_cookie always;
add_header Cache-Control $gatehouse_cache_control always;
{on_401}# 500 is what nginx makes of a check that could not be made.
error_page 500 502 504 = @gatehouse_down;

# For locations with `proxy_pass` that set no header of their own.
{proxied}
{check}
# Login, logout and what else Gatehouse shows by itself.
location ^~ {prefix}/ {{
    auth_request off;
    # Of its own, so that the check's cookie is not added to what Gatehouse sends itself.
    add_header Vary Cookie always;
    error_page 500 502 504 = @gatehouse_down;
{endpoints}}}
{login}
location @gatehouse_down {{
    auth_request off;
    default_type text/plain;
    add_header Retry-After 5 always;
    add_header Cache-Control no-store always;
    return 503 "The sign-in service cannot be reached. Please try again in a moment.\n";
}}
)";

constexpr std::string_view kLoginLocation =
    R"(
# Who has no session sees the login form in the place of the page, and comes back to it; a program gets 401.
location @gatehouse_login {{
    auth_request off;
    add_header Vary Cookie always;
    error_page 500 502 504 = @gatehouse_down;
{login}}}
)";

/// What is different from one way of asking to the other.
struct Transport {
  std::string options;    ///< of the command, so that the text says how it was made
  std::string listen;     ///< the key of the configuration that it depends on
  std::string needs;      ///< comment lines: what must stand beside it
  std::string check;      ///< the location of the subrequest, and others that no visitor may reach
  std::string endpoints;  ///< how the location of our own pages asks
  std::string login;      ///< how the login is asked for in the place of a page
};

// What the server says of its pages reaches into the subrequest unless it is said again there.
constexpr std::string_view kUndisturbed =
    R"(    # None of the server's: what an `error_page` shows in the place of a refusal would let the visitor in. No status is
    # 599.
    error_page 599 = @gatehouse_down;
    # An upload is the page's business, whose location may allow more than this one.
    client_max_body_size 0;
)";

// ── over FastCGI ─────────────────────────────────────────────────────────────────────────────────────────────────────

// What every location of ours is told of the connection, and what no visitor may say.
constexpr std::string_view kFastCgiConnection =
    R"(    # No answer is another visitor's.
    fastcgi_cache off;
    fastcgi_param  GATEWAY_INTERFACE  CGI/1.1;
    fastcgi_param  SERVER_PROTOCOL    $server_protocol;
    fastcgi_param  SERVER_NAME        $server_name;
    fastcgi_param  SERVER_PORT        $server_port;
    fastcgi_param  REMOTE_ADDR        $remote_addr;
    fastcgi_param  REQUEST_SCHEME     $scheme;
    fastcgi_param  HTTPS              $https if_not_empty;
    fastcgi_param  HTTP_HOST          $host$gatehouse_port;
    fastcgi_param  HTTP_PROXY         "";
    fastcgi_param  HTTP_AUTHORIZATION "";
)";

constexpr std::string_view kFastCgiCheck =
    R"(location = {prefix}/check {{
    internal;
    auth_request off;
{undisturbed}    fastcgi_pass "{address}";
    fastcgi_connect_timeout 1s;
    fastcgi_send_timeout 3s;
    fastcgi_read_timeout 3s;
    # The subrequest has no body, whatever the visitor's length says.
    fastcgi_pass_request_body off;
    fastcgi_param  SCRIPT_NAME        {prefix}/check;
    fastcgi_param  REQUEST_METHOD     GET;
    fastcgi_param  REQUEST_URI        $request_uri;
    fastcgi_param  QUERY_STRING       $query_string;
    fastcgi_param  CONTENT_LENGTH     "";
    fastcgi_param  GATEHOUSE_PATH     $gatehouse_path;
    fastcgi_param  GATEHOUSE_METHOD   $request_method;
    fastcgi_param  GATEHOUSE_COOKIES  1;
{connection}}}
)";

constexpr std::string_view kFastCgiEndpoints =
    R"(    fastcgi_pass "{address}";
    fastcgi_param  REQUEST_METHOD     $request_method;
    fastcgi_param  REQUEST_URI        $request_uri;
    fastcgi_param  QUERY_STRING       $query_string;
    fastcgi_param  CONTENT_TYPE       $content_type;
    fastcgi_param  CONTENT_LENGTH     $content_length;
{connection})";

constexpr std::string_view kFastCgiLogin =
    R"(    fastcgi_pass "{address}";
    fastcgi_pass_request_body off;
    fastcgi_param  SCRIPT_NAME        {prefix}/login;
    fastcgi_param  REQUEST_METHOD     GET;
    fastcgi_param  REQUEST_URI        $request_uri;
    fastcgi_param  QUERY_STRING       $query_string;
    fastcgi_param  CONTENT_LENGTH     "";
{connection})";

Transport over_fastcgi(const std::string& prefix, const std::string& address) {
  const auto fill = [&](std::string_view text) {
    return fmt::format(fmt::runtime(text), fmt::arg("prefix", prefix), fmt::arg("address", address),
                       fmt::arg("undisturbed", kUndisturbed), fmt::arg("connection", kFastCgiConnection));
  };
  return {.options = {},
          .listen = "listen",
          .needs = {},
          .check = fill(kFastCgiCheck),
          .endpoints = fill(kFastCgiEndpoints),
          .login = fill(kFastCgiLogin)};
}

// ── over HTTP ────────────────────────────────────────────────────────────────────────────────────────────────────────

constexpr std::string_view kHttpPart =
    R"(# Made by `gatehouse snippet nginx --part http` from {file}; make it again when that file's `listen_http`
# changes. Include it once in the http block, for every server that includes a part made with `--over http`:
#     http {{ ... include gatehouse-http.conf; ... }}

upstream gatehouse_http {{
    server "{address}";
    # Checks use a connection again and again.
    keepalive 16;
}}

# A visitor who speaks HTTP/1.0 may name no host, and a request to Gatehouse without one is none. No route has this name.
map $host $gatehouse_host {{
    ""      no-host.invalid;
    default $host;
}}

# A visitor who comes through a unix socket has no address.
map $remote_addr $gatehouse_client {{
    "unix:" "";
    default $remote_addr;
}}
)";

// What every location of ours is told of the connection, and what no visitor may say.
constexpr std::string_view kHttpConnection =
    R"(    # No answer is another visitor's.
    proxy_cache off;
    proxy_pass http://gatehouse_http;
    proxy_redirect off;
    proxy_http_version 1.1;
    proxy_set_header  Connection          "";
    proxy_set_header  Host                $gatehouse_host$gatehouse_port;
    proxy_set_header  X-Forwarded-For     $gatehouse_client;
    proxy_set_header  X-Forwarded-Host    "";
    proxy_set_header  X-Forwarded-Uri     "";
    proxy_set_header  X-Forwarded-Method  "";
    proxy_set_header  Proxy               "";
    proxy_set_header  Authorization       "";
)";

// What the visitor says of a body is said of none here.
constexpr std::string_view kHttpBodyless =
    R"(    proxy_pass_request_body off;
    proxy_set_body "";
    proxy_set_header  Content-Length      "";
    proxy_set_header  Content-Type        "";
    proxy_set_header  Transfer-Encoding   "";
)";

// Where a page of ours is shown, and no other is asked about. Its cookies go straight to the visitor.
constexpr std::string_view kHttpOwnPage =
    R"(    proxy_set_header  X-Original-Method   "";
    proxy_set_header  X-Original-Proto    "";
    proxy_set_header  X-Forwarded-Proto   $scheme;
    proxy_set_header  X-Gatehouse-Cookies "";
)";

constexpr std::string_view kHttpCheck =
    R"(location ^~ {prefix}/check {{
    internal;
    auth_request off;
    # The page's path goes into the target, where nginx escapes it. A header made of $uri would not be escaped: a %0d%0a
    # in the path would begin a header of the visitor's.
    rewrite ^ {prefix}/check$gatehouse_path? break;
{undisturbed}    proxy_connect_timeout 1s;
    proxy_send_timeout 3s;
    proxy_read_timeout 3s;
    # The subrequest has no body, whatever the visitor's length says.
{bodyless}    proxy_set_header  X-Original-URI      "";
    proxy_set_header  X-Original-Method   $request_method;
    proxy_set_header  X-Original-Proto    $scheme;
    proxy_set_header  X-Forwarded-Proto   "";
    proxy_set_header  X-Gatehouse-Cookies 1;
{connection}}}

# Other web servers ask there.
location ^~ {prefix}/forward {{
    internal;
    auth_request off;
}}
)";

constexpr std::string_view kHttpEndpoints =
    R"(    proxy_set_header  X-Original-URI      "";
{own_page}{connection})";

constexpr std::string_view kHttpLogin =
    R"(    rewrite ^ {prefix}/login? break;
    proxy_method GET;
{bodyless}    proxy_set_header  X-Original-URI      $request_uri;
{own_page}{connection})";

Transport over_http(const std::string& prefix) {
  const auto fill = [&](std::string_view text) {
    return fmt::format(fmt::runtime(text), fmt::arg("prefix", prefix), fmt::arg("undisturbed", kUndisturbed),
                       fmt::arg("connection", kHttpConnection), fmt::arg("bodyless", kHttpBodyless),
                       fmt::arg("own_page", kHttpOwnPage));
  };
  return {.options = " --over http",
          .listen = "listen_http",
          .needs = "# It needs what `gatehouse snippet nginx --part http` prints, in the http block.\n",
          .check = fill(kHttpCheck),
          .endpoints = fill(kHttpEndpoints),
          .login = fill(kHttpLogin)};
}

// ── the application ──────────────────────────────────────────────────────────────────────────────────────────────────

constexpr std::string_view kApplicationPart =
    R"(# Made by `gatehouse snippet nginx --part application` from {file}. In each location that runs an
# application over FastCGI, in place of fastcgi_params, fastcgi.conf and snippets/fastcgi-php.conf (which send a
# REMOTE_USER that nobody verified):
#     location ~ \.php$ {{ include gatehouse-application.conf; fastcgi_pass unix:/run/php/php-fpm.sock; }}
# A parameter that is set here takes the place of what the visitor sent under that name, in every spelling.

fastcgi_param  GATEWAY_INTERFACE  CGI/1.1;
fastcgi_param  SERVER_SOFTWARE    nginx/$nginx_version;
fastcgi_param  SERVER_PROTOCOL    $server_protocol;
fastcgi_param  SERVER_NAME        $server_name;
fastcgi_param  SERVER_ADDR        $server_addr;
fastcgi_param  SERVER_PORT        $server_port;
fastcgi_param  REMOTE_ADDR        $remote_addr;
fastcgi_param  REMOTE_PORT        $remote_port;
fastcgi_param  REQUEST_SCHEME     $scheme;
fastcgi_param  HTTPS              $https if_not_empty;
fastcgi_param  REQUEST_METHOD     $request_method;
fastcgi_param  REQUEST_URI        $request_uri;
fastcgi_param  QUERY_STRING       $query_string;
fastcgi_param  CONTENT_TYPE       $content_type;
fastcgi_param  CONTENT_LENGTH     $content_length;
fastcgi_param  DOCUMENT_ROOT      $document_root;
fastcgi_param  DOCUMENT_URI       $document_uri;
fastcgi_param  SCRIPT_NAME        $fastcgi_script_name;
fastcgi_param  SCRIPT_FILENAME    $document_root$fastcgi_script_name;
fastcgi_param  REDIRECT_STATUS    200;
fastcgi_param  HTTP_HOST          $host$gatehouse_port;
# Several lines as one: of two parameters the application would read the last only, and Gatehouse reads both.
fastcgi_param  HTTP_COOKIE        $http_cookie if_not_empty;

# What an application must not believe of a visitor.
fastcgi_param  HTTP_PROXY         "";
fastcgi_param  HTTP_AUTHORIZATION "";
{owned}
# Who it is; unset, not empty, where it is nobody.
fastcgi_param  REMOTE_USER             $gatehouse_user if_not_empty;
fastcgi_param  GATEHOUSE_USER_ID       $gatehouse_user_id if_not_empty;
fastcgi_param  GATEHOUSE_SESSION_STATE $gatehouse_session_state if_not_empty;
{identity})";

constexpr std::string_view kProxyPart =
    R"(# Made by `gatehouse snippet nginx --part proxy` from {file}. In each location that passes its requests on by HTTP:
#     location /app/ {{ include gatehouse-proxy.conf; proxy_pass http://127.0.0.1:3000; }}
# A header that is set here takes the place of what the visitor sent under that name.

proxy_set_header  Host              $host$gatehouse_port;
proxy_set_header  X-Forwarded-For   $remote_addr;
proxy_set_header  X-Forwarded-Host  $host$gatehouse_port;
proxy_set_header  X-Forwarded-Proto $scheme;

# Who it is; a header whose value is empty is not sent. Neither is what an application must not believe of a visitor, nor
# a name with a '_', which many frameworks read as the one with a '-' (nginx drops them itself, unless it is told not to).
{proxied})";

std::string proxied_header(std::string_view header, std::string_view value) {
  std::string lines = fmt::format("proxy_set_header  {} {};\n", header, value);
  for (const std::string& spelling : other_spellings(header)) {
    lines += fmt::format("proxy_set_header  {} \"\";\n", spelling);
  }
  return lines;
}

bool is_configured(const config::Config& config, std::string_view variable) {
  return std::ranges::any_of(config.identity.headers,
                             [&](const auto& header) { return as_variable(header.first) == variable; });
}

std::string proxied_identity(const config::Config& config) {
  std::string lines = "proxy_set_header  Proxy \"\";\nproxy_set_header  Authorization \"\";\n";
  lines += proxied_header("X-Gatehouse-User", "$gatehouse_user");
  lines += proxied_header("X-Gatehouse-User-Id", "$gatehouse_user_id");
  lines += proxied_header("X-Gatehouse-Session-State", "$gatehouse_session_state");
  if (!is_configured(config, "HTTP_REMOTE_USER")) lines += proxied_header("Remote-User", "\"\"");
  for (const auto& [header, attribute] : config.identity.headers) {
    lines += proxied_header(header, "$gatehouse_h_" + nginx_spelling(header));
  }
  return lines;
}

std::string identity_headers(const config::Config& config) {
  std::string lines;
  for (const auto& [header, attribute] : config.identity.headers) {
    lines += fmt::format("fastcgi_param  {} $gatehouse_h_{};\n", as_variable(header), nginx_spelling(header));
  }
  return lines;
}

// What the gateway door takes out whatever is configured (gateway::is_owned_header); of X-Gatehouse- what we say
// ourselves.
std::string owned_headers(const config::Config& config) {
  static constexpr std::array kAlwaysOwned{"HTTP_REDIRECT_STATUS", "HTTP_REMOTE_USER", "HTTP_X_GATEHOUSE_USER",
                                           "HTTP_X_GATEHOUSE_USER_ID", "HTTP_X_GATEHOUSE_SESSION_STATE"};
  std::string lines;
  for (const std::string_view variable : kAlwaysOwned) {
    if (!is_configured(config, variable)) lines += fmt::format("fastcgi_param  {} \"\" if_not_empty;\n", variable);
  }
  return lines;
}

// Without a login of ours there is nothing to show, and 401 stays 401.
std::string login_location(const config::Config& config, const Transport& transport) {
  return config.login.enabled ? fmt::format(kLoginLocation, fmt::arg("login", transport.login)) : std::string();
}

std::string server_part(const config::Config& config, const Transport& transport) {
  const std::string_view on_401 = config.login.enabled ? "error_page 401 = @gatehouse_login;\n" : "";
  return fmt::format(kServerPart, fmt::arg("options", transport.options), fmt::arg("file", config.file),
                     fmt::arg("listen", transport.listen), fmt::arg("needs", transport.needs),
                     fmt::arg("prefix", config.endpoints.prefix),
                     fmt::arg("prefix_pattern", as_pattern(config.endpoints.prefix)),
                     fmt::arg("sets", set_from_answer(config)), fmt::arg("proxied", proxied_identity(config)),
                     fmt::arg("check", transport.check), fmt::arg("endpoints", transport.endpoints),
                     fmt::arg("on_401", on_401), fmt::arg("login", login_location(config, transport)));
}

}  // namespace

std::expected<std::string, std::string> nginx_server_part(const config::Config& config, Over over) {
  const auto address = over == Over::http ? http_address(config) : fastcgi_address(config);
  if (!address) return address;
  const std::string& prefix = config.endpoints.prefix;
  return server_part(config, over == Over::http ? over_http(prefix) : over_fastcgi(prefix, *address));
}

std::expected<std::string, std::string> nginx_http_part(const config::Config& config) {
  const auto address = http_address(config);
  if (!address) return address;
  return fmt::format(kHttpPart, fmt::arg("file", config.file), fmt::arg("address", *address));
}

std::string nginx_application_part(const config::Config& config) {
  return fmt::format(kApplicationPart, fmt::arg("file", config.file), fmt::arg("owned", owned_headers(config)),
                     fmt::arg("identity", identity_headers(config)));
}

std::string nginx_proxy_part(const config::Config& config) {
  return fmt::format(kProxyPart, fmt::arg("file", config.file), fmt::arg("proxied", proxied_identity(config)));
}

}  // namespace gatehouse::app::cli
