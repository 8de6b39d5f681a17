#include "gateway/identity.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include "auth/cookie.hpp"
#include "gateway/login.hpp"
#include "policy/decide.hpp"

namespace gatehouse::gateway {

namespace {

// Never a client's to send, whatever is configured: httpoxy, php-cgi's and our own names.
constexpr std::array<std::string_view, 4> kAlwaysOwned = {"proxy", "authorization", "remote-user", "redirect-status"};
constexpr std::array<std::string_view, 2> kOwnedPrefixes = {"x-gatehouse-", "variable-"};

bool has_control_byte(std::string_view value) {
  return std::ranges::any_of(value, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
}

// U+0085, U+2028 and U+2029 end a line for some readers of a header: the same refusal as for CR and LF.
bool has_unicode_line_end(std::string_view value) {
  return value.contains("\xc2\x85") || value.contains("\xe2\x80\xa8") || value.contains("\xe2\x80\xa9");
}

std::string percent_encoded(std::string_view value) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte < 0x7f && c != '%') {
      out += c;
    } else {
      out += {'%', kHex[byte >> 4U], kHex[byte & 0xFU]};
    }
  }
  return out;
}

std::string joined(const std::vector<std::string>& values) {
  std::string out;
  for (const std::string& value : values) {
    if (!out.empty()) out += ',';
    out += value;
  }
  return out;
}

}  // namespace

std::string canonical_header_name(std::string_view name) {
  std::string out(name);
  std::ranges::transform(out, out.begin(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 'A' && byte <= 'Z') return static_cast<char>(byte - 'A' + 'a');
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') ? c : '-';
  });
  return out;
}

std::expected<cgi::Identity, std::string> make_identity(const IdentitySettings& settings, const auth::User* user,
                                                        auth::SessionState state) {
  cgi::Identity identity;
  const auto encoded = [&](std::string_view attribute,
                           const std::string& value) -> std::expected<std::string, std::string> {
    if (has_control_byte(value) || has_unicode_line_end(value))
      return std::unexpected("control byte in the user's " + std::string(attribute));
    return settings.percent_encode ? percent_encoded(value) : value;
  };
  if (user != nullptr) {
    auto name = encoded("username", user->username.empty() ? user->id : user->username);
    if (!name) return std::unexpected(name.error());
    auto id = encoded("id", user->id);
    if (!id) return std::unexpected(id.error());
    identity.remote_user = std::move(*name);
    identity.user_id = std::move(*id);
    identity.session_state = auth::name(state);
  }
  for (const auto& [header, attribute] : settings.headers) {
    auto value = encoded(attribute, user == nullptr ? "" : joined(policy::attribute(*user, attribute)));
    if (!value) return std::unexpected(value.error());
    identity.headers.push_back({header, std::move(*value)});
  }
  return identity;
}

bool is_owned_header(const IdentitySettings& settings, std::string_view name) {
  const std::string canonical = canonical_header_name(name);
  const auto is_same = [&](std::string_view owned) { return canonical == owned; };
  const auto is_below = [&](std::string_view prefix) { return canonical.starts_with(prefix); };
  return std::ranges::any_of(kAlwaysOwned, is_same) || std::ranges::any_of(kOwnedPrefixes, is_below) ||
         std::ranges::any_of(settings.headers,
                             [&](const auto& header) { return canonical_header_name(header.first) == canonical; });
}

bool is_alias_of_owned_header(const IdentitySettings& settings, std::string_view name) {
  if (!is_owned_header(settings, name)) return false;
  const std::string canonical = canonical_header_name(name);
  const auto is_of = [&](const auto& header) { return canonical_header_name(header.first) == canonical; };
  const auto configured = std::ranges::find_if(settings.headers, is_of);
  return !http::equals_ignoring_case(name, configured == settings.headers.end() ? canonical : configured->first);
}

http::Request without_owned_headers(http::Request request, const IdentitySettings& settings,
                                    std::string_view session_cookie_name) {
  request.headers.remove_if([&](const http::Header& header) { return is_owned_header(settings, header.name); });
  if (settings.hide_session_cookie) {
    std::optional<std::string> cookies(request.header("cookie"));
    for (const std::string_view name : {session_cookie_name, kLoginCookie, kSecureLoginCookie}) {
      if (cookies) cookies = auth::without_cookie(*cookies, name);
    }
    if (cookies && !cookies->empty()) {
      request.headers.set("cookie", std::move(*cookies));
    } else {
      request.headers.remove("cookie");
    }
  }
  return request;
}

}  // namespace gatehouse::gateway
