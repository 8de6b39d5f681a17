// Who somebody is, and the key that they prove it with. Values only.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/time.hpp"

namespace gatehouse::auth {

/// A row of the user table.
struct User {
  std::string id;
  std::string username;
  std::string name;
  std::string email;
  std::vector<std::string> roles;  ///< stored as a comma list
  bool disabled = false;
  Timestamp created_at;
  /// Further columns of the user table that an administrator added, by column name; NULL reads as "".
  std::map<std::string, std::string> attributes;

  bool operator==(const User&) const = default;
};

/// A row of the key table (Lucia: the provider id and the id at that provider).
/// `id` is "provider:identifier"; the provider holds no colon, so the first one divides them.
struct Key {
  std::string id;
  std::string user_id;
  std::optional<std::string> hashed_password;  ///< nullopt: this key has no password and none fits
  std::optional<Timestamp> expires = {};       ///< a single-use key, until then; nullopt: persistent
  bool primary = false;                        ///< Lucia 1.x: made with its user, ends with it; elsewhere never true

  [[nodiscard]] std::string_view provider_id() const;
  [[nodiscard]] std::string_view provider_user_id() const;
  /// Strictly later is expired, the exact millisecond still counts.
  [[nodiscard]] bool is_expired(Timestamp now) const { return expires && now > *expires; }

  bool operator==(const Key&) const = default;
};

inline constexpr const char* kUsernameProvider = "username";

[[nodiscard]] std::string key_id(std::string_view provider, std::string_view identifier);
/// "admin, ops" ⇄ {"admin","ops"}: parts are trimmed, empty ones left out.
[[nodiscard]] std::vector<std::string> split_roles(std::string_view list);
[[nodiscard]] std::string join_roles(const std::vector<std::string>& roles);

}  // namespace gatehouse::auth
