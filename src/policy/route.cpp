#include "policy/route.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "http/headers.hpp"
#include "http/origin.hpp"
#include "http/percent.hpp"

namespace gatehouse::policy {
namespace {

constexpr std::string_view kAnyRest = "**";

std::vector<std::string> split_segments(std::string_view absolute) {
  std::vector<std::string> segments;
  for (std::size_t begin = 1; begin <= absolute.size();) {
    const auto end = std::min(absolute.find('/', begin), absolute.size());
    segments.emplace_back(absolute.substr(begin, end - begin));
    begin = end + 1;
  }
  return segments;
}

// Returns what is wrong with a segment of a pattern, nullptr if nothing is. Most of it would be harmless: no path that
// was normalised ever meets such a pattern. That is the danger, for somebody has written a rule and relies on it.
const char* problem_of_segment(std::string_view segment, bool is_last) {
  if (segment.empty() && !is_last) return "it has an empty segment, and paths are matched with slashes collapsed";
  if (segment == "." || segment == "..") return "it has a dot segment, and paths are matched with those resolved";
  if (segment.find('\\') != std::string_view::npos) return "it has a backslash, and no accepted path has one";
  if (std::ranges::any_of(segment, http::is_control)) return "it has a control byte, and no accepted path has one";
  const bool has_any_rest = segment.find(kAnyRest) != std::string_view::npos;
  if (has_any_rest && (!is_last || segment != kAnyRest)) return "it has \"**\" elsewhere than as its last segment";
  return nullptr;
}

// Takes "/segment" off the front of `rest`.
std::string_view take_segment(std::string_view& rest) {
  const auto end = std::min(rest.find('/', 1), rest.size());
  const auto segment = rest.substr(1, end - 1);
  rest.remove_prefix(end);
  return segment;
}

bool accepts_method(const Route& route, std::string_view method) {
  return route.methods.empty() || std::ranges::find(route.methods, method) != route.methods.end();
}

// "example.org." is the same host as "example.org", and nginx takes it for the same server.
std::string_view without_root_dot(std::string_view host) {
  if (host.ends_with('.')) host.remove_suffix(1);
  return host;
}

bool accepts_host(const Route& route, std::string_view host) {
  return std::ranges::any_of(
      route.hosts, [host](std::string_view own) { return http::equals_ignoring_case(without_root_dot(own), host); });
}

// Returns the first route, nullptr if none, and nullopt where that cannot be told: one of them may be the first, and to
// pass over it would be a guess, and a way around it.
std::optional<const Route*> find(std::span<const Route> routes, const http::Path& path, std::string_view host,
                                 std::string_view method) {
  const auto name = http::host_without_port(host);
  // The front server has chosen by this Host and read it somehow ("admin.example.org:x").
  const bool is_unreadable = name.empty() && !host.empty();
  for (const auto& route : routes) {
    const bool is_undecided = method.empty() && !route.methods.empty();
    if (!is_undecided && !accepts_method(route, method)) continue;
    if (!route.path.matches(path)) continue;
    if (!route.hosts.empty() && is_unreadable) return std::nullopt;
    if (!route.hosts.empty() && !accepts_host(route, without_root_dot(name))) continue;
    if (is_undecided) return std::nullopt;
    return &route;
  }
  return nullptr;
}

// Binds a script where it cannot be told which route does: lets nobody in.
const Route& nobodys() {
  static const Route route;
  return route;
}

}  // namespace

std::expected<PathPattern, std::string> PathPattern::parse(std::string_view text) {
  if (!text.starts_with('/')) return std::unexpected("it does not begin with \"/\"");
  PathPattern pattern;
  pattern.text_ = text;
  pattern.segments_ = split_segments(text);
  for (const auto& segment : pattern.segments_) {
    const bool is_last = &segment == &pattern.segments_.back();
    if (const char* problem = problem_of_segment(segment, is_last)) return std::unexpected(problem);
  }
  if (pattern.segments_.back() == kAnyRest) {
    pattern.any_rest_ = true;
    pattern.segments_.pop_back();
  }
  return pattern;
}

bool PathPattern::matches(const http::Path& path) const {
  if (text_.empty()) return false;  // never parsed: covers nothing
  std::string_view rest = path.text();
  for (const auto& segment : segments_) {
    if (rest.empty()) return segment.empty();  // "/a/" covers "/a"
    if (!glob_matches(segment, take_segment(rest))) return false;
  }
  return any_rest_ || rest.empty() || rest == "/";
}

std::string PathPattern::literal_prefix() const {
  std::string prefix;
  for (const auto& segment : segments_) {
    if (segment.empty() || segment.find('*') != std::string::npos) break;
    prefix += "/" + segment;
  }
  return prefix;
}

bool glob_matches(std::string_view pattern, std::string_view text) {
  std::size_t at = 0;    // in pattern
  std::size_t read = 0;  // in text
  std::size_t star = std::string_view::npos;
  std::size_t taken = 0;  // where the text of the last star ends
  // Only the last star is ever widened: what an earlier one has matched can stay as it is.
  while (read < text.size()) {
    if (at < pattern.size() && pattern[at] == '*') {
      star = at++;
      taken = read;
    } else if (at < pattern.size() && pattern[at] == text[read]) {
      ++at;
      ++read;
    } else if (star != std::string_view::npos) {
      at = star + 1;
      read = ++taken;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', at) == std::string_view::npos;
}

const Route* match(std::span<const Route> routes, const http::Path& path, std::string_view host,
                   std::string_view method) {
  return find(routes, path, host, method).value_or(nullptr);
}

const Route* match_script(std::span<const Route> routes, const Route& decided, const http::Path& script,
                          std::string_view host, std::string_view method) {
  const auto before = static_cast<std::size_t>(&decided - routes.data());
  return find(routes.first(before), script, host, method).value_or(&nobodys());
}

}  // namespace gatehouse::policy
