// auth/cookie and auth/token: what a browser sends as Cookie, and what we write as Set-Cookie.
// Input: the Cookie header; at its end one byte for the cookie's name and attributes, eight for an expiry, eight for
// the time (both Unix ms).
#include "auth/cookie.hpp"

#include <algorithm>
#include <array>
#include <ctime>
#include <set>
#include <string>
#include <vector>

#include "auth/token.hpp"
#include "fuzz/fuzz.hpp"

namespace gatehouse::fuzz {
namespace {

using auth::SessionToken;
using auth::Timestamp;
using auth::TokenAlphabet;
using Values = std::vector<std::string>;

const std::string kToken = "0123456789abcdefghijklmnopqrstuvwxyz0123";

auth::CookieProfile profile_of(std::uint8_t choice) {
  const std::array<std::string, 4> names{"session", "__Host-session", "auth_session", "a"};
  return {.name = names[choice % 4],
          .path = choice % 8 < 4 ? "/" : "/app",
          .domain = choice % 16 < 8 ? "" : "example.org",
          .same_site = static_cast<auth::SameSite>(choice / 16 % 3),
          .secure = choice < 128};
}

bool is_of_shape(std::string_view text, bool with_upper_case) {
  return text.size() == 40 && std::ranges::all_of(text, [&](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (with_upper_case && c >= 'A' && c <= 'Z');
         });
}

void check_token(const std::string& value) {
  const auto base36 = SessionToken::parse(value, TokenAlphabet::base36);
  const auto base62 = SessionToken::parse(value, TokenAlphabet::base62);
  require(base36.has_value() == is_of_shape(value, false), "a hardened token is 40 of a-z and 0-9, nothing else");
  require(base62.has_value() == is_of_shape(value, true), "a Lucia token is 40 letters and digits, nothing else");
  if (!base62) return;
  require(base62->reveal() == value, "a token is the text that it was made of");
  require(is_of_shape(base62->successor({}).reveal(), false), "a successor is a token of the hardened shape");
  require(base62->id(auth::TokenStorage::sha256).text().size() == 64, "the stored id is a SHA-256");
}

// The names in a header, by the plainest reading: what stands between ';' and '='.
std::set<std::string> names_in(std::string_view header) {
  std::set<std::string> names;
  for (std::size_t equals = header.find('='); equals != std::string_view::npos; equals = header.find('=', equals + 1)) {
    auto name = header.substr(0, equals);
    name.remove_prefix(name.rfind(';') == std::string_view::npos ? 0 : name.rfind(';') + 1);
    while (name.starts_with(' ') || name.starts_with('\t')) name.remove_prefix(1);
    while (name.ends_with(' ') || name.ends_with('\t')) name.remove_suffix(1);
    names.emplace(name);
  }
  return names;
}

void check_values(std::string_view header, const std::string& name, const std::set<std::string>& names) {
  const Values values = auth::cookie_values(header, name);
  if (!values.empty()) require(names.contains(name), "only a cookie that is there is found");
  for (const std::string& value : values) {
    require(header.contains(value) && !value.contains(';'), "a value stands in the header, within one segment");
    check_token(value);
  }
}

// What a neighbour site can put before and behind our cookie neither hides nor changes it.
void check_added(std::string_view header, const std::string& name) {
  const std::string ours = name + "=" + kToken;
  Values expected = auth::cookie_values(header, name);
  expected.push_back(kToken);
  require(auth::cookie_values(std::string(header) + "; " + ours, name) == expected, "a cookie at the end is read");
  std::ranges::rotate(expected, std::prev(expected.end()));
  require(auth::cookie_values(ours + "; " + std::string(header), name) == expected, "a cookie in front is read");
}

void check_removal(std::string_view header, const std::string& name) {
  const auto rest = auth::without_cookie(header, name);
  if (!rest) return;
  require(auth::cookie_values(*rest, name).empty(), "a removed cookie is gone");
  require(auth::without_cookie(*rest, name) == rest, "removing it again changes nothing");
  for (const std::string& other : names_in(header)) {
    if (other == name) continue;
    require(auth::cookie_values(*rest, other) == auth::cookie_values(header, other), "the other cookies stay");
  }
}

// Every cookie of the header removed, one name after the other, leaves none that we could read.
void check_all_removed(std::string_view header) {
  std::optional<std::string> rest = std::string(header);
  const auto names = names_in(header);
  for (const std::string& name : names) {
    if (rest) rest = auth::without_cookie(*rest, name);
  }
  for (const std::string& name : names) {
    require(!rest || auth::cookie_values(*rest, name).empty(), "no cookie of a removed name is left");
  }
}

std::string first_pair(const std::string& line) {
  return line.substr(0, line.find(';'));
}

void check_writing(const auth::CookieProfile& profile, Timestamp expires, Timestamp now) {
  const std::string line = auth::set_cookie(profile, kToken, expires, now);
  require(auth::set_cookie_name(line) == profile.name, "a Set-Cookie line says its name");
  require(auth::cookie_values(first_pair(line), profile.name) == Values{kToken}, "what is written is what is read");
  const std::string removal = auth::remove_cookie(profile);
  require(auth::cookie_values(first_pair(removal), profile.name) == Values{""}, "a removal has an empty value");
  require(removal.contains("; Max-Age=0"), "a removal removes");
  for (const std::string& each : {line, removal}) {
    require(each.contains("; HttpOnly") && each.contains("; Secure") == profile.secure, "the attributes are there");
    require(each.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos, "it is one line");
  }
}

// Sun, 06 Nov 1994 08:49:37 GMT
void check_date(Timestamp time) {
  const std::string text = auth::http_date(time);
  require(text.size() == 29 && text.ends_with(" GMT"), "a date has the fixed length");
  constexpr std::int64_t kFirst = -11'644'473'600;  // 1601
  constexpr std::int64_t kLast = 253'402'300'799;   // 9999
  std::tm parts{};
  require(::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts) != nullptr, "a date can be read");
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
  require(::timegm(&parts) == std::clamp<std::int64_t>(seconds, kFirst, kLast), "a date is the time it was made of");
}

// Years 1970 to 9999: the clock of a machine that is running.
Timestamp sane_time(std::int64_t number) {
  constexpr std::uint64_t kEnd = 253'402'300'800'000;
  return Timestamp(auth::Milliseconds(static_cast<std::int64_t>(static_cast<std::uint64_t>(number) % kEnd)));
}

}  // namespace
}  // namespace gatehouse::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gatehouse::fuzz;
  Input input(data, size);
  const auto now = sane_time(input.number());
  const auto expires = gatehouse::auth::Timestamp(gatehouse::auth::Milliseconds(input.number()));
  const auto profile = profile_of(input.choice());
  const auto header = input.rest();
  check_token(std::string(header));
  const auto names = names_in(header);
  check_values(header, profile.name, names);
  for (const std::string& name : names) check_values(header, name, names);
  check_added(header, profile.name);
  check_removal(header, profile.name);
  check_all_removed(header);
  check_writing(profile, expires, now);
  check_date(expires);
  return 0;
}
