// A page that a web server serves by itself and asks about before: what the check, forward and authorizer doors share.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "gateway/judge.hpp"

namespace gatehouse::gateway {

/// An answer about a page, and what the log says of it.
struct PageAnswer {
  http::Response response;
  ops::LogLevel level = ops::LogLevel::info;
  std::string_view event = "denied";
  std::string reason;
};

/// A 200 with these headers and nothing else.
[[nodiscard]] PageAnswer passed(http::Headers headers);
/// A refusal without a body.
[[nodiscard]] PageAnswer refused(int status, std::string reason);

/// Asks the store who it is, and decides; a request that nobody may make (`is_servable` is false) is not asked about. A
/// page of our own is for everybody. A bug is an error of the verdict: no status that a web server might not know.
/// Where the front server does not deliver cookies, an idle session is extended instead of rotated; where nothing is
/// served yet, it is left as it is.
[[nodiscard]] net::Task<Verdict> judge_page(World& world, Scope& scope, bool is_servable, Tell tell);

/// The identity as headers can carry it: with our others and a cookie they have to fit into the 4,000 bytes that a web
/// server reads a head into (nginx's page).
[[nodiscard]] Told tell_in_headers(const Settings& settings, const auth::User* user, auth::SessionState state);

/// Returns what refuses the page (401, 403 or 503); nullopt: it may be served.
[[nodiscard]] std::optional<PageAnswer> refusal_of(const Verdict& verdict);

/// Writes the answer's line, and that the session was used.
void note_answer(World& world, const Scope& scope, const Verdict& verdict, const PageAnswer& answer);

}  // namespace gatehouse::gateway
