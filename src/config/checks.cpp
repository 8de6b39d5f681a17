#include "config/checks.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <limits>
#include <span>

#include "config/values.hpp"
#include "http/origin.hpp"
#include "http/syntax.hpp"

namespace gatehouse::config {
namespace {

constexpr std::string_view kLower = "abcdefghijklmnopqrstuvwxyz";
constexpr std::string_view kUpper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
constexpr std::string_view kDigits = "0123456789";

bool is_letter(char c) {
  return kLower.contains(c) || kUpper.contains(c);
}
bool is_alnum(char c) {
  return is_letter(c) || kDigits.contains(c);
}

template <typename Predicate>
bool all(std::string_view text, Predicate predicate) {
  return std::ranges::all_of(text, predicate);
}

Wrong wrong(std::string_view text, std::string_view what, std::string_view allowed) {
  return in_quotes(text).append(" ").append(what).append("; allowed: ").append(allowed);
}

bool is_identifier(std::string_view text, std::size_t longest) {
  return !text.empty() && text.size() <= longest && !kDigits.contains(text.front()) &&
         all(text, [](char c) { return is_alnum(c) || c == '_'; });
}

bool is_host_name(std::string_view text) {
  const auto allowed = [](char c) { return is_alnum(c) || c == '-' || c == '.' || c == '_'; };
  return !text.empty() && text.size() <= 253 && text.front() != '-' && text.front() != '.' && !text.contains("..") &&
         all(text, allowed);
}

bool is_ipv4(std::string_view text) {
  in_addr address{};
  return inet_pton(AF_INET, std::string(text).c_str(), &address) == 1;
}

bool is_ipv6(std::string_view text) {
  in6_addr address{};
  return inet_pton(AF_INET6, std::string(text).c_str(), &address) == 1;
}

bool is_bracketed_ipv6(std::string_view text) {
  return text.size() > 2 && text.front() == '[' && text.back() == ']' && is_ipv6(text.substr(1, text.size() - 2));
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  const auto number = parse_number(text);
  if (!number || *number == 0 || *number > std::numeric_limits<std::uint16_t>::max()) return std::nullopt;
  return static_cast<std::uint16_t>(*number);
}

// True for the visible part of ASCII: no spaces, no control bytes, nothing to escape.
bool is_visible(std::string_view text) {
  return all(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

bool is_unix(std::string_view text) {
  constexpr std::string_view kScheme = "unix:";
  // A name that begins with '@' is meant as an abstract socket, which has no owner and no mode: anybody may take it.
  return text.starts_with(kScheme) && text.size() > kScheme.size() && text[kScheme.size()] != '@';
}

bool is_tcp(std::string_view text, bool names_allowed) {
  constexpr std::string_view kScheme = "tcp:";
  if (!text.starts_with(kScheme)) return false;
  const auto parts = split_host_port(text.substr(kScheme.size()));
  return parts && parts->port && (names_allowed || is_address(parts->host));
}

bool contains_ignoring_case(std::span<const std::string_view> words, std::string_view text) {
  const std::string wanted = variable_name(text);
  return std::ranges::any_of(words, [&](std::string_view word) { return variable_name(word) == wanted; });
}

// Headers that mean something to a browser, a proxy or us. Owning one would delete it from every request.
constexpr std::array<std::string_view, 35> kReservedHeaders{"Authorization",
                                                            "Age",
                                                            "Allow",
                                                            "Cache-Control",
                                                            "Connection",
                                                            "Cookie",
                                                            "Date",
                                                            "ETag",
                                                            "Expect",
                                                            "Expires",
                                                            "Forwarded",
                                                            "Host",
                                                            "Keep-Alive",
                                                            "Last-Modified",
                                                            "Location",
                                                            "Origin",
                                                            "Proxy",
                                                            "Range",
                                                            "Referer",
                                                            "Server",
                                                            "Set-Cookie",
                                                            "Status",
                                                            "TE",
                                                            "Trailer",
                                                            "Transfer-Encoding",
                                                            "Upgrade",
                                                            "User-Agent",
                                                            "Vary",
                                                            "Via",
                                                            "WWW-Authenticate",
                                                            "X-Forwarded-For",
                                                            "X-Forwarded-Host",
                                                            "X-Forwarded-Proto",
                                                            "X-Forwarded-Uri",
                                                            "X-Forwarded-Method"};
constexpr std::array<std::string_view, 10> kReservedHeaderPrefixes{
    "ACCEPT", "ACCESS_CONTROL_", "CONTENT_", "IF_",          "PROXY_",
    "SEC_",   "VARIABLE_",       "X_ACCEL_", "X_GATEHOUSE_", "X_ORIGINAL_"};

// What the gateway sets itself, or keeps from a script whoever asks. With REDIRECT_URL php-fpm runs PATH_TRANSLATED,
// another script than the one that was decided.
constexpr std::array<std::string_view, 22> kReservedVariables{
    "AUTH_TYPE",      "CONTENT_LENGTH",  "CONTENT_TYPE",    "DOCUMENT_ROOT",   "GATEWAY_INTERFACE", "HTTPS",
    "PATH_INFO",      "PATH_TRANSLATED", "PHP_ADMIN_VALUE", "PHP_VALUE",       "QUERY_STRING",      "REDIRECT_URL",
    "REQUEST_METHOD", "REQUEST_SCHEME",  "REQUEST_URI",     "SCRIPT_FILENAME", "SCRIPT_NAME",       "SERVER_ADDR",
    "SERVER_NAME",    "SERVER_PORT",     "SERVER_PROTOCOL", "SERVER_SOFTWARE"};
constexpr std::array<std::string_view, 4> kReservedVariablePrefixes{"GATEHOUSE_", "HTTP_", "LD_", "REMOTE_"};

bool starts_with_any(std::string_view text, std::span<const std::string_view> prefixes) {
  return std::ranges::any_of(prefixes, [&](std::string_view prefix) { return text.starts_with(prefix); });
}

bool is_segment(std::string_view segment) {
  const auto unreserved = [](char c) { return is_alnum(c) || std::string_view("-._~").contains(c); };
  return !segment.empty() && segment != "." && segment != ".." && all(segment, unreserved);
}

bool is_local_path(std::string_view text) {
  return text.starts_with('/') && !text.starts_with("//");
}

bool is_absolute_url(std::string_view text) {
  const std::size_t scheme = text.find("://");
  if (scheme == std::string_view::npos) return false;
  const std::size_t end = std::min(text.find_first_of("/?#", scheme + 3), text.size());
  return http::Origin::parse(text.substr(0, end)).has_value();
}

}  // namespace

std::optional<HostPort> split_host_port(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  const bool has_port = colon != std::string_view::npos && !text.ends_with(']');
  const std::string_view host = has_port ? text.substr(0, colon) : text;
  if (!is_host_name(host) && !is_bracketed_ipv6(host)) return std::nullopt;
  HostPort parts{.host = std::string(host), .port = std::nullopt};
  if (!has_port) return parts;
  parts.port = parse_port(text.substr(colon + 1));
  if (!parts.port) return std::nullopt;
  return parts;
}

bool is_address(std::string_view text) {
  return is_ipv4(text) || is_ipv6(text) || is_bracketed_ipv6(text);
}

bool is_loopback(std::string_view address) {
  return (is_ipv4(address) && address.starts_with("127.")) || address == "::1" || address == "[::1]";
}

std::string variable_name(std::string_view header) {
  std::string name(header);
  std::ranges::transform(name, name.begin(), [](char c) {
    if (!is_alnum(c)) return '_';
    return kLower.contains(c) ? static_cast<char>(c - 'a' + 'A') : c;
  });
  return name;
}

bool has_prefix(std::string_view cookie_name, std::string_view prefix) {
  const auto lower = [](char c) { return kUpper.contains(c) ? static_cast<char>(c - 'A' + 'a') : c; };
  return cookie_name.size() >= prefix.size() &&
         std::ranges::equal(cookie_name.substr(0, prefix.size()), prefix, {}, lower, lower);
}

Wrong check_not_empty(const std::string& text) {
  if (!text.empty()) return std::nullopt;
  return "is empty; allowed: a text";
}

Wrong check_database(const std::string& text) {
  constexpr std::size_t kLongest = 64;
  const auto is_plain = [](char c) { return is_alnum(c) || c == '_' || c == '$' || c == '-'; };
  if (!text.empty() && text.size() <= kLongest && all(text, is_plain)) return std::nullopt;
  return wrong(text, "is no name of a database", "1 to 64 letters, digits, '_', '$' and '-'");
}

Wrong check_table(const std::string& text) {
  constexpr std::size_t kLongest = 63;
  if (!is_identifier(text, kLongest)) {
    return wrong(text, "is no table name", "1 to 63 letters, digits and '_', not beginning with a digit");
  }
  const std::string name = variable_name(text);
  if (name == "ROTATED_SESSION" || name == "GATEHOUSE_SCHEMA" || name.starts_with("SQLITE_") ||
      name.starts_with("GATEHOUSE_NEW_")) {
    return wrong(text, "is taken", "another name than rotated_session, gatehouse_schema, gatehouse_new_… and sqlite_…");
  }
  return std::nullopt;
}

Wrong check_attribute(const std::string& text) {
  if (is_identifier(text, 64)) return std::nullopt;
  return wrong(text, "is no attribute of a user", "id, username, name, email, roles or another column");
}

Wrong check_downstream_name(const std::string& text) {
  if (!text.empty() && all(text, [](char c) { return is_alnum(c) || c == '-' || c == '_'; })) return std::nullopt;
  return wrong(text, "is no name for a downstream", "letters, digits, '-' and '_'");
}

Wrong check_listen(const std::string& text) {
  if (is_unix(text) || is_tcp(text, false)) return std::nullopt;
  return wrong(text, "is no address to listen on",
               "unix:PATH or tcp:ADDRESS:PORT with an IP address, such as tcp:127.0.0.1:9000 or tcp:[::1]:9000");
}

Wrong check_listen_or_none(const std::string& text) {
  return text.empty() ? std::nullopt : check_listen(text);
}

Wrong check_connect(const std::string& text) {
  if (is_unix(text) || is_tcp(text, true)) return std::nullopt;
  return wrong(text, "is no address of a FastCGI application", "unix:PATH or tcp:HOST:PORT");
}

Wrong check_mysql_host(const std::string& text) {
  const auto parts = split_host_port(text);
  if (is_unix(text) || (parts && parts->port)) return std::nullopt;
  return wrong(text, "is no address of a server", "unix:PATH or HOST:PORT, such as db1.example.org:3306");
}

Wrong check_proxy(const std::string& text) {
  const std::size_t slash = std::min(text.find('/'), text.size());
  const std::string address = text.substr(0, slash);
  const std::uint64_t widest = is_ipv4(address) ? 32 : 128;
  const bool is_plain = slash == text.size();
  const auto bits = is_plain ? std::optional<std::uint64_t>(0) : parse_number(std::string_view(text).substr(slash + 1));
  if ((is_ipv4(address) || is_ipv6(address)) && bits && *bits <= widest) return std::nullopt;
  return wrong(text, "is no address", "an IP address or a network, such as 127.0.0.1, ::1, 10.0.0.0/8");
}

Wrong check_host(const std::string& text) {
  if (split_host_port(text)) return std::nullopt;
  return wrong(text, "is no host", "a host without scheme and path, such as admin.example.org");
}

Wrong check_method(const std::string& text) {
  if (http::is_token(text) && !all(text, [](char c) { return !is_letter(c); }) &&
      all(text, [](char c) { return !kLower.contains(c); })) {
    return std::nullopt;
  }
  return wrong(text, "is no method", "methods in upper case, such as GET, POST");
}

Wrong check_origin(const std::string& text) {
  if (http::Origin::parse(text)) return std::nullopt;
  return wrong(text, "is no origin", "http or https, host and port without a path, such as https://www.example.org");
}

Wrong check_origin_or_none(const std::string& text) {
  return text.empty() ? std::nullopt : check_origin(text);
}

Wrong check_location(const std::string& text) {
  const bool is_clean = is_visible(text) && !text.contains('\\');
  if (is_clean && (is_local_path(text) || is_absolute_url(text))) return std::nullopt;
  return wrong(text, "is no place to go to", "a path that begins with one '/', or an http or https URL");
}

Wrong check_location_or_none(const std::string& text) {
  return text.empty() ? std::nullopt : check_location(text);
}

Wrong check_prefix(const std::string& text) {
  std::string_view rest(text);
  bool is_good = rest.starts_with('/');
  while (is_good && !rest.empty()) {
    rest.remove_prefix(1);
    const std::size_t end = std::min(rest.find('/'), rest.size());
    is_good = is_segment(rest.substr(0, end));
    rest.remove_prefix(end);
  }
  if (is_good) return std::nullopt;
  return wrong(text, "is no prefix",
               "an absolute path of letters, digits, '-', '.', '_', '~', not \"/\", no slash at its end, "
               "such as /auth");
}

Wrong check_cookie_name(const std::string& text) {
  if (http::is_token(text)) return std::nullopt;
  return wrong(text, "is no cookie name", "an RFC 6265 token: letters, digits and !#$%&'*+-.^_`|~");
}

Wrong check_cookie_path(const std::string& text) {
  constexpr std::size_t kLongest = 1024;  // RFC 6265bis: longer attributes are ignored by the browser
  if (text.starts_with('/') && text.size() <= kLongest && is_visible(text) && !text.contains(';')) return std::nullopt;
  return wrong(text, "is no cookie path", "an absolute path without ';', at most 1024 bytes");
}

Wrong check_cookie_domain(const std::string& text) {
  std::string_view host(text);
  if (host.starts_with('.')) host.remove_prefix(1);
  if (text.empty() || (is_host_name(host) && !is_address(host))) return std::nullopt;
  return wrong(text, "is no cookie domain", "a domain such as example.org, or \"\" for this host only");
}

Wrong check_header(const std::string& text) {
  // Narrower than RFC 9110's token: what else a token may hold turns into '_' in an environment, and no server agrees
  // when.
  if (text.empty() || !all(text, [](char c) { return is_alnum(c) || c == '-' || c == '_'; })) {
    return wrong(text, "is no header name", "letters, digits, '-' and '_', such as Remote-User");
  }
  if (contains_ignoring_case(kReservedHeaders, text) || starts_with_any(variable_name(text), kReservedHeaderPrefixes)) {
    return wrong(text, "means something else to browsers, proxies or the gateway", "a name of its own, such as X-User");
  }
  return std::nullopt;
}

Wrong check_variable(const std::string& text) {
  const auto allowed = [](char c) { return kUpper.contains(c) || kDigits.contains(c) || c == '_'; };
  if (text.empty() || kDigits.contains(text.front()) || !all(text, allowed)) {
    return wrong(text, "is no variable name", "upper-case letters, digits and '_', not beginning with a digit");
  }
  if (std::ranges::find(kReservedVariables, text) != kReservedVariables.end() ||
      starts_with_any(text, kReservedVariablePrefixes)) {
    return wrong(text, "is set or kept back by the gateway itself", "other names");
  }
  return std::nullopt;
}

Wrong check_file_name(const std::string& text) {
  if (!text.contains('/') && text != "." && text != "..") return std::nullopt;
  return wrong(text, "is no file name", "a name without '/', such as index.php");
}

Wrong check_extension(const std::string& text) {
  if (text.size() > 1 && text.starts_with('.') && !text.contains('/')) return std::nullopt;
  return wrong(text, "is no extension", "a dot and what follows it, such as .php");
}

}  // namespace gatehouse::config
