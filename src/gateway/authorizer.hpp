// The FCGI_AUTHORIZER role: a web server asks before it serves a page, and puts `Variable-NAME` of a 200 into the
// environment of the page's script.
//
// What such servers make of an answer differs, and some of it lets a visitor in: lighttpd passes whatever has no
// status, mod_authnz_fcgi hands every other header of a 200 on to the visitor. So a 200 is our word only when it is
// meant, and holds variables and nothing else.
#pragma once

#include "gateway/scope.hpp"

namespace gatehouse::gateway {

/// Who asks, as far as the answer depends on it.
enum class Asker {
  server,          ///< mod_authnz_fcgi, lighttpd: hands a refusal to the visitor as it is
  access_checker,  ///< mod_fcgid's FcgidAccessChecker: makes 401 of every refusal
  basic_hook,      ///< mod_fcgid's Authenticator and Authorizer, which begin with a Basic name and password
};

/// Answers 200 with the identity in variables, or refuses: a navigation without a session gets 302 to the login (401
/// where `asker` cannot hand it on), anything else 401, 403 or 503. An access checker gets a
/// bare 401, whatever the reason. Never reads a body: there is none, and no end of it
/// either. A session is renewed as in the check door, and a 200 has its cookie only where the front server says that it
/// delivers it; a refusal reaches the visitor everywhere.
/// A header of the visitor's under a name that is ours is 403, unless it says what we say: the front server has to take
/// it out, and what it could not take out would reach the script beside ours.
[[nodiscard]] net::Task<> serve_authorizer(World& world, Scope& scope, net::Exchange& exchange, Asker asker);

/// The login shown in the place of a page that was refused, by a web server that does not say why: answers 403 to
/// somebody whom the page is not for, and 503 if that is not known. Returns false where a login is what helps.
[[nodiscard]] net::Task<bool> serve_refusal(World& world, Scope& scope, net::Exchange& exchange);

}  // namespace gatehouse::gateway
