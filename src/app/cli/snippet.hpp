// What `gatehouse snippet` prints, as pure functions of the configuration.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "config/config.hpp"

namespace gatehouse::app::cli {

/// How a web server asks the check door.
enum class Over { fastcgi, http };

/// Returns which of `listen_http` a web server should ask: a unix socket first, over which it is believed without being
/// listed. Fails with a sentence where it could reach none, or would not be believed.
[[nodiscard]] std::expected<std::string, std::string> http_socket_to_ask(const config::Config& config);

/// Returns what goes into nginx's `server` block for the check door: every location is then asked about, whether its
/// author thought of it or not. Fails with a sentence where the configuration has no socket of its own for that way.
[[nodiscard]] std::expected<std::string, std::string> nginx_server_part(const config::Config& config, Over over);
/// Returns what goes into nginx's `http` block, once, for a server part over HTTP: the kept connections. Fails with a
/// sentence where http_socket_to_ask does.
[[nodiscard]] std::expected<std::string, std::string> nginx_http_part(const config::Config& config);
/// Returns the parameters for a location that runs an application over FastCGI (php-fpm), in place of
/// `fastcgi_params`: the web server's own, and the identity. The same whichever way the check door is asked.
[[nodiscard]] std::string nginx_application_part(const config::Config& config);

/// Returns the headers for a location that passes its requests on by HTTP (`proxy_pass`): the identity, in the place of
/// what the visitor sent under its names.
[[nodiscard]] std::string nginx_proxy_part(const config::Config& config);

/// Returns a Caddyfile snippet for the forward door, over HTTP. Fails with a sentence where the configuration has no
/// HTTP socket of its own.
[[nodiscard]] std::expected<std::string, std::string> caddy_site_part(const config::Config& config);

}  // namespace gatehouse::app::cli
