// RFC 3875's meta-variables, a FastCGI request's parameters or a CGI process's environment, become an http::Request.
// Pure.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "cgi/variables.hpp"
#include "http/malformed.hpp"
#include "http/request.hpp"

namespace gatehouse::cgi {

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
/// will be served in its place. Names outside [A-Z0-9_] (and those with a NUL) are dropped. Doubled: of non-HTTP_ names
/// and HTTP_HOST the last counts; HTTP_COOKIE are joined with "; "; GATEHOUSE_*, HTTP_ORIGIN, HTTP_SEC_FETCH_* with
/// differing values: Malformed; of other HTTP_ names the values are joined with ", ". HTTP_PROXY, HTTP_AUTHORIZATION,
/// HTTP_CONTENT_LENGTH, HTTP_CONTENT_TYPE, REMOTE_USER, AUTH_TYPE are never believed and never kept. Values with
/// control bytes other than TAB: Malformed. Variables that neither this list nor http::Request names are not looked at.
/// Source: PRODUCT.md section 1; facts on doubled and aliased parameters.
[[nodiscard]] std::expected<http::Request, http::Malformed> read_request(const Variables& variables,
                                                                         const ReadOptions& options);

}  // namespace gatehouse::cgi
