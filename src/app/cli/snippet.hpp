// What `gatehouse snippet` prints, as pure functions of the configuration.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "config/config.hpp"

namespace gatehouse::app::cli {

/// Returns what goes into nginx's `server` block for the check door: every location is then asked about, whether its
/// author thought of it or not. Fails with a sentence where the configuration has no FastCGI socket of its own.
[[nodiscard]] std::expected<std::string, std::string> nginx_server_part(const config::Config& config);
/// Returns the parameters for a location that runs an application over FastCGI (php-fpm), in place of
/// `fastcgi_params`: the web server's own, and the identity.
[[nodiscard]] std::string nginx_application_part(const config::Config& config);

}  // namespace gatehouse::app::cli
