// Names that an engine compares without regard to case.
#pragma once

#include <string>
#include <string_view>

namespace gatehouse::store {

/// ASCII only.
[[nodiscard]] inline std::string lower_case(std::string_view name) {
  std::string lower(name);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

}  // namespace gatehouse::store
