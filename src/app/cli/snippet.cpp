// Configuration of web servers, made from ours. Each line that closes a trap says which.
#include "app/cli/snippet.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "app/cli/commands.hpp"
#include "app/cli/output.hpp"
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

// "unix:PATH" as it is; "tcp:HOST:PORT" without its first part.
std::expected<std::string, std::string> fastcgi_address(const config::Config& config) {
  if (config.listen.empty()) return std::unexpected("listen: there is no FastCGI socket that nginx could reach");
  const std::string& first = config.listen.front();
  return first.starts_with("tcp:") ? first.substr(4) : first;
}

std::string set_from_answer(const config::Config& config) {
  std::string lines;
  for (const auto& [header, attribute] : config.identity.headers) {
    const std::string name = nginx_spelling(header);
    lines += fmt::format("auth_request_set $gatehouse_h_{0} $upstream_http_{0};\n", name);
  }
  return lines;
}

// What every location of ours is told of the connection, and what no visitor may say.
constexpr std::string_view kConnection =
    R"(    fastcgi_param  GATEWAY_INTERFACE  CGI/1.1;
    fastcgi_param  SERVER_PROTOCOL    $server_protocol;
    fastcgi_param  SERVER_NAME        $server_name;
    fastcgi_param  SERVER_PORT        $server_port;
    fastcgi_param  REMOTE_ADDR        $remote_addr;
    fastcgi_param  REQUEST_SCHEME     $scheme;
    fastcgi_param  HTTPS              $https if_not_empty;
    fastcgi_param  HTTP_HOST          $http_host;
    fastcgi_param  HTTP_PROXY         "";
    fastcgi_param  HTTP_AUTHORIZATION "";
)";

constexpr std::string_view kServerPart =
    R"(# Made by `gatehouse snippet nginx` from {file}; make it again when that file's `listen`,
# `identity` or `endpoints` change. Include it once in the server block:
#     server {{ ... include gatehouse-server.conf; ... }}
# From then on every location of that server is asked about, and the routes decide. `auth_request off;` in a location
# opens it to everybody. Traps that nginx leaves open:
#   - `return` and `rewrite ... redirect` in a location answer before anybody is asked: such a location is public.
#   - `satisfy any` beside `allow` lets in whom Gatehouse refuses.
#   - a location with an `error_page`, `add_header` or `auth_request_set` line of its own inherits none of these here:
#     then repeat them there.
#   - an `error_page 500` that serves content would serve it when Gatehouse is down.

# The path that nginx serves is the one that is decided, also after an internal redirect (index, try_files). Not in the
# subrequest itself, whose path is the endpoint's.
if ($uri != "{prefix}/check") {{
    set $gatehouse_path $uri;
}}

auth_request {prefix}/check;
auth_request_set $gatehouse_cookie $upstream_http_set_cookie;
auth_request_set $gatehouse_user $upstream_http_x_gatehouse_user;
auth_request_set $gatehouse_user_id $upstream_http_x_gatehouse_user_id;
auth_request_set $gatehouse_session_state $upstream_http_x_gatehouse_session_state;
{sets}
# A renewed session's cookie, on answers of every status. An empty value adds no header.
add_header Set-Cookie $gatehouse_cookie always;
error_page 401 = @gatehouse_login;
# 500 is what nginx makes of a check that could not be made.
error_page 500 502 504 = @gatehouse_down;

location = {prefix}/check {{
    internal;
    auth_request off;
    fastcgi_pass "{address}";
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

# Login, logout and what else Gatehouse shows by itself.
location ^~ {prefix}/ {{
    auth_request off;
    # Of its own, so that the check's cookie is not added to what Gatehouse sends itself.
    add_header Vary Cookie always;
    error_page 500 502 504 = @gatehouse_down;
    fastcgi_pass "{address}";
    fastcgi_param  REQUEST_METHOD     $request_method;
    fastcgi_param  REQUEST_URI        $request_uri;
    fastcgi_param  QUERY_STRING       $query_string;
    fastcgi_param  CONTENT_TYPE       $content_type;
    fastcgi_param  CONTENT_LENGTH     $content_length;
{connection}}}

# Who has no session sees the login form in the place of the page, and comes back to it; a program gets 401.
location @gatehouse_login {{
    auth_request off;
    add_header Vary Cookie always;
    error_page 500 502 504 = @gatehouse_down;
    fastcgi_pass "{address}";
    fastcgi_pass_request_body off;
    fastcgi_param  SCRIPT_NAME        {prefix}/login;
    fastcgi_param  REQUEST_METHOD     GET;
    fastcgi_param  REQUEST_URI        $request_uri;
    fastcgi_param  QUERY_STRING       $query_string;
    fastcgi_param  CONTENT_LENGTH     "";
{connection}}}

location @gatehouse_down {{
    auth_request off;
    default_type text/plain;
    add_header Retry-After 5 always;
    add_header Cache-Control no-store always;
    return 503 "The sign-in service cannot be reached. Please try again in a moment.\n";
}}
)";

constexpr std::string_view kApplicationPart =
    R"(# Made by `gatehouse snippet nginx --part application` from {file}. In each location that runs an
# application over FastCGI, in place of fastcgi_params (which sends a REMOTE_USER that nobody verified):
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
fastcgi_param  HTTP_HOST          $http_host;
fastcgi_param  HTTP_PROXY         "";
fastcgi_param  HTTP_AUTHORIZATION "";

# Who it is; unset, not empty, where it is nobody.
fastcgi_param  REMOTE_USER             $gatehouse_user if_not_empty;
fastcgi_param  GATEHOUSE_USER_ID       $gatehouse_user_id if_not_empty;
fastcgi_param  GATEHOUSE_SESSION_STATE $gatehouse_session_state if_not_empty;
{identity})";

}  // namespace

std::expected<std::string, std::string> nginx_server_part(const config::Config& config) {
  auto address = fastcgi_address(config);
  if (!address) return address;
  return fmt::format(kServerPart, fmt::arg("file", config.file), fmt::arg("prefix", config.endpoints.prefix),
                     fmt::arg("address", *address), fmt::arg("connection", kConnection),
                     fmt::arg("sets", set_from_answer(config)));
}

std::string nginx_application_part(const config::Config& config) {
  std::string identity;
  for (const auto& [header, attribute] : config.identity.headers) {
    identity += fmt::format("fastcgi_param  {} $gatehouse_h_{};\n", as_variable(header), nginx_spelling(header));
  }
  return fmt::format(kApplicationPart, fmt::arg("file", config.file), fmt::arg("identity", identity));
}

int snippet_nginx(const config::Config& config, std::string_view part) {
  if (part == "application") {
    fmt::print("{}", nginx_application_part(config));
    return kDone;
  }
  const auto text = nginx_server_part(config);
  if (!text) return complain(kFailed, text.error());
  fmt::print("{}", *text);
  return kDone;
}

}  // namespace gatehouse::app::cli
