// One request judged: which rules bind it, who it is, the decision, and only then the renewal. Every door asks here.
#pragma once

#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cgi/environment.hpp"
#include "gateway/scope.hpp"
#include "policy/decide.hpp"

namespace gatehouse::gateway {

/// The rules that bind one request, all of them: that of its path, and those of scripts that the path may run, where
/// they stand before it (docs/decisions/0005). nullptr: none matched, which refuses.
struct Rules {
  const policy::Route* route = nullptr;
  std::vector<const policy::Route*> others;
};

/// What a door tells a script of who it is (nullptr: nobody), or, as a sentence for the log, why it cannot.
using Told = std::expected<cgi::Identity, std::string>;
using Tell = std::function<Told(const auth::User* user, auth::SessionState state)>;

/// What becomes of an idle session that is let in.
enum class Renews {
  as_configured,
  by_extending,  ///< the same id: a new one could not be delivered
  not_at_all,
};

/// What is known of a request once the store has been asked. The default refuses.
struct Verdict {
  policy::Decision decision;
  std::optional<auth::SessionUser> user;
  Told told;  ///< where it is allowed
  std::optional<auth::Error> error;

  [[nodiscard]] const auth::User* who() const { return user ? &user->user : nullptr; }
  [[nodiscard]] auth::SessionState state() const { return user ? user->session.state : auth::SessionState::dead; }
};

/// Returns the rules of a request whose script we run: the downstream knows which one that is.
[[nodiscard]] Rules rules_of(const Settings& settings, const http::Request& request);
/// Returns the rules of a request whose script the web server runs. Which part of the path that is, it does not say, so
/// every beginning of `path` counts as one ("/admin" of "/admin/x").
[[nodiscard]] Rules rules_of_checked(const Settings& settings, const http::Request& request, const http::Path& path);

/// TRACE and CONNECT: for the web server to answer, if anybody. A script that echoes a request would show its cookies.
[[nodiscard]] bool is_for_web_servers(std::string_view method);

/// Every rule has to allow it; the first that does not is the answer. Pure.
[[nodiscard]] policy::Decision decide(const Rules& rules, const auth::User* user);
/// Asks the store who it is, decides, and writes afterwards: a refused request, or one whose script cannot be told who
/// it is, renews nothing.
[[nodiscard]] net::Task<Verdict> judge(World& world, Scope& scope, Rules rules, Renews renews, Tell tell);

}  // namespace gatehouse::gateway
