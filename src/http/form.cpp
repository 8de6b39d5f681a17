#include "http/form.hpp"

#include <algorithm>
#include <cstddef>

#include "http/headers.hpp"
#include "http/percent.hpp"
#include "http/syntax.hpp"

namespace gatehouse::http {
namespace {

constexpr std::size_t kMaxFields = 100;

enum class Plus { literal, space };

std::optional<std::string> decode(std::string_view text, Plus plus) {
  std::string decoded;
  decoded.reserve(text.size());
  while (!text.empty()) {
    std::size_t taken = 1;
    if (text.front() == '%') {
      const auto byte = unescape_byte(text);
      if (!byte) return std::nullopt;
      decoded += *byte;
      taken = 3;
    } else if (text.front() == '+' && plus == Plus::space) {
      decoded += ' ';
    } else {
      decoded += text.front();
    }
    text.remove_prefix(taken);
  }
  return decoded;
}

std::optional<std::pair<std::string, std::string>> decode_field(std::string_view field) {
  const auto equals = std::min(field.find('='), field.size());
  auto name = decode(field.substr(0, equals), Plus::space);
  auto value = decode(field.substr(std::min(equals + 1, field.size())), Plus::space);
  if (!name || !value) return std::nullopt;
  return std::pair(std::move(*name), std::move(*value));
}

}  // namespace

std::expected<Form, FormProblem> Form::parse(std::string_view text) {
  Form form;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = std::min(text.find('&', begin), text.size());
    if (end > begin) {
      if (form.fields_.size() == kMaxFields) return std::unexpected(FormProblem::too_many_fields);
      auto field = decode_field(text.substr(begin, end - begin));
      if (!field) return std::unexpected(FormProblem::bad_escape);
      form.fields_.push_back(std::move(*field));
    }
    begin = end + 1;
  }
  return form;
}

std::optional<std::string_view> Form::get(std::string_view name) const {
  const auto found = std::ranges::find(fields_, name, [](const auto& field) { return std::string_view(field.first); });
  if (found == fields_.end()) return std::nullopt;
  return found->second;
}

bool Form::is_doubled(std::string_view name) const {
  return std::ranges::count(fields_, name, [](const auto& field) { return std::string_view(field.first); }) > 1;
}

bool is_form_type(std::string_view content_type) {
  return equals_ignoring_case(trim(content_type.substr(0, content_type.find(';'))),
                              "application/x-www-form-urlencoded");
}

std::string escape_component(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char byte : text) {
    if (is_unreserved(byte)) {
      out += byte;
    } else {
      append_escape(out, byte);
    }
  }
  return out;
}

std::optional<std::string> unescape(std::string_view text) {
  return decode(text, Plus::literal);
}

}  // namespace gatehouse::http
