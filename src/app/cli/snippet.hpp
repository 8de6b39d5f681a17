// What `gatehouse snippet` prints, as pure functions of the configuration.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"

namespace gatehouse::app::cli {

/// How a web server asks the check door.
enum class Over { fastcgi, http };

/// Returns which of `listen_http` a web server should ask: a unix socket first, over which it is believed without being
/// listed. Fails with a sentence where it could reach none, or would not be believed.
[[nodiscard]] std::expected<std::string, std::string> http_socket_to_ask(const config::Config& config);

/// Returns the other spellings of a header's name that somebody may read as this one: with some of its '-' and '_'
/// exchanged.
[[nodiscard]] std::vector<std::string> other_spellings(std::string_view header);

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

/// Returns lighttpd's configuration for the authorizer door: it asks about every request before it serves it. Fails
/// with a sentence where there is no FastCGI socket that it could reach.
[[nodiscard]] std::expected<std::string, std::string> lighttpd_authorizer_part(const config::Config& config);
/// Returns lighttpd's configuration for the gateway door: every request goes to the configured socket. Fails as above.
[[nodiscard]] std::expected<std::string, std::string> lighttpd_gateway_part(const config::Config& config);
/// The same with processes of lighttpd's own that run `program`, an absolute path; no socket need be configured.
[[nodiscard]] std::string lighttpd_spawned_part(const config::Config& config, const std::string& program);

/// Returns what goes into a virtual host of Apache's for the authorizer door by mod_authnz_fcgi: every page is then
/// asked about. Fails with a sentence where the configuration has no TCP socket.
[[nodiscard]] std::expected<std::string, std::string> apache_authorizer_part(const config::Config& config);
/// Returns what goes beside it, outside of every virtual host: where Apache asks. Fails as above.
[[nodiscard]] std::expected<std::string, std::string> apache_provider_part(const config::Config& config);
/// Returns what goes into a virtual host for the authorizer door by mod_fcgid, whose processes run `program`, an
/// absolute path.
[[nodiscard]] std::string apache_access_checker_part(const config::Config& config, const std::string& program);
/// Returns what goes into a virtual host for the gateway door: every request goes to the configured socket. Fails with
/// a sentence where there is none.
[[nodiscard]] std::expected<std::string, std::string> apache_gateway_part(const config::Config& config);
/// The same with processes of mod_fcgid's that run `program`, an absolute path; no socket need be configured.
[[nodiscard]] std::string apache_fcgid_part(const config::Config& config, const std::string& program);
/// Returns the name of the part that suits the configuration's sockets.
[[nodiscard]] std::string_view apache_default_part(const config::Config& config);

}  // namespace gatehouse::app::cli
