#include "gateway/context.hpp"

namespace gatehouse::gateway {

namespace {

std::optional<std::string> owned(std::optional<std::string_view> text) {
  if (!text) return std::nullopt;
  return std::string(*text);
}

}  // namespace

RequestContext::RequestContext(const http::Request& request)
    : view_{request.id,
            request.method,
            request.scheme,
            request.host,
            request.server_port,
            std::string(request.header("cookie")),
            owned(request.headers.get("origin")),
            owned(request.headers.get("sec-fetch-site")),
            std::nullopt,  // Authorization: no door keeps it, for the daemon's sessions are cookies
            request.remote_addr,
            std::string(request.header("user-agent"))} {}

}  // namespace gatehouse::gateway
