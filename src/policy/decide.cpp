#include "policy/decide.hpp"

#include <algorithm>
#include <utility>

namespace gatehouse::policy {
namespace {

using Requirement = std::pair<const std::string, std::vector<std::string>>;

std::vector<std::string> present(const std::string& value) {
  if (value.empty()) return {};
  return {value};
}

bool matches_any(const std::vector<std::string>& globs, const std::string& value) {
  return std::ranges::any_of(globs, [&value](const std::string& glob) { return glob_matches(glob, value); });
}

bool meets(const auth::User& user, const Requirement& requirement) {
  const auto values = attribute(user, requirement.first);
  return std::ranges::any_of(values, [&](const std::string& value) { return matches_any(requirement.second, value); });
}

bool meets_all(const auth::User& user, const Route& route) {
  return std::ranges::all_of(route.require, [&](const Requirement& requirement) { return meets(user, requirement); });
}

Decision decide_for_user(const Route& route, const auth::User* user) {
  // Validation ends the sessions of a disabled user; this holds even where a caller forgot to validate.
  if (user == nullptr || user->disabled) return Denied{Refusal::no_session, &route};
  if (!meets_all(*user, route)) return Denied{Refusal::not_permitted, &route};
  return Allowed{&route};
}

}  // namespace

Decision decide(const Route* route, const auth::User* user) {
  if (route == nullptr) return Denied{Refusal::no_route, nullptr};
  switch (route->access) {
    case Access::deny: return Denied{Refusal::denied_route, route};
    case Access::authenticated: return decide_for_user(*route, user);
    case Access::public_:
      // The configuration refuses `require` on a public route; should one come here, it counts.
      if (route->require.empty()) return Allowed{route};
      return decide_for_user(*route, user);
  }
  return Denied{Refusal::denied_route, route};
}

std::vector<std::string> attribute(const auth::User& user, std::string_view name) {
  if (name == "id") return present(user.id);
  if (name == "username") return present(user.username);
  if (name == "name") return present(user.name);
  if (name == "email") return present(user.email);
  if (name == "roles") return user.roles;
  const auto further = user.attributes.find(std::string(name));
  if (further == user.attributes.end()) return {};
  return present(further->second);
}

std::string_view describe(Refusal refusal) {
  switch (refusal) {
    case Refusal::no_route: return "no route matches";
    case Refusal::denied_route: return "the route denies everybody";
    case Refusal::no_session: return "no valid session";
    case Refusal::not_permitted: return "the user does not meet the route's requirements";
  }
  return "refused";
}

}  // namespace gatehouse::policy
