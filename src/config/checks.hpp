// What a text of the configuration may be: names, addresses, URLs, headers. Pure rules, one each.
//
// A check returns nullopt if nothing is wrong, else the sentence "what is wrong; what is allowed".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gatehouse::config {

using Wrong = std::optional<std::string>;
using Check = Wrong (*)(const std::string& text);

/// A host with an optional port, as in a Host header. Brackets of an IPv6 address belong to the host.
struct HostPort {
  std::string host;
  std::optional<std::uint16_t> port;
};
/// Splits "host", "host:port", "192.0.2.1:80", "[::1]:80". Returns nullopt for anything that is none of them.
[[nodiscard]] std::optional<HostPort> split_host_port(std::string_view text);

/// An IPv4 address, or an IPv6 address without or with brackets.
[[nodiscard]] bool is_address(std::string_view text);
[[nodiscard]] bool is_loopback(std::string_view address);
/// The name under which CGI programs and careless proxies see a header: upper case, all but letters and digits as '_'.
/// Two headers with the same variable name are aliases of each other.
[[nodiscard]] std::string variable_name(std::string_view header);
/// True if browsers hold the name to its prefix. They compare without regard to case (RFC 6265bis section 4.1.3).
[[nodiscard]] bool has_prefix(std::string_view cookie_name, std::string_view prefix);

[[nodiscard]] Wrong check_not_empty(const std::string& text);
[[nodiscard]] Wrong check_database(const std::string& text);  ///< [A-Za-z0-9_$-]{1,64}
[[nodiscard]] Wrong check_table(const std::string& text);  ///< [A-Za-z_][A-Za-z0-9_]{0,62}, not a name we use ourselves
[[nodiscard]] Wrong check_attribute(const std::string& text);        ///< [A-Za-z_][A-Za-z0-9_]*
[[nodiscard]] Wrong check_downstream_name(const std::string& text);  ///< [A-Za-z0-9_-]+
[[nodiscard]] Wrong check_listen(const std::string& text);           ///< unix:PATH | tcp:ADDRESS:PORT
[[nodiscard]] Wrong check_listen_or_none(const std::string& text);   ///< the same, or empty
[[nodiscard]] Wrong check_connect(const std::string& text);          ///< unix:PATH | tcp:HOST:PORT; names too
[[nodiscard]] Wrong check_mysql_host(const std::string& text);       ///< unix:PATH | host:port
[[nodiscard]] Wrong check_proxy(const std::string& text);            ///< address or CIDR
[[nodiscard]] Wrong check_host(const std::string& text);             ///< host[:port], nothing around it
[[nodiscard]] Wrong check_method(const std::string& text);           ///< upper-case token
[[nodiscard]] Wrong check_origin(const std::string& text);           ///< http(s)://host[:port]
[[nodiscard]] Wrong check_origin_or_none(const std::string& text);   ///< the same, or empty
[[nodiscard]] Wrong check_location(const std::string& text);         ///< local path or absolute http(s) URL
[[nodiscard]] Wrong check_location_or_none(const std::string& text);
[[nodiscard]] Wrong check_prefix(const std::string& text);  ///< normalised absolute path, not "/"
[[nodiscard]] Wrong check_cookie_name(const std::string& text);
[[nodiscard]] Wrong check_cookie_path(const std::string& text);
[[nodiscard]] Wrong check_cookie_domain(const std::string& text);
[[nodiscard]] Wrong check_header(const std::string& text);     ///< an identity header we may own
[[nodiscard]] Wrong check_variable(const std::string& text);   ///< an environment name that is not ours to set
[[nodiscard]] Wrong check_file_name(const std::string& text);  ///< index.php: no slash
[[nodiscard]] Wrong check_extension(const std::string& text);  ///< .php: a dot, no slash

}  // namespace gatehouse::config
