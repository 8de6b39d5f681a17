// The few rules of RFC 9110 section 5 that every reader of header fields needs: what a name is made of, what a value
// may hold, how a list is put together. Pure.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "http/percent.hpp"

namespace gatehouse::http {

/// RFC 9110 section 5.6.2: the name of a field, a method; RFC 6265's cookie-name.
[[nodiscard]] bool is_token(std::string_view text);

/// A byte that no field value may hold: every control byte but TAB.
[[nodiscard]] constexpr bool is_control_but_tab(char byte) {
  return byte != '\t' && is_control(byte);
}
[[nodiscard]] inline bool has_control_byte(std::string_view value) {
  return std::ranges::any_of(value, is_control_but_tab);
}

/// Returns the text without the spaces and tabs around it (OWS, section 5.6.3).
[[nodiscard]] std::string_view trim(std::string_view text);

/// Adds a doubled field's further value to the list that the field is (section 5.3). An empty one adds nothing.
void append_part(std::string& list, std::string_view separator, std::string_view part);

}  // namespace gatehouse::http
