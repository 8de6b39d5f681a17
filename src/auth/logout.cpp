#include "auth/logout.hpp"

#include <utility>

#include "auth/auth_request.hpp"
#include "http/negotiation.hpp"
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

std::optional<LogoutForm> read_logout_form(const http::Form& body, const http::Form& query, std::string_view accept) {
  for (const std::string_view field : {"rd", "all"}) {
    if (body.is_doubled(field) || query.is_doubled(field)) return std::nullopt;
  }
  const auto value = [&](std::string_view field) { return body.get(field).value_or(query.get(field).value_or("")); };
  return LogoutForm{std::string(value("rd")), value("all") == "1", http::wants_json(accept)};
}

http::Response LogoutHandler::operator()(Context& context, const LogoutForm& form) const {
  if (context.request().method != "POST") return answer(405, {{"Allow", "POST"}});
  AuthRequest request(auth_, context, options_.also_own);
  if (request.origin() != OriginVerdict::own) return answer(403);

  if (request.presented()) {
    if (auto ended = end_sessions(auth_, *request.presented(), form.all); !ended) {
      const RequestView& asked = context.request();
      auth_.events().report({EventKind::store_failed, "", "", asked.id, asked.address, ended.error().detail});
      return unavailable();
    }
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

http::Response LogoutHandler::operator()(LogoutContext& context) const {
  const auto origin = auth_.validate_request_origin(context.request(), options_.also_own);
  if (origin != OriginVerdict::own) return (*this)(context, LogoutForm());
  const auto form = context.read_logout_form();
  return form ? (*this)(context, *form) : answer(form.error());
}

LogoutHandler handle_logout_requests(Auth& auth, LogoutOptions options) {
  return {auth, std::move(options)};
}

}  // namespace gatehouse::auth
