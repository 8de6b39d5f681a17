// A request that is to be run becomes what RFC 3875 tells a script: the environment of a CGI program, the parameters of
// a FastCGI application. Pure, but for what a program inherits of our own environment.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cgi/variables.hpp"
#include "http/request.hpp"

namespace gatehouse::cgi {

/// Returns the variable that a header becomes, in the reading of whoever reads most into a name (PHP): "x.user" is
/// HTTP_X_USER.
[[nodiscard]] std::string header_variable(std::string_view header);

/// Which program a request runs, and how its path is cut.
struct Script {
  std::string filename;     ///< absolute; SCRIPT_FILENAME; empty: an application that is no file
  std::string script_name;  ///< the part of the decided path that names it
  std::string path_info;    ///< the rest, decoded; empty if none
  std::string root;         ///< DOCUMENT_ROOT; PATH_TRANSLATED is root + path_info; empty: neither is set
};

/// The validated identity, as a script sees it. Nothing of it comes from the client.
struct Identity {
  std::optional<std::string> remote_user;  ///< unset: REMOTE_USER and AUTH_TYPE are unset too, never empty
  std::string user_id;
  std::string session_state;          ///< "active" or "idle"
  std::vector<http::Header> headers;  ///< each configured header, an empty value where there is none
};

/// Makes what a script is told, each name once, by name: RFC 3875's variables, HTTP_* of the request's headers (which
/// the gateway has already stripped of every name it owns), the identity, `extra` (the configuration's `env`) last.
/// Never set: HTTP_PROXY, HTTP_AUTHORIZATION, PHP_VALUE, PHP_ADMIN_VALUE, HTTP_REDIRECT_STATUS, LD_*.
[[nodiscard]] Variables script_variables(const http::Request& request, const Script& script, const Identity& identity,
                                         const std::map<std::string, std::string>& extra);
/// Makes the whole environment of a program of it, as "NAME=value" lines. Nothing of our own is inherited but PATH,
/// LANG, LC_ALL and TZ.
[[nodiscard]] std::vector<std::string> script_environment(const http::Request& request, const Script& script,
                                                          const Identity& identity,
                                                          const std::map<std::string, std::string>& extra);

}  // namespace gatehouse::cgi
