// application/x-www-form-urlencoded, for our own login form and for queries we read ourselves.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gatehouse::http {

enum class FormProblem { bad_escape, too_many_fields };

/// Decoded fields in order. A field given twice is a caller's error to be refused (parameter pollution),
/// so `only` tells it apart from an absent one.
class Form {
 public:
  /// Decodes `name=value&…`; '+' is a space. At most 100 fields.
  /// Source: WHATWG URL, application/x-www-form-urlencoded; bad escapes are refused, not passed through.
  [[nodiscard]] static std::expected<Form, FormProblem> parse(std::string_view text);

  /// Returns the value of the field, nullopt if it is absent; check `is_doubled` before trusting it.
  [[nodiscard]] std::optional<std::string_view> get(std::string_view name) const;
  [[nodiscard]] bool is_doubled(std::string_view name) const;
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& fields() const { return fields_; }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

/// True if a Content-Type, parameters aside, is application/x-www-form-urlencoded.
[[nodiscard]] bool is_form_type(std::string_view content_type);

/// Escapes a text as one form or query value: everything but [A-Za-z0-9-._~] becomes %XX.
[[nodiscard]] std::string escape_component(std::string_view text);
/// Decodes %XX only ('+' stays); nullopt on a bad escape.
[[nodiscard]] std::optional<std::string> unescape(std::string_view text);

}  // namespace gatehouse::http
