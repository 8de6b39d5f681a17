// The one decision of Gatehouse. Every door asks it, and only Allowed lets anybody in.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "auth/user.hpp"
#include "policy/route.hpp"

namespace gatehouse::policy {

/// The request may run. `route` outlives the decision (it is the snapshot's).
struct Allowed {
  const Route* route = nullptr;
};
enum class Refusal {
  no_route,       ///< nothing matched: 403 for everybody
  denied_route,   ///< access: deny, 403 for everybody
  no_session,     ///< a login could help: 401 or the login page
  not_permitted,  ///< identity known, `require` not met: 403
};
struct Denied {
  Refusal why = Refusal::no_route;
  const Route* route = nullptr;
};

/// A default-constructed decision is Denied.
using Decision = std::variant<Denied, Allowed>;

/// Decides for a route (nullptr: none matched) and a validated user (nullptr: no session). Pure.
/// `require` may name: id, username, name, email, roles (any of them counts), or a further column of the user. A
/// disabled user counts as none; an attribute the user lacks, or an empty one, meets nothing, not even "*".
[[nodiscard]] Decision decide(const Route* route, const auth::User* user);

/// Returns the values of an attribute of the user: one, or every role for "roles"; none if it has no such
/// attribute or an empty one.
[[nodiscard]] std::vector<std::string> attribute(const auth::User& user, std::string_view name);
[[nodiscard]] std::string_view describe(Refusal refusal);

}  // namespace gatehouse::policy
