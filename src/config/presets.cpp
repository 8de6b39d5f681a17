// The values that hang together under one name: session profiles and header presets (PRODUCT.md, table of section 2).
#include "auth/auth.hpp"
#include "config/config.hpp"

namespace gatehouse::config {

Session session_preset(Profile profile) {
  Session session;
  session.profile = profile;
  if (profile == Profile::hardened) return session;
  const auth::AuthOptions lucia = auth::lucia_options();
  session.cookie.name = lucia.cookie.name;
  session.periods.max_lifetime = lucia.periods.max_lifetime;
  session.renewal = lucia.renewal;
  session.token_storage = lucia.token_storage;
  session.token_alphabet = lucia.token_alphabet;
  session.hash_scheme = lucia.new_hashes;
  session.rehash_on_login = lucia.rehash_on_login;
  return session;
}

std::optional<HeaderMap> header_preset(std::string_view name) {
  if (name == "remote") return Identity{}.headers;
  if (name == "x-auth-request") {
    return HeaderMap{{"X-Auth-Request-User", "username"},
                     {"X-Auth-Request-Email", "email"},
                     {"X-Auth-Request-Groups", "roles"},
                     {"X-Auth-Request-Preferred-Username", "username"}};
  }
  if (name == "x-forwarded") {
    return HeaderMap{{"X-Forwarded-User", "username"},
                     {"X-Forwarded-Email", "email"},
                     {"X-Forwarded-Groups", "roles"},
                     {"X-Forwarded-Preferred-Username", "username"}};
  }
  return std::nullopt;
}

}  // namespace gatehouse::config
