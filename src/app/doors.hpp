// The doors: how a request that arrived becomes one for the gateway. A door decides nothing.
#pragma once

#include "cgi/environment.hpp"
#include "fastcgi/server.hpp"
#include "gateway/gateway.hpp"
#include "ops/log.hpp"

namespace gatehouse::app {

/// Makes the handler of the FastCGI door. Both references must outlive the server.
[[nodiscard]] fastcgi::Handler fastcgi_door(gateway::Gateway& gateway, ops::Log& log);

/// Answers the one request of a CGI process, whose path is PATH_INFO. The references must outlive the task.
[[nodiscard]] net::Task<> serve_cgi(gateway::Gateway& gateway, ops::Log& log, const cgi::Variables& variables,
                                    net::Exchange& exchange);

}  // namespace gatehouse::app
