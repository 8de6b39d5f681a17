// RFC 3875 in both directions: meta-variables (a FastCGI request's parameters, a CGI process's environment) become an
// http::Request; a request that is to be run becomes the environment of a script. Pure.
#pragma once

#include <expected>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "http/malformed.hpp"
#include "http/request.hpp"

namespace gatehouse::cgi {

using Variables = std::vector<std::pair<std::string, std::string>>;

/// Returns the last value of that name, as php-fpm reads it; empty if there is none.
[[nodiscard]] std::string_view last_value(const Variables& variables, std::string_view name);

struct ReadOptions {
  std::string request_id;
  /// SCRIPT_NAME of the check endpoint. A request that has it asks about another one: GATEHOUSE_METHOD is that one's
  /// method, and what is malformed is 403.
  std::string check_path = {};
  bool is_authorizer = false;  ///< asks about another one in any case, and PATH_INFO is never its path
  bool is_mounted = false;     ///< the cgi door: PATH_INFO is the path. GATEHOUSE_MOUNT=1 sets it too
};

/// Makes a request of meta-variables.
/// Which path: GATEHOUSE_PATH (decoded already), where mounted PATH_INFO (empty = "/"), else REQUEST_URI decoded once;
/// none: Malformed. Of an authorizer MATCH_GATEHOUSE_PATH (Apache, decoded) or REDIRECT_URI (lighttpd) is the path that
/// will be served in its place. Names outside [A-Z0-9_] (and those with a
/// NUL) are dropped. Doubled: of non-HTTP_ names and HTTP_HOST the last counts; HTTP_COOKIE are joined with "; ";
/// GATEHOUSE_*, HTTP_ORIGIN, HTTP_SEC_FETCH_* with differing values: Malformed; of other HTTP_ names the values are
/// joined with ", ". HTTP_PROXY, HTTP_AUTHORIZATION, HTTP_CONTENT_LENGTH, HTTP_CONTENT_TYPE, REMOTE_USER, AUTH_TYPE are
/// never believed and never kept. Values with control bytes other than TAB: Malformed. Variables that neither this list
/// nor http::Request names are not looked at. Source: PRODUCT.md section 1; facts on doubled and aliased parameters.
[[nodiscard]] std::expected<http::Request, http::Malformed> read_request(const Variables& variables,
                                                                         const ReadOptions& options);

/// Returns the variable that a header becomes, in the reading of whoever reads most into a name (PHP): "x.user" is
/// HTTP_X_USER.
[[nodiscard]] std::string header_variable(std::string_view header);

/// Which program a request runs, and how its path is cut.
struct Script {
  std::string filename;     ///< absolute; SCRIPT_FILENAME
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

/// Makes the whole environment of a script, as "NAME=value" lines: RFC 3875's variables, HTTP_* of the request's
/// headers (which the gateway has already stripped of every name it owns), the identity, `extra` (the configuration's
/// `env`) last. Nothing of our own environment is inherited but PATH, LANG, LC_ALL and TZ. Never set: HTTP_PROXY,
/// HTTP_AUTHORIZATION, PHP_VALUE, PHP_ADMIN_VALUE, HTTP_REDIRECT_STATUS, LD_*.
[[nodiscard]] std::vector<std::string> script_environment(const http::Request& request, const Script& script,
                                                          const Identity& identity,
                                                          const std::map<std::string, std::string>& extra);

}  // namespace gatehouse::cgi
