// The values that hang together under one name: session profiles and header presets (PRODUCT.md, table of section 2).
#include "config/config.hpp"

namespace gatehouse::config {

Session session_preset(Profile profile) {
  Session session;
  session.profile = profile;
  if (profile == Profile::hardened) return session;
  session.cookie.name = "auth_session";
  session.periods.max_lifetime = auth::Milliseconds{0};
  session.renewal = auth::Renewal::extend;
  session.token_storage = auth::TokenStorage::plain;
  session.token_alphabet = auth::TokenAlphabet::base62;
  session.hash_scheme = auth::HashScheme::lucia_scrypt;
  session.rehash_on_login = false;  // a Node program beside us could not verify argon2id
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
