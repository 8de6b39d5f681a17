// Where a request comes from: the origin check. A page of another site may make a browser send our cookie; it cannot
// make it lie about the origin. Pure; after Envoy's csrf filter and Lucia's verifyRequestOrigin, with scheme, host and
// port all counting.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "http/origin.hpp"

namespace gatehouse::auth {

/// The header values that the check reads; an absent one is nullopt, an empty one is "".
struct OriginEvidence {
  std::string_view method;
  std::optional<std::string_view> origin;
  std::optional<std::string_view> sec_fetch_site;
};

enum class OriginVerdict {
  safe_method,  ///< GET, HEAD, OPTIONS, TRACE: changes nothing, not looked at
  own,          ///< Origin is ours or allowed; without Origin: Sec-Fetch-Site same-origin or none
  foreign,      ///< another origin, "null", unparsable, empty; without Origin: same-site, cross-site or unknown words
  unknown,      ///< neither header: no browser. The session counts for pages; our own POST endpoints refuse
};

/// Judges a request against its own origin (nullopt if it has none that can be told: then no Origin is own by itself)
/// and the configured ones.
[[nodiscard]] OriginVerdict judge_origin(const OriginEvidence& evidence, const std::optional<http::Origin>& own,
                                         std::span<const http::Origin> allowed);

}  // namespace gatehouse::auth
