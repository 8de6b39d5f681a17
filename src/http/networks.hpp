// Addresses and networks of them (RFC 4632), as `trusted_proxies` lists them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::http {

/// An IP address as 16 bytes: IPv4 in its IPv4-mapped form (RFC 4291 section 2.5.5.2), so that "10.0.0.1" and
/// "::ffff:10.0.0.1", which a dual-stack socket shows, are one address.
struct Address {
  std::array<std::uint8_t, 16> bytes{};

  /// Parses a numeric address without brackets, port or zone. Returns nullopt for anything else.
  [[nodiscard]] static std::optional<Address> parse(std::string_view text);
  [[nodiscard]] bool is_ipv4() const;
  /// Returns the one spelling that parse() reads as this address (RFC 5952), an IPv4-mapped one as IPv4.
  [[nodiscard]] std::string text() const;
  bool operator==(const Address&) const = default;
};

/// A set of networks. Immutable.
class Networks {
 public:
  Networks() = default;
  /// `texts`: "10.0.0.0/8", "::1", … as config::check_proxy lets them through; what is none is left out. Bits of the
  /// address beyond the prefix do not matter.
  explicit Networks(std::span<const std::string> texts);
  /// A network of IPv6 has no IPv4 address in it, "::/0" neither; "::ffff:0:0/96" is a network of IPv4.
  [[nodiscard]] bool contains(const Address& address) const;

 private:
  struct Network {
    Address base;
    unsigned bits = 128;

    [[nodiscard]] static std::optional<Network> parse(std::string_view text);
    [[nodiscard]] bool contains(const Address& address) const;
  };
  std::vector<Network> networks_;
};

}  // namespace gatehouse::http
