// Identity on its way downstream: what the client may not say, and what we say instead.
//
// A program behind us believes these variables because nobody else can set them. Every name is therefore ours in all
// its spellings (case, '-', '_', '.', a space, '['), on public routes too.
#pragma once

#include <expected>
#include <string>

#include "auth/session.hpp"
#include "cgi/environment.hpp"
#include "gateway/settings.hpp"
#include "http/request.hpp"

namespace gatehouse::gateway {

/// Makes the identity of a validated user and the state of the session (nullptr: nobody, every configured header
/// empty).
/// Fails with a sentence that names the attribute which holds a control byte: such a value is refused, never cleaned.
[[nodiscard]] std::expected<cgi::Identity, std::string> make_identity(const IdentitySettings& settings,
                                                                      const auth::User* user, auth::SessionState state);

/// Returns the request as a script may see it: without any header we own, and, where configured, without our cookies.
[[nodiscard]] http::Request without_owned_headers(http::Request request, const IdentitySettings& settings,
                                                  std::string_view session_cookie_name);

/// True if a client may not send a header of that name, in whatever spelling: it is configured, or reserved.
[[nodiscard]] bool is_owned_header(const IdentitySettings& settings, std::string_view name);

/// True for such a name if it is not spelled as we send it: a web server that sets ours leaves this one beside it.
[[nodiscard]] bool is_alias_of_owned_header(const IdentitySettings& settings, std::string_view name);

/// Two header names that some server or language maps to the same variable have the same canonical form: lower case,
/// every byte outside [a-z0-9] a '-'.
[[nodiscard]] std::string canonical_header_name(std::string_view name);

}  // namespace gatehouse::gateway
