#include "store/mysql/host.hpp"

#include <algorithm>
#include <charconv>

namespace gatehouse::store::mysql {
namespace {

constexpr std::string_view kUnix = "unix:";

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

}  // namespace

std::optional<Host> parse_host(std::string_view text) {
  Host host;
  if (text.starts_with(kUnix)) {
    host.socket = text.substr(kUnix.size());
    return host.socket.empty() ? std::nullopt : std::optional(host);
  }
  const bool is_bracketed = text.starts_with('[');
  const std::size_t end = is_bracketed ? text.find(']') : text.find(':');
  if (is_bracketed && end == std::string_view::npos) return std::nullopt;
  host.name = is_bracketed ? text.substr(1, end - 1) : text.substr(0, end);
  if (host.name.empty() || host.name.find_first_of("/[]") != std::string::npos) return std::nullopt;

  const std::string_view rest = text.substr(std::min(text.size(), is_bracketed ? end + 1 : end));
  if (rest.empty()) return host;
  if (!rest.starts_with(':')) return std::nullopt;
  const auto port = parse_port(rest.substr(1));
  if (!port) return std::nullopt;
  host.port = *port;
  return host;
}

}  // namespace gatehouse::store::mysql
