// http::Form, the reader of our login form and of queries: decoded once, refused rather than guessed.
// Input: the form as it is sent.
#include "http/form.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "fuzz/fuzz.hpp"
#include "http/percent.hpp"

namespace gatehouse::fuzz {
namespace {

using http::Form;

constexpr std::size_t kMaxFields = 100;

std::string encoded(const Form& form) {
  std::string text;
  for (const auto& [name, value] : form.fields()) {
    if (!text.empty()) text += '&';
    text += http::escape_component(name) + "=" + http::escape_component(value);
  }
  return text;
}

bool has_broken_escape(std::string_view text) {
  for (auto percent = text.find('%'); percent != std::string_view::npos; percent = text.find('%', percent + 1)) {
    if (!http::unescape_byte(text.substr(percent))) return true;
  }
  return false;
}

std::size_t count_fields(std::string_view text) {
  std::size_t count = 0;
  bool is_within = false;
  for (const char byte : text) {
    if (byte != '&' && !is_within) ++count;
    is_within = byte != '&';
  }
  return count;
}

void check_fields(const Form& form) {
  for (const auto& [name, value] : form.fields()) {
    const auto has_this_name = [&name](const auto& field) { return field.first == name; };
    const auto first = std::ranges::find_if(form.fields(), has_this_name);
    require(form.get(name) == first->second, "the first field of a name is given");
    require(form.is_doubled(name) == (std::ranges::count_if(form.fields(), has_this_name) > 1), "doubling is told");
  }
}

void check_component(std::string_view text) {
  const std::string escaped = http::escape_component(text);
  require(std::ranges::all_of(escaped, [](char c) { return http::is_unreserved(c) || c == '%'; }),
          "an escaped component has nothing that means something");
  require(http::unescape(escaped) == text, "an escaped component comes back");
  const auto unescaped = http::unescape(text);
  require(unescaped.has_value() != has_broken_escape(text), "a broken escape is refused, nothing else");
}

}  // namespace
}  // namespace gatehouse::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gatehouse::fuzz;
  const auto text = Input(data, size).rest();
  check_component(text);
  const auto form = gatehouse::http::Form::parse(text);
  const bool fits = count_fields(text) <= kMaxFields;
  if (fits) require(form.has_value() != has_broken_escape(text), "a broken escape is refused, nothing else");
  require(fits || !form, "too many fields are refused");
  if (!form) return 0;
  require(form->fields().size() == count_fields(text), "every field is there");
  check_fields(*form);
  const auto again = gatehouse::http::Form::parse(encoded(*form));
  require(again && again->fields() == form->fields(), "an encoded form is read as the form");
  return 0;
}
