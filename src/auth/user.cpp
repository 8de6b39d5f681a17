// The two texts that stand for values in the user and key tables: key ids and role lists.
#include "auth/user.hpp"

#include <algorithm>
#include <string_view>

namespace gatehouse::auth {

namespace {

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) {
    return {};
  }
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

}  // namespace

std::string_view Key::provider_id() const {
  return std::string_view(id).substr(0, id.find(':'));
}

std::string_view Key::provider_user_id() const {
  const std::size_t colon = id.find(':');
  return colon == std::string::npos ? std::string_view() : std::string_view(id).substr(colon + 1);
}

std::string key_id(std::string_view provider, std::string_view identifier) {
  std::string id(provider);
  id += ':';
  id += identifier;
  return id;
}

std::vector<std::string> split_roles(std::string_view list) {
  std::vector<std::string> roles;
  for (std::size_t start = 0; start <= list.size();) {
    const std::size_t comma = std::min(list.find(',', start), list.size());
    if (const auto role = trimmed(list.substr(start, comma - start)); !role.empty()) {
      roles.emplace_back(role);
    }
    start = comma + 1;
  }
  return roles;
}

// Without spaces, so that SQL's FIND_IN_SET works on the column.
std::string join_roles(const std::vector<std::string>& roles) {
  std::string list;
  for (const auto& role : roles) {
    if (!list.empty()) {
      list += ',';
    }
    list += role;
  }
  return list;
}

}  // namespace gatehouse::auth
