// Where a browser would go: enough of the WHATWG URL parser to find the host that a Location leads to. The oracle of
// the open-redirect tests; written from the standard, not from the code under test, and forgiving as browsers are.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace gatehouse::test {

inline constexpr std::string_view kNotAWebHost = "(not a web host)";

inline std::string strip_as_browsers_do(std::string_view location) {
  const auto is_c0_or_space = [](char byte) { return static_cast<unsigned char>(byte) <= 0x20; };
  while (!location.empty() && is_c0_or_space(location.front())) location.remove_prefix(1);
  while (!location.empty() && is_c0_or_space(location.back())) location.remove_suffix(1);
  std::string text(location);
  std::erase_if(text, [](char byte) { return byte == '\t' || byte == '\n' || byte == '\r'; });
  std::ranges::replace(text, '\\', '/');
  return text;
}

inline std::string lower(std::string_view text) {
  std::string lowered(text);
  for (auto& letter : lowered) {
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  }
  return lowered;
}

// Takes "scheme:" off the front and returns it in lower case, "" if there is none.
inline std::string take_scheme(std::string_view& text) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  const auto end = text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
  if (end == std::string_view::npos || text[end] != ':' || kLetters.find(text.front()) == std::string_view::npos) {
    return {};
  }
  auto scheme = lower(text.substr(0, end));
  text.remove_prefix(end + 1);
  return scheme;
}

// Any number of slashes may stand before an authority; user info ends at the last '@'.
inline std::string host_of_authority(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of('/'), text.size()));
  text = text.substr(0, text.find_first_of("/?#"));
  const auto at = text.rfind('@');
  return lower(at == std::string_view::npos ? text : text.substr(at + 1));
}

/// Returns "host[:port]" of the page that a browser at `base_scheme`://`base_host` opens for a Location.
inline std::string host_reached(std::string_view base_scheme, std::string_view base_host, std::string_view location) {
  const auto stripped = strip_as_browsers_do(location);
  std::string_view text = stripped;
  const auto scheme = take_scheme(text);
  if (scheme.empty() || scheme == base_scheme) {
    return text.starts_with("//") ? host_of_authority(text) : std::string(base_host);
  }
  if (scheme == "http" || scheme == "https" || scheme == "ws" || scheme == "wss" || scheme == "ftp") {
    return host_of_authority(text);
  }
  return std::string(kNotAWebHost);
}

}  // namespace gatehouse::test
