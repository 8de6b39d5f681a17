#include "http/headers.hpp"

#include <algorithm>
#include <utility>

namespace gatehouse::http {
namespace {

// tolower() asks the locale; header names are ASCII.
constexpr char lower(char letter) {
  return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
}

}  // namespace

void Headers::add(std::string name, std::string value) {
  fields_.push_back({std::move(name), std::move(value)});
}

void Headers::set(std::string name, std::string value) {
  remove(name);
  add(std::move(name), std::move(value));
}

void Headers::remove(std::string_view name) {
  remove_if([name](const Header& field) { return equals_ignoring_case(field.name, name); });
}

std::optional<std::string_view> Headers::get(std::string_view name) const {
  const auto found =
      std::ranges::find_if(fields_, [name](const Header& field) { return equals_ignoring_case(field.name, name); });
  if (found == fields_.end()) return std::nullopt;
  return found->value;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

std::string to_lower(std::string_view text) {
  std::string lowered(text);
  std::ranges::transform(lowered, lowered.begin(), lower);
  return lowered;
}

}  // namespace gatehouse::http
