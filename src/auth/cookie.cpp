// Reads and writes cookie lines. What a browser sends is hostile input: every step is a cut of a string_view.
#include "auth/cookie.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

namespace gatehouse::auth {

namespace {

using std::chrono::days;
using std::chrono::sys_days;

constexpr Milliseconds kLongestCookie{days(400)};

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) {
    return {};
  }
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// Calls visit(segment) for every non-empty part between semicolons, trimmed.
template <typename Visit>
void for_each_segment(std::string_view header, Visit visit) {
  for (std::size_t start = 0; start <= header.size();) {
    const std::size_t end = std::min(header.find(';', start), header.size());
    if (const auto segment = trimmed(header.substr(start, end - start)); !segment.empty()) {
      visit(segment);
    }
    start = end + 1;
  }
}

// The name of "name=value"; empty for a nameless segment, which RFC 6265bis lets a neighbour site plant.
std::string_view name_of(std::string_view segment) {
  const auto equals = segment.find('=');
  return equals == std::string_view::npos ? std::string_view{} : trimmed(segment.substr(0, equals));
}

std::string_view value_of(std::string_view segment) {
  const auto value = trimmed(segment.substr(segment.find('=') + 1));
  const bool is_quoted = value.size() >= 2 && value.front() == '"' && value.back() == '"';
  return is_quoted ? value.substr(1, value.size() - 2) : value;
}

std::string_view text_of(SameSite same_site) {
  switch (same_site) {
    case SameSite::lax: return "Lax";
    case SameSite::strict: return "Strict";
    case SameSite::none: return "None";
  }
  return "Lax";
}

std::string cookie_line(const CookieProfile& profile, std::string_view value, std::string_view expiry) {
  std::string line = profile.name + "=";
  line += value;
  if (!profile.domain.empty()) {
    line += "; Domain=" + profile.domain;
  }
  if (!profile.path.empty()) {
    line += "; Path=" + profile.path;
  }
  line += expiry;
  line += "; HttpOnly";
  if (profile.secure) {
    line += "; Secure";
  }
  line += "; SameSite=";
  line += text_of(profile.same_site);
  return line;
}

std::string two_digits(std::int64_t number) {
  return (number < 10 ? "0" : "") + std::to_string(number);
}

}  // namespace

std::vector<std::string> cookie_values(std::string_view cookie_header, std::string_view name) {
  std::vector<std::string> values;
  if (name.empty()) {
    return values;
  }
  for_each_segment(cookie_header, [&](std::string_view segment) {
    if (name_of(segment) == name) {
      values.emplace_back(value_of(segment));
    }
  });
  return values;
}

std::optional<std::string> without_cookie(std::string_view cookie_header, std::string_view name) {
  std::string rest;
  for_each_segment(cookie_header, [&](std::string_view segment) {
    if (!name.empty() && name_of(segment) == name) {
      return;
    }
    rest += rest.empty() ? "" : "; ";
    rest += segment;
  });
  return rest.empty() ? std::nullopt : std::optional(std::move(rest));
}

std::string set_cookie(const CookieProfile& profile, std::string_view value, std::optional<Timestamp> expires,
                       Timestamp now) {
  if (!expires) {
    return cookie_line(profile, value, "");
  }
  return cookie_line(profile, value, "; Expires=" + http_date(std::min(*expires, now + kLongestCookie)));
}

std::string remove_cookie(const CookieProfile& profile) {
  return cookie_line(profile, "", "; Expires=" + http_date(Timestamp{}) + "; Max-Age=0");
}

std::string_view set_cookie_name(std::string_view set_cookie_value) {
  return name_of(set_cookie_value.substr(0, set_cookie_value.find(';')));
}

// By hand: strftime's day and month names are those of the locale.
std::string http_date(Timestamp time) {
  using std::chrono::January, std::chrono::year;
  static constexpr std::array kWeekdays{"Sun, ", "Mon, ", "Tue, ", "Wed, ", "Thu, ", "Fri, ", "Sat, "};
  static constexpr std::array kMonths{" Jan ", " Feb ", " Mar ", " Apr ", " May ", " Jun ",
                                      " Jul ", " Aug ", " Sep ", " Oct ", " Nov ", " Dec "};
  // The first year that RFC 6265 reads, and the end of those with four digits.
  constexpr Timestamp kFirst = sys_days(year(1601) / January / 1);
  constexpr Timestamp kEnd = sys_days(year(10000) / January / 1);
  const auto seconds = std::chrono::floor<std::chrono::seconds>(std::clamp(time, kFirst, kEnd - Milliseconds(1)));
  const auto midnight = std::chrono::floor<days>(seconds);
  const std::chrono::year_month_day date(midnight);
  const std::chrono::hh_mm_ss clock(seconds - midnight);
  std::string text = kWeekdays[std::chrono::weekday(midnight).c_encoding()];
  text += two_digits(static_cast<unsigned>(date.day()));
  text += kMonths[static_cast<unsigned>(date.month()) - 1];
  text += std::to_string(static_cast<int>(date.year())) + ' ';
  text += two_digits(clock.hours().count()) + ':';
  text += two_digits(clock.minutes().count()) + ':';
  return text + two_digits(clock.seconds().count()) + " GMT";
}

}  // namespace gatehouse::auth
