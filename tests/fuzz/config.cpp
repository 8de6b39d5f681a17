// The configuration's reader: any text is a configuration or a list of problems, each with its place and in one line.
// Input: the text of a gatehouse.yaml.
#include <algorithm>
#include <string>
#include <vector>

#include "config/keys.hpp"
#include "config/load.hpp"
#include "fuzz/fuzz.hpp"

namespace gatehouse::fuzz {
namespace {

using config::Config;
using config::Problem;

constexpr const char* kFile = "/nowhere/gatehouse.yaml";

bool is_control(char byte) {
  const auto value = static_cast<unsigned char>(byte);
  return value < 0x20 || value == 0x7f;
}

// True if every first byte of a character has as many behind it as it says. The text that a message quotes is UTF-8:
// only a cut could break it.
bool has_whole_characters(std::string_view text) {
  const auto is_within = [](char byte) { return (static_cast<std::uint8_t>(byte) & 0xc0U) == 0x80U; };
  for (std::size_t i = 0; i < text.size();) {
    const auto first = static_cast<std::uint8_t>(text[i]);
    const std::size_t length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (is_within(text[i]) || text.size() - i < length) return false;
    if (!std::ranges::all_of(text.substr(i + 1, length - 1), is_within)) return false;
    i += length;
  }
  return true;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  for (std::size_t begin = 0; begin <= text.size();) {
    const auto end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

// A problem at the end of the text stands in the column behind its last byte.
void check_place(const Problem& problem, const std::vector<std::string_view>& lines) {
  require(problem.line >= 1 && problem.column >= 1, "a problem has a line and a column");
  require(static_cast<std::size_t>(problem.line) <= lines.size(), "the line is one of the text");
  const auto line = lines[static_cast<std::size_t>(problem.line) - 1];
  require(static_cast<std::size_t>(problem.column) <= line.size() + 1, "the column is one of the line");
}

void check_problems(const std::vector<Problem>& problems, std::string_view text) {
  require(!problems.empty(), "a text that does not load has a problem");
  const auto lines = lines_of(text);
  for (const Problem& problem : problems) {
    check_place(problem, lines);
    require(problem.text.contains("; allowed: "), "a problem says what is allowed");
    require(std::ranges::none_of(problem.message(), is_control), "a problem is one line");
    require(has_whole_characters(problem.message()), "a problem cuts no character");
  }
  const auto place = [](const Problem& problem) { return std::pair(problem.line, problem.column); };
  require(std::ranges::is_sorted(problems, {}, place), "problems are in the order of the file");
}

void check_warnings(const std::vector<std::string>& warnings) {
  constexpr std::string_view kDigits = "123456789";
  for (const std::string& warning : warnings) {
    require(std::ranges::none_of(warning, is_control), "a warning is one line");
    require(warning.starts_with(kFile) && warning.find_first_of(kDigits) == std::string_view(kFile).size() + 1,
            "a warning has a line");
  }
}

void check_cookie(const auth::CookieProfile& cookie) {
  require(!cookie.name.empty() && cookie.name.find_first_of("=; \t\",") == std::string::npos, "a cookie has a name");
  require((cookie.path + cookie.domain).find_first_of(";\r\n") == std::string::npos, "an attribute stays one");
  if (cookie.name.starts_with("__Host-")) {
    require(cookie.secure && cookie.path == "/" && cookie.domain.empty(), "__Host- is held to");
  }
  if (cookie.name.starts_with("__Secure-")) require(cookie.secure, "__Secure- is held to");
}

// What the rest of the program relies on without asking again.
void check_config(const Config& config) {
  check_cookie(config.session.cookie);
  require(config.session.periods.active.count() > 0 && config.session.periods.idle.count() > 0,
          "periods are longer than nothing");
  require(config.endpoints.prefix.starts_with('/'), "the endpoints have a path");
  require(config.store.sqlite_path.starts_with('/'), "relative paths are absolute by then");
  for (const auto& route : config.routes) {
    require(!route.path.text().empty(), "a route has a pattern");
    require(route.downstream.empty() || config.downstreams.contains(route.downstream), "a downstream is one of them");
    for (const auto& [attribute, values] : route.require) require(!values.empty(), "a requirement can be met");
  }
}

}  // namespace
}  // namespace gatehouse::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gatehouse::fuzz;
  const std::string text(Input(data, size).rest());
  const auto loaded = gatehouse::config::load_text(text, kFile);
  if (loaded) {
    check_config(loaded->config);
    check_warnings(loaded->warnings);
  } else {
    check_problems(loaded.error(), text);
  }
  (void)gatehouse::config::known_keys(text);
  return 0;
}
