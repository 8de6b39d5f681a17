#include "http/origin.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>

#include "http/headers.hpp"
#include "http/number.hpp"
#include "http/percent.hpp"

namespace gatehouse::http {
namespace {

struct HostAndPort {
  std::string host;
  std::string_view port;  ///< digits; empty if there is none ("host" and "host:" are both valid)
};

bool is_digit(char byte) {
  return byte >= '0' && byte <= '9';
}

// RFC 952 names, and '_', which machines in private networks have. Escapes and non-ASCII are refused: what they
// become is decided by a browser's IDNA tables, which we do not have. Empty labels (but a last one) are no name.
bool is_name(std::string_view host) {
  if (host.empty() || host.size() > 255 || host.front() == '.') return false;
  if (host.find("..") != std::string_view::npos) return false;
  return std::ranges::all_of(host, [](char byte) { return is_unreserved(byte) && byte != '~'; });
}

// One spelling for each address, so that "[0:0::1]" and "[::1]" are one host. Zone ids are refused.
std::optional<std::string> canonical_ipv6(std::string_view address) {
  const std::string text(address);
  in6_addr bytes{};
  std::array<char, INET6_ADDRSTRLEN> canonical{};
  if (text.find('\0') != std::string::npos || inet_pton(AF_INET6, text.c_str(), &bytes) != 1) return std::nullopt;
  if (inet_ntop(AF_INET6, &bytes, canonical.data(), canonical.size()) == nullptr) return std::nullopt;
  return "[" + std::string(canonical.data()) + "]";
}

std::optional<HostAndPort> with_port(std::string host, std::string_view rest) {
  if (rest.empty()) return HostAndPort{std::move(host), {}};
  if (rest.front() != ':') return std::nullopt;
  rest.remove_prefix(1);
  if (!std::ranges::all_of(rest, is_digit)) return std::nullopt;
  return HostAndPort{std::move(host), rest};
}

// RFC 9110 section 7.2: uri-host [ ":" port ], the port being any number of digits, none among them.
std::optional<HostAndPort> split_host(std::string_view text) {
  if (text.starts_with('[')) {
    const auto bracket = text.find(']');
    if (bracket == std::string_view::npos) return std::nullopt;
    auto host = canonical_ipv6(text.substr(1, bracket - 1));
    if (!host) return std::nullopt;
    return with_port(std::move(*host), text.substr(bracket + 1));
  }
  const auto colon = std::min(text.find(':'), text.size());
  if (!is_name(text.substr(0, colon))) return std::nullopt;
  return with_port(to_lower(text.substr(0, colon)), text.substr(colon));
}

std::optional<std::uint16_t> parse_port(std::string_view digits) {
  const auto port = parse_number<std::uint16_t>(digits);
  return port == 0 ? std::nullopt : port;
}

std::optional<std::uint16_t> default_port(std::string_view scheme) {
  if (scheme == "http") return 80;
  if (scheme == "https") return 443;
  return std::nullopt;
}

}  // namespace

std::optional<Origin> Origin::parse(std::string_view text) {
  constexpr std::string_view kSeparator = "://";
  const auto separator = text.find(kSeparator);
  if (separator == std::string_view::npos) return std::nullopt;
  auto authority = text.substr(separator + kSeparator.size());
  if (authority.ends_with('/')) authority.remove_suffix(1);
  if (authority.ends_with(':')) return std::nullopt;  // valid in a Host header, but no browser's origin
  return of_request(text.substr(0, separator), authority, 0);
}

std::optional<Origin> Origin::of_request(std::string_view scheme, std::string_view host, std::uint16_t server_port) {
  Origin origin;
  origin.scheme = to_lower(scheme);
  const auto standard = default_port(origin.scheme);
  auto parts = split_host(host);
  if (!standard || !parts) return std::nullopt;
  origin.host = std::move(parts->host);
  origin.port = server_port == 0 ? *standard : server_port;
  if (!parts->port.empty()) {
    const auto port = parse_port(parts->port);
    if (!port) return std::nullopt;
    origin.port = *port;
  }
  return origin;
}

std::string Origin::text() const {
  auto text = scheme + "://" + host;
  if (default_port(scheme) != port) text += ":" + std::to_string(port);
  return text;
}

std::string_view scheme_of(std::string_view https, std::string_view request_scheme) {
  const bool is_secure =
      equals_ignoring_case(https, "on") || https == "1" || equals_ignoring_case(request_scheme, "https");
  return is_secure ? "https" : "http";
}

std::string host_without_port(std::string_view host) {
  auto parts = split_host(host);
  return parts ? std::move(parts->host) : std::string();
}

}  // namespace gatehouse::http
