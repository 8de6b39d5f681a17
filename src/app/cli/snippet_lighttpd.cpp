// lighttpd's configuration, made from ours: for the authorizer door, and for the gateway door as a socket's and as
// lighttpd's own process. Each line that closes a trap says which.
#include <fmt/format.h>

#include <algorithm>

#include "app/cli/snippet.hpp"
#include "http/headers.hpp"

namespace gatehouse::app::cli {

namespace {

using Text = std::expected<std::string, std::string>;

// "unix:PATH" → a socket; "tcp:HOST:PORT" → a host and a port, an IPv6 one without its brackets.
std::string lighttpd_address(std::string_view listen) {
  const std::string_view rest = listen.substr(listen.find(':') + 1);
  if (listen.starts_with("unix:")) return fmt::format(R"("socket" => "{}")", rest);
  const std::size_t colon = rest.rfind(':');
  std::string_view host = rest.substr(0, colon);
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  return fmt::format(R"("host" => "{}", "port" => {})", host, rest.substr(colon + 1));
}

Text address_of(const config::Config& config) {
  if (config.listen.empty()) return std::unexpected("listen: there is no FastCGI socket that lighttpd could reach");
  const auto is_unix = [](const std::string& listen) { return listen.starts_with("unix:"); };
  const auto socket = std::ranges::find_if(config.listen, is_unix);
  return lighttpd_address(socket == config.listen.end() ? config.listen.front() : *socket);
}

std::string removed(std::string_view header) {
  return fmt::format("    \"{}\" => \"\",\n", header);
}

bool is_configured(const config::Config& config, std::string_view name) {
  return std::ranges::any_of(config.identity.headers,
                             [&](const auto& header) { return http::equals_ignoring_case(header.first, name); });
}

std::string removed_headers(const config::Config& config) {
  std::string lines;
  for (const std::string_view header : {"Authorization", "Redirect-Status", "Remote-User", "X-Gatehouse-User",
                                        "X-Gatehouse-User-Id", "X-Gatehouse-Session-State"}) {
    if (!is_configured(config, header)) lines += removed(header);
  }
  for (const auto& [header, attribute] : config.identity.headers) lines += removed(header);
  return lines;
}

constexpr std::string_view kAuthorizerPart =
    R"(# Made by `gatehouse snippet lighttpd` from {file}; make it again when that file's `listen`, `identity`,
# `endpoints` or `login` change. It goes to the beginning of lighttpd's own configuration, before other modules that answer
# requests are loaded: conf/lighttpd/gatehouse-authorizer.conf includes it.
# From then on lighttpd asks about every request, of every host, before it serves it, and the routes decide (`hosts` tells
# hosts apart). Programs of mod_cgi and mod_fastcgi find the user in REMOTE_USER and the configured headers. lighttpd drops
# the cookie of a renewed session, so Gatehouse does not make a new one: an idle session is extended under its old token.
# Traps that lighttpd leaves open:
#   - `fastcgi.server = ( ... )` inside a condition ($HTTP["host"] and so on) takes the place of the list below, and what it
#     is for is OPEN TO EVERYBODY. Write `fastcgi.server += ( ... )` there.
#   - what mod_redirect and mod_access answer is never asked about, and neither is what mod_proxy, mod_status, mod_scgi,
#     mod_ajp13 or mod_wstunnel answer if they are loaded before this file.
#   - an entry of another authorizer whose path is found first is asked in the place of this one.
#   - the page of `index-file.names`, of `server.error-handler-404` and of `url.rewrite-if-not-file` is served under the
#     rule of the path that led to it: a rule for /folder/index.php does not hold for /folder/. (Of `url.rewrite-once` and
#     `url.rewrite-repeat` both paths are decided.)
#   - with `server.force-lowercase-filenames` another page is served than the one that is decided: leave it off.
#   - programs behind mod_proxy are not told who it is: no header of ours gets there.

server.modules += ( "mod_setenv", "mod_fastcgi" )

# What no program may believe of a visitor. Of another spelling (Remote_User) lighttpd would make the same variable: it
# cannot be taken out here, and Gatehouse refuses whoever sends it.
setenv.set-request-header += (
{removed})

fastcgi.server += (
    # Login, logout and what else Gatehouse shows by itself.
{endpoints}    # Every path begins with this one. `docroot` must not be set: then nothing but files would be found.
    "/" => ((
        {address},
        "mode" => "authorizer",
        # Asked about whether there is such a file or not.
        "check-local" => "disable",
        "connect-timeout" => 1,
        "write-timeout" => 3,
        "read-timeout" => 3,
    )),
)
)";

constexpr std::string_view kEndpoint =
    R"(    "{path}" => ((
        {address},
        "check-local" => "disable",
        "connect-timeout" => 1,
        "write-timeout" => 30,
        "read-timeout" => 30,
    )),
)";

constexpr std::string_view kGatewayPart =
    R"(# Made by `gatehouse snippet lighttpd --part {part}` from {file}{when}.
# Every request of every host goes to Gatehouse, which signs visitors in and out and runs the scripts. It goes to the beginning
# of lighttpd's own configuration, before other modules that answer requests are loaded: conf/lighttpd/gatehouse-gateway.conf
# includes it.
# `fastcgi.server = ( ... )` inside a condition ($HTTP["host"] and so on) takes the place of this list: what it is for goes
# round Gatehouse, on purpose or not. Gatehouse decides by the visitor's path, before any `url.rewrite`.

server.modules += ( "mod_fastcgi" )

fastcgi.server += (
    "/" => ((
{runs}        # Whether there is such a file or not.
        "check-local" => "disable",
        # The path is no script's name; Gatehouse finds the script.
        "fix-root-scriptname" => "enable",
        # Longer than the longest `timeout` of a downstream, so that a visitor gets Gatehouse's 504 with its request id.
        "connect-timeout" => 2,
        "write-timeout" => 60,
        "read-timeout" => 75,
    )),
)
)";

constexpr std::string_view kSpawned =
    R"(        # lighttpd starts it, and ends it with itself. It runs as lighttpd's user, who must own the database's folder.
        "bin-path" => "{program}",
        "bin-environment" => ( "GATEHOUSE_CONFIG" => "{file}" ),
        # Nothing else of the environment that lighttpd was started in.
        "bin-copy-environment" => ( "PATH", "LANG", "TZ" ),
        # The sockets of its processes, on which nobody else listens: lighttpd adds -0, -1 ...
        "socket" => "/run/lighttpd/gatehouse.socket",
        # Each serves many requests at once, and counts failed logins by itself.
        "max-procs" => 2,
)";

// `account` is no page of this version, `check` and `forward` are none of a visitor's.
std::string endpoints(const config::Config& config, std::string_view address) {
  std::string entries;
  for (const std::string_view name : {"login", "logout", "session"}) {
    if (name == "login" && !config.login.enabled) continue;
    entries += fmt::format(kEndpoint, fmt::arg("path", config.endpoints.prefix + "/" + std::string(name)),
                           fmt::arg("address", address));
  }
  return entries;
}

std::string gateway_text(const config::Config& config, std::string_view part, std::string_view when,
                         std::string_view runs) {
  return fmt::format(kGatewayPart, fmt::arg("part", part), fmt::arg("file", config.file), fmt::arg("when", when),
                     fmt::arg("runs", runs));
}

}  // namespace

Text lighttpd_authorizer_part(const config::Config& config) {
  const auto address = address_of(config);
  if (!address) return address;
  return fmt::format(kAuthorizerPart, fmt::arg("file", config.file), fmt::arg("removed", removed_headers(config)),
                     fmt::arg("endpoints", endpoints(config, *address)), fmt::arg("address", *address));
}

Text lighttpd_gateway_part(const config::Config& config) {
  const auto address = address_of(config);
  if (!address) return address;
  return gateway_text(config, "gateway", "; make it again when that file's `listen` changes",
                      fmt::format("        {},\n", *address));
}

std::string lighttpd_spawned_part(const config::Config& config, const std::string& program) {
  return gateway_text(config, "spawned", "",
                      fmt::format(kSpawned, fmt::arg("program", program), fmt::arg("file", config.file)));
}

}  // namespace gatehouse::app::cli
