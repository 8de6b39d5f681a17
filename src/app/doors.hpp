// The doors: how a request that arrived becomes one for the gateway. A door decides nothing.
#pragma once

#include "cgi/read_request.hpp"
#include "gateway/gateway.hpp"
#include "net/connection.hpp"
#include "ops/log.hpp"

namespace gatehouse::app {

/// Makes the connections of a FastCGI listener. Both references must outlive the server.
[[nodiscard]] net::ConnectionFactory fastcgi_door(gateway::Gateway& gateway, ops::Log& log);

/// Makes the connections of an HTTP listener, behind which there are endpoints and no scripts. Both references must
/// outlive the server.
[[nodiscard]] net::ConnectionFactory http_door(gateway::Gateway& gateway, ops::Log& log);

/// Answers the one request of a CGI process, whose path is PATH_INFO. The references must outlive the task.
[[nodiscard]] net::Task<> serve_cgi(gateway::Gateway& gateway, ops::Log& log, const cgi::Variables& variables,
                                    net::Exchange& exchange);

}  // namespace gatehouse::app
