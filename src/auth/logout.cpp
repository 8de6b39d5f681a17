#include "auth/logout.hpp"

#include <utility>

#include "auth/auth_request.hpp"
#include "http/return_path.hpp"

namespace gatehouse::auth {

namespace {

http::Response answer(int status, std::initializer_list<http::Header> headers = {}) {
  http::Response response;
  response.head.status = status;
  response.head.headers = http::Headers(headers);
  response.head.headers.add("Cache-Control", "no-store");
  return response;
}

http::Response unavailable() {
  return answer(503, {{"Retry-After", "5"}});
}

Result<void> end_sessions(Auth& auth, const SessionToken& token, bool all) {
  if (all) {
    auto owner = auth.owner_of(token);
    if (!owner) return std::unexpected(owner.error());
    if (*owner) {
      if (auto ended = auth.invalidate_all_user_sessions(**owner); !ended) return std::unexpected(ended.error());
    }
  }
  // Also after `all`: a token that no longer says whose it is may still lead to its own family.
  if (auto ended = auth.invalidate_session(token); !ended) return std::unexpected(ended.error());
  return {};
}

}  // namespace

http::Response LogoutHandler::operator()(Context& context, const LogoutForm& form) const {
  if (context.request().method != "POST") return answer(405, {{"Allow", "POST"}});
  AuthRequest request(auth_, context, options_.also_own);
  if (request.origin() != OriginVerdict::own) return answer(403);

  if (request.presented()) {
    if (!end_sessions(auth_, *request.presented(), form.all)) return unavailable();
    request.set_session(nullptr);
  }
  if (form.wants_json) {
    http::Response response = answer(200, {{"Content-Type", "application/json"}});
    response.body = "{}";
    return response;
  }
  const std::string target =
      form.rd.empty() ? options_.redirect : http::safe_return_path(form.rd, options_.allowed_return_hosts);
  return answer(303, {{"Location", target}});
}

LogoutHandler handle_logout_requests(Auth& auth, LogoutOptions options) {
  return {auth, std::move(options)};
}

}  // namespace gatehouse::auth
