// The login endpoint: the form, and what happens when it comes back.
//
// Login CSRF: the form carries a value derived from a cookie that its GET has set; a page of another site can
// neither read nor set that cookie (its name has the __Host- prefix wherever the session cookie is Secure), so it
// cannot make somebody sign in as its author.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "gateway/scope.hpp"

namespace gatehouse::gateway {

inline constexpr std::string_view kLoginCookie = "gatehouse-login";
inline constexpr std::string_view kSecureLoginCookie = "__Host-gatehouse-login";

[[nodiscard]] net::Task<> serve_login(World& world, Scope& scope, net::Exchange& exchange);

/// Returns the Location for a navigation that needs a login: our form, or the configured external page, with the
/// path and query asked for as `rd`. An rd that would make our header block too long is left out.
[[nodiscard]] std::string login_location(const Settings& settings, const http::Request& request);

/// The same as an absolute URL, for who asks in another server's name: on the origin of endpoints.url (`rd` is an
/// absolute URL then, unless the page is there too), else on the page's own. nullopt if there is no login, or if it is
/// not known where the page is.
[[nodiscard]] std::optional<std::string> absolute_login_location(const Settings& settings,
                                                                 const http::Request& request);

/// True if there is a login to send anybody to, ours or an external one.
[[nodiscard]] bool has_login(const Settings& settings);

/// The answer to who needs a login: a navigation is sent to it, anything else gets 401, a program's as JSON.
[[nodiscard]] http::Response sign_in_reply(const Settings& settings, const http::Request& request);

/// The `csrf` field for a login cookie's value.
[[nodiscard]] std::string csrf_value(std::string_view login_cookie);

}  // namespace gatehouse::gateway
