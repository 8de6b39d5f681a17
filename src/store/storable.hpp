// What every store refuses before it writes, because it would read back as something else.
#pragma once

#include <string>
#include <vector>

#include "auth/user.hpp"

namespace gatehouse::store {

/// False for a role that the comma list would tear apart, trim or drop: a store answers invalid_attribute.
[[nodiscard]] inline bool can_store_roles(const std::vector<std::string>& roles) {
  return auth::split_roles(auth::join_roles(roles)) == roles;
}

}  // namespace gatehouse::store
