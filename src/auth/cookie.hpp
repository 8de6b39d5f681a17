// Cookies, both ways (RFC 6265 and the jshttp/cookie rules that Lucia reads by). Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/time.hpp"

namespace gatehouse::auth {

enum class SameSite { lax, strict, none };

/// Name and attributes of our cookie; the same for setting and for removing it. Immutable.
struct CookieProfile {
  std::string name = "__Host-session";
  std::string path = "/";
  std::string domain;  ///< empty: host-only
  SameSite same_site = SameSite::lax;
  bool secure = true;
};

/// Every value under exactly this name in a Cookie header, in order. Split at ';' only; the first '=' ends the name;
/// both are trimmed of SP and TAB; a value in double quotes loses them; segments without '=' and empty names are
/// skipped; no percent-decoding (a token has none); names are case-sensitive. Never fails, whatever the bytes.
[[nodiscard]] std::vector<std::string> cookie_values(std::string_view cookie_header, std::string_view name);

/// Returns the Cookie header without the cookies of that name; nullopt if nothing is left. The others keep their bytes
/// and order.
[[nodiscard]] std::optional<std::string> without_cookie(std::string_view cookie_header, std::string_view name);

/// Makes a Set-Cookie value: name=value; Domain; Path; Expires; HttpOnly; Secure; SameSite. `expires` nullopt: a
/// browser-session cookie. An expiry over 400 days ahead of `now` is clipped to that (RFC 6265bis).
[[nodiscard]] std::string set_cookie(const CookieProfile& profile, std::string_view value,
                                     std::optional<Timestamp> expires, Timestamp now);
/// The same attributes, an empty value, Expires at the epoch and Max-Age=0.
[[nodiscard]] std::string remove_cookie(const CookieProfile& profile);

/// The cookie-name of a Set-Cookie value, trimmed; empty if it has none.
[[nodiscard]] std::string_view set_cookie_name(std::string_view set_cookie_value);

/// RFC 9110 IMF-fixdate, cut to seconds: "Sun, 06 Nov 1994 08:49:37 GMT".
[[nodiscard]] std::string http_date(Timestamp time);

}  // namespace gatehouse::auth
