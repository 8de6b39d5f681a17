// The check endpoint: a web server asks whether it may serve a page, and to whom (nginx auth_request).
#pragma once

#include "gateway/scope.hpp"

namespace gatehouse::gateway {

/// Answers with a status and headers, never a body: 200 with the identity, 401 no valid session, 403 refused or not to
/// be understood, 503 cannot decide. Nothing else ever: anything that a web server could take for "yes" but 200 is a
/// hole. At most one Set-Cookie, and only where the front server says that it delivers it; elsewhere an idle session is
/// extended instead of rotated. Never reads the body: a subrequest has none, whatever CONTENT_LENGTH says.
[[nodiscard]] net::Task<> serve_check(World& world, Scope& scope, net::Exchange& exchange);

}  // namespace gatehouse::gateway
