// The origin check as one rule: safe methods pass, Origin decides where there is one, Sec-Fetch-Site where there is
// none.
#include "auth/csrf.hpp"

#include <algorithm>

namespace gatehouse::auth {

namespace {

// Methods are case-sensitive (RFC 9110 section 9.1): "get" is some other method, and downstream may act on it.
bool is_safe(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "TRACE";
}

OriginVerdict judge_origin_header(std::string_view text, const std::optional<http::Origin>& own,
                                  std::span<const http::Origin> allowed) {
  const auto origin = http::Origin::parse(text);
  if (!origin) {
    return OriginVerdict::foreign;
  }
  const bool is_known = origin == own || std::ranges::find(allowed, *origin) != allowed.end();
  return is_known ? OriginVerdict::own : OriginVerdict::foreign;
}

// "none" is the visitor's own doing (address bar, bookmark). "same-site" may be a neighbour's sub-domain.
OriginVerdict judge_fetch_site(std::string_view site) {
  return site == "same-origin" || site == "none" ? OriginVerdict::own : OriginVerdict::foreign;
}

}  // namespace

OriginVerdict judge_origin(const OriginEvidence& evidence, const std::optional<http::Origin>& own,
                           std::span<const http::Origin> allowed) {
  if (is_safe(evidence.method)) {
    return OriginVerdict::safe_method;
  }
  if (evidence.origin) {
    return judge_origin_header(*evidence.origin, own, allowed);
  }
  if (evidence.sec_fetch_site) {
    return judge_fetch_site(*evidence.sec_fetch_site);
  }
  return OriginVerdict::unknown;
}

}  // namespace gatehouse::auth
