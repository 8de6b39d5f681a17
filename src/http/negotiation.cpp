#include "http/negotiation.hpp"

#include <algorithm>
#include <compare>
#include <cstddef>

#include "http/syntax.hpp"

namespace gatehouse::http {
namespace {

constexpr int kFullQuality = 1000;

/// How much a media type is wanted: first by q (in thousandths), then by how exactly the header names it.
struct Preference {
  int quality = 0;
  int specificity = 0;

  auto operator<=>(const Preference&) const = default;
};

// Cuts the part before the separator off the front of `text`. Quoted strings are not looked into: Accept has none in
// practice, and the worst outcome is an error page in the other format.
std::string_view take_until(std::string_view& text, char separator) {
  const auto end = std::min(text.find(separator), text.size());
  const auto part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return trim(part);
}

// RFC 9110 section 12.4.2: "0" or "1" with up to three decimals. Old Java sends ".2". Anything else counts as 0.
int parse_quality(std::string_view text) {
  if (text.starts_with('1')) return kFullQuality;
  if (text.starts_with('0')) text.remove_prefix(1);
  if (!text.starts_with('.')) return 0;
  text.remove_prefix(1);
  int quality = 0;
  int weight = kFullQuality / 10;
  for (const char digit : text.substr(0, 3)) {
    if (digit < '0' || digit > '9') return 0;
    quality += (digit - '0') * weight;
    weight /= 10;
  }
  return quality;
}

int quality_of(std::string_view parameters) {
  while (!parameters.empty()) {
    auto parameter = take_until(parameters, ';');
    const auto name = take_until(parameter, '=');
    if (equals_ignoring_case(name, "q")) return parse_quality(trim(parameter));
  }
  return kFullQuality;
}

// 0: does not cover the type; 1: "*/*"; 2: "text/*"; 3: the type itself. "*" alone stands for "*/*" in old clients.
int specificity_of(std::string_view range, std::string_view type) {
  if (equals_ignoring_case(range, type)) return 3;
  if (range.ends_with("/*") &&
      equals_ignoring_case(range.substr(0, range.size() - 1), type.substr(0, type.find('/') + 1)))
    return 2;
  return range == "*/*" || range == "*" ? 1 : 0;
}

// RFC 9110 section 12.5.1: the most specific range decides.
Preference preference_for(std::string_view accept, std::string_view type) {
  Preference best;
  while (!accept.empty()) {
    auto parameters = take_until(accept, ',');
    const int specificity = specificity_of(take_until(parameters, ';'), type);
    if (specificity == 0 || specificity < best.specificity) continue;
    const int quality = quality_of(parameters);
    best.quality = specificity > best.specificity ? quality : std::max(best.quality, quality);
    best.specificity = specificity;
  }
  return best;
}

bool names_html(std::string_view accept) {
  const auto html = preference_for(accept, "text/html");
  return html.specificity == 3 && html.quality > 0;
}

}  // namespace

bool is_navigation(const Request& request) {
  if (request.method != "GET" && request.method != "HEAD") return false;
  const auto mode = request.header("sec-fetch-mode");
  if (!mode.empty()) return mode == "navigate";
  return names_html(request.header("accept"));
}

bool prefers_html(std::string_view accept) {
  const auto html = preference_for(accept, "text/html");
  return html.quality > 0 && html > preference_for(accept, "application/json");
}

bool wants_json(std::string_view accept) {
  return accept.contains("application/json") && !prefers_html(accept);
}

}  // namespace gatehouse::http
