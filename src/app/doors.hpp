// The doors: how a request that arrived becomes one for the gateway. A door decides nothing.
#pragma once

#include "fastcgi/server.hpp"
#include "gateway/gateway.hpp"
#include "ops/log.hpp"

namespace gatehouse::app {

/// Makes the handler of the FastCGI door. Both references must outlive the server.
[[nodiscard]] fastcgi::Handler fastcgi_door(gateway::Gateway& gateway, ops::Log& log);

}  // namespace gatehouse::app
