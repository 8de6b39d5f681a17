// A host as the configuration writes it. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gatehouse::store::mysql {

struct Host {
  std::string socket;  ///< path of a unix socket, or "" and
  std::string name;    ///< a host's name or address (IPv6 without brackets)
  std::uint16_t port = 3306;
};

/// Reads "unix:PATH", "NAME", "NAME:PORT", "[IPV6]:PORT"; nullopt if it is none of them.
[[nodiscard]] std::optional<Host> parse_host(std::string_view text);

}  // namespace gatehouse::store::mysql
