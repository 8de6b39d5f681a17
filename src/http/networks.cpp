#include "http/networks.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>

#include "http/number.hpp"

namespace gatehouse::http {
namespace {

constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr unsigned kMappedBits = 8 * kMapped.size();

std::optional<unsigned> parse_bits(std::string_view digits, unsigned widest) {
  const auto bits = parse_number<unsigned>(digits);
  return bits && *bits <= widest ? bits : std::nullopt;
}

}  // namespace

std::optional<Address> Address::parse(std::string_view text) {
  if (text.contains('\0')) return std::nullopt;
  const std::string whole(text);
  Address address;
  if (inet_pton(AF_INET6, whole.c_str(), address.bytes.data()) == 1) return address;
  const auto rest = std::ranges::copy(kMapped, address.bytes.begin()).out;
  if (inet_pton(AF_INET, whole.c_str(), &*rest) == 1) return address;
  return std::nullopt;
}

bool Address::is_ipv4() const {
  return std::ranges::equal(std::span(bytes).first<kMapped.size()>(), kMapped);
}

std::string Address::text() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const auto from = is_ipv4() ? std::span(bytes).subspan(kMapped.size()) : std::span(bytes);
  const auto* written = inet_ntop(is_ipv4() ? AF_INET : AF_INET6, from.data(), text.data(), text.size());
  return written == nullptr ? std::string() : std::string(written);
}

std::optional<Networks::Network> Networks::Network::parse(std::string_view text) {
  const auto slash = std::min(text.find('/'), text.size());
  const auto base = Address::parse(text.substr(0, slash));
  if (!base) return std::nullopt;
  const unsigned skipped = text.substr(0, slash).contains(':') ? 0 : kMappedBits;
  if (slash == text.size()) return Network{*base, 128};
  const auto bits = parse_bits(text.substr(slash + 1), 128 - skipped);
  if (!bits) return std::nullopt;
  return Network{*base, skipped + *bits};
}

bool Networks::Network::contains(const Address& address) const {
  if (address.is_ipv4() != base.is_ipv4()) return false;
  const auto whole = bits / 8;
  if (!std::equal(base.bytes.begin(), base.bytes.begin() + whole, address.bytes.begin())) return false;
  const auto left = bits % 8;
  return left == 0 || (base.bytes[whole] ^ address.bytes[whole]) >> (8 - left) == 0;
}

Networks::Networks(std::span<const std::string> texts) {
  for (const auto& text : texts) {
    if (const auto network = Network::parse(text)) networks_.push_back(*network);
  }
}

bool Networks::contains(const Address& address) const {
  return std::ranges::any_of(networks_, [&](const Network& network) { return network.contains(address); });
}

}  // namespace gatehouse::http
