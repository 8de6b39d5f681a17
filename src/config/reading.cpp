#include "config/reading.hpp"

#include <system_error>
#include <utility>

namespace gatehouse::config {

std::string Problem::message() const {
  std::string out = file;
  if (line != 0) out += ":" + std::to_string(line) + ":" + std::to_string(column);
  if (!key.empty()) out += ": " + key;
  return out + ": " + text;
}

Reading::Reading(std::string file) : file_(std::move(file)) {
  // Without a working folder a relative file cannot be read anyway: then the path stays as it is.
  std::error_code no_working_folder;
  absolute_ = std::filesystem::absolute(file_, no_working_folder).lexically_normal();
}

void Reading::problem(Place place, const std::string& key, std::string text) {
  problems_.emplace(place, Problem{file_, place.line, place.column, key, std::move(text)});
}

void Reading::warning(Place place, const std::string& key, std::string text) {
  warnings_.emplace(place, Problem{file_, place.line, place.column, key, std::move(text)});
}

void Reading::problem_at(const std::string& key, std::string text) {
  problem(place_of(key), key, std::move(text));
}
void Reading::warning_at(const std::string& key, std::string text) {
  warning(place_of(key), key, std::move(text));
}

void Reading::known(const std::string& pattern, const std::optional<std::string>& default_text) {
  keys_.try_emplace(pattern, KnownKey{.path = pattern, .default_text = default_text, .shown = {}});
}

std::string Reading::absolute(const std::string& path) const {
  if (path.empty()) return path;
  return (absolute_.parent_path() / path).lexically_normal().string();
}

std::string Reading::absolute_address(const std::string& address) const {
  constexpr std::string_view kScheme = "unix:";
  if (!address.starts_with(kScheme)) return address;
  return std::string(kScheme) + absolute(address.substr(kScheme.size()));
}

std::vector<Problem> Reading::take_problems() {
  std::vector<Problem> all;
  all.reserve(problems_.size());
  for (auto& [place, problem] : std::exchange(problems_, {})) all.push_back(std::move(problem));
  return all;
}

std::vector<std::string> Reading::take_warnings() {
  std::vector<std::string> lines;
  lines.reserve(warnings_.size());
  for (const auto& [place, warning] : std::exchange(warnings_, {})) lines.push_back(warning.message());
  return lines;
}

std::vector<KnownKey> Reading::take_keys() {
  std::vector<KnownKey> keys;
  keys.reserve(keys_.size());
  for (auto& [path, key] : std::exchange(keys_, {})) keys.push_back(std::move(key));
  return keys;
}

Place Reading::place_of(std::string key) const {
  while (true) {
    if (const auto found = places_.find(key); found != places_.end()) return found->second;
    const std::size_t cut = key.find_last_of(".[");
    if (cut == std::string::npos) return Place{.line = 1, .column = 1};
    key.resize(cut);
  }
}

}  // namespace gatehouse::config
