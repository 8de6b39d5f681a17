// The check and forward endpoints: a web server asks whether it may serve a page, and to whom (nginx auth_request; the
// forward-auth of Caddy, Traefik and others).
#pragma once

#include "gateway/scope.hpp"

namespace gatehouse::gateway {

/// Answers with a status and headers, never a body: 200 with the identity, 401 no valid session, 403 refused or not to
/// be understood, 503 cannot decide. Nothing else ever: anything that a web server could take for "yes" but 200 is a
/// hole. At most one Set-Cookie, and only where the front server says that it delivers it; elsewhere an idle session is
/// extended instead of rotated. Never reads the body: a subrequest has none, whatever CONTENT_LENGTH says.
[[nodiscard]] net::Task<> serve_check(World& world, Scope& scope, net::Exchange& exchange);

/// The same for a web server that hands whatever is not 2xx to the visitor, so a refusal is a page or its JSON: a
/// navigation without a session gets 302 to the absolute URL of the login instead of 401. Such servers pass a visitor's
/// headers on, so a header whose name some server or language takes for one that we own ("Remote_User") is 403.
[[nodiscard]] net::Task<> serve_forward(World& world, Scope& scope, net::Exchange& exchange);

}  // namespace gatehouse::gateway
