// The endpoints below the prefix, and which of them a request has met.
#pragma once

#include "gateway/scope.hpp"

namespace gatehouse::gateway {

/// `reserved`: below the prefix, but nothing that is served: 404, never a route's business, since a front server may
/// take another program's 200 for a check that passed.
enum class Endpoint { none, login, logout, session, check, forward, reserved };

/// Which endpoint has this path.
[[nodiscard]] Endpoint endpoint_at(const Settings& settings, std::string_view path);
/// SCRIPT_NAME decides first, then the decided path. Endpoints go before routes.
[[nodiscard]] Endpoint met_endpoint(const Settings& settings, const http::Request& request);

/// Serves any of them but `check` and `forward`, which are no pages of ours.
[[nodiscard]] net::Task<> serve_endpoint(Endpoint endpoint, World& world, Scope& scope, net::Exchange& exchange);

}  // namespace gatehouse::gateway
