// What an HTTP request asks of us: which page it is about and whose word counts for it. Pure.
#pragma once

#include <expected>
#include <string>

#include "http/malformed.hpp"
#include "http/networks.hpp"
#include "http/request.hpp"
#include "httpd/request.hpp"

namespace gatehouse::httpd {

struct ReadOptions {
  std::string request_id;
  std::string prefix;  ///< of the endpoints ("/auth"): `check`, `forward` and `login` read headers of their own
  /// Peers whose forwarded headers count, besides every unix socket; nullptr: none. Outlives the call.
  const http::Networks* trusted = nullptr;
};

/// Makes a request of an HTTP head.
///
/// The endpoint is the target's path, decoded once and normalised; it becomes `endpoint_path`. The page asked about
/// (`path`, `query`, `method`, `scheme`, `host`) is:
/// - `check`: X-Original-URI, or what stands behind `check` in the target ("/auth/check/a%20page": nginx escapes a path
///   only there); X-Original-Method, X-Original-Proto, Host;
/// - `forward`: X-Forwarded-Uri, X-Forwarded-Method, X-Forwarded-Proto, X-Forwarded-Host, else Host;
/// - every other endpoint: the target itself; X-Forwarded-Proto, X-Forwarded-Host, else Host. For `login`,
///   X-Original-URI names the page it was shown in the place of (`path`, `query`), as REQUEST_URI does over FastCGI.
/// A scheme that nobody names is http; ws and wss count as http and https. A method that nobody names is empty in check
/// and forward: no rule that asks for one matches then, and none is passed over (policy::match).
/// X-Forwarded-For names the client: its rightmost entry that is not trusted, the leftmost if all are, without the port
/// that Azure adds; else it is the peer. X-Gatehouse-Cookies is `delivers_cookies`.
/// The X- fields and a page in the target are read only from a unix socket or a trusted peer; from anybody else they
/// are as good as absent. Host is read from everybody. Empty fields are as good as absent, but for X-Forwarded-Host: no
/// host then.
///
/// Malformed (403 in check and forward, else 400): no path in check and forward, or two; a path that http::Path
/// refuses; any of the fields named above or Content-Type given twice, from whomever, also with the same value;
/// X-Original-URI or -Method beside X-Forwarded-Uri or -Method in check and forward; a method that is no token; another
/// scheme; a host that is none; an entry of X-Forwarded-For that is no address; X-Gatehouse-Cookies other than 0 and 1;
/// Origin or Sec-Fetch-* twice with differing values; in check and forward a field name outside [A-Za-z0-9_-], which
/// some language reads as another one's (elsewhere such a field is dropped). A target that is no path of ours
/// (absolute-form too: front servers send none) is 400: nobody can tell the endpoint.
///
/// Names of fields are kept in lower case; '_' stays what it is. Cookie fields are joined with "; ", other doubled ones
/// with ", ". Never kept: Authorization, Proxy, Connection and the other hop-by-hop fields, Content-Length, and those
/// read here. Others that begin with X-Forwarded- or X-Gatehouse- are: an alias of an identity header must be seen.
/// In check and forward there is no body: `content_type` and `content_length` are empty. Source: PRODUCT.md section 1.
[[nodiscard]] std::expected<http::Request, http::Malformed> read_request(const RequestHead& head, const Peer& peer,
                                                                         const ReadOptions& options);

}  // namespace gatehouse::httpd
