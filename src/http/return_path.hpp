// Where to go after login and logout. An open redirect is the classic defect of a login page; this is the
// only function that turns what a client sent into a Location.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace gatehouse::http {

/// A longer Location becomes "/": our whole header block must fit into 4,000 bytes (nginx's page).
inline constexpr std::size_t kMaxReturnBytes = 2048;

/// Returns a Location that is safe to send for the (already form-decoded) `rd` of a client.
/// A local path ("/…", with an optional query) is returned normalised and escaped again; an absolute http(s)
/// URL only if its host[:port] is in `allowed_hosts` (case does not matter; an entry without port means the
/// scheme's default port); everything else becomes "/", "//host" too.
/// A fragment is dropped. Bytes below 0x21, 0x7f and '\' are never let through, whether in path or query; other bytes
/// that a browser would escape in a query (non-ASCII, quotes, '<', '>') are escaped.
[[nodiscard]] std::string safe_return_path(std::string_view rd, std::span<const std::string> allowed_hosts);

}  // namespace gatehouse::http
