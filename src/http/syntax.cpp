#include "http/syntax.hpp"

namespace gatehouse::http {
namespace {

bool is_token_byte(char byte) {
  return is_alphanumeric(byte) || std::string_view("!#$%&'*+-.^_`|~").contains(byte);
}

}  // namespace

bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, is_token_byte);
}

std::string_view trim(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

void append_part(std::string& list, std::string_view separator, std::string_view part) {
  if (!list.empty() && !part.empty()) list += separator;
  list += part;
}

}  // namespace gatehouse::http
