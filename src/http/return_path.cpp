#include "http/return_path.hpp"

#include <algorithm>
#include <optional>

#include "http/origin.hpp"
#include "http/path.hpp"
#include "http/percent.hpp"

namespace gatehouse::http {
namespace {

// Browsers drop TAB, CR and LF wherever they stand and read '\' as '/', after we have looked: "/<TAB>/evil" is
// "//evil".
bool has_treacherous_byte(std::string_view text) {
  return std::ranges::any_of(text, [](char byte) { return is_control(byte) || byte == ' ' || byte == '\\'; });
}

// WHATWG URL, special-query percent-encode set. '%' stays: the query has been escaped by whoever made it.
std::string escape_query(std::string_view query) {
  std::string out;
  out.reserve(query.size());
  for (const char byte : query) {
    if (is_ascii(byte) && std::string_view("\"<>'").find(byte) == std::string_view::npos) {
      out += byte;
    } else {
      append_escape(out, byte);
    }
  }
  return out;
}

// Builds "/path?query" anew from what stands behind the authority; nullopt if the path is refused.
std::optional<std::string> rebuild_local(std::string_view text) {
  const auto target = split_target(text);
  const auto path = target.path.empty() ? Path() : Path::parse(target.path);
  if (!path) return std::nullopt;
  auto local = path->escaped();
  if (!target.query.empty()) local += "?" + escape_query(target.query);
  return local;
}

bool is_allowed(const Origin& origin, std::span<const std::string> allowed_hosts) {
  return std::ranges::any_of(allowed_hosts,
                             [&](const auto& host) { return Origin::of_request(origin.scheme, host, 0) == origin; });
}

// The origin comes from the parsed parts as well: nothing of the client's spelling of it reaches the Location.
std::optional<std::string> rebuild_absolute(std::string_view url, std::span<const std::string> allowed_hosts) {
  const auto scheme_end = url.find("://");
  if (scheme_end == std::string_view::npos) return std::nullopt;
  const auto authority_end = std::min(url.find_first_of("/?", scheme_end + 3), url.size());
  const auto origin = Origin::parse(url.substr(0, authority_end));
  if (!origin || !is_allowed(*origin, allowed_hosts)) return std::nullopt;
  const auto local = rebuild_local(url.substr(authority_end));
  if (!local) return std::nullopt;
  return origin->text() + *local;
}

std::optional<std::string> rebuild(std::string_view rd, std::span<const std::string> allowed_hosts) {
  if (has_treacherous_byte(rd)) return std::nullopt;
  const auto without_fragment = rd.substr(0, rd.find('#'));
  // "//host" is a URL without a scheme, not a path with an empty segment.
  if (without_fragment.empty() || without_fragment.starts_with("//")) return std::nullopt;
  if (without_fragment.starts_with('/')) return rebuild_local(without_fragment);
  return rebuild_absolute(without_fragment, allowed_hosts);
}

}  // namespace

std::string safe_return_path(std::string_view rd, std::span<const std::string> allowed_hosts) {
  auto location = rebuild(rd, allowed_hosts);
  if (!location || location->size() > kMaxReturnBytes) return "/";
  return std::move(*location);
}

}  // namespace gatehouse::http
