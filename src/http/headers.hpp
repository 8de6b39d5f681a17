// Header fields of one request or one answer, in the order in which they came.
//
// Names are compared without regard to case (RFC 9110 section 5.1). Not a cache and not a parser: whoever
// reads bytes checks them before they come in here.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::http {

struct Header {
  std::string name;
  std::string value;

  bool operator==(const Header&) const = default;
};

/// An ordered multimap of header fields. Confined to one thread, or immutable.
class Headers {
 public:
  Headers() = default;
  Headers(std::initializer_list<Header> fields) : fields_(fields) {}

  /// Makes room for so many fields.
  void reserve(std::size_t count) { fields_.reserve(count); }
  /// Appends a field and leaves those of the same name in place.
  void add(std::string name, std::string value);
  /// Removes every field of that name, then appends one.
  void set(std::string name, std::string value);
  void remove(std::string_view name);

  /// Returns the value of the first field of that name, nullopt if there is none.
  [[nodiscard]] std::optional<std::string_view> get(std::string_view name) const;
  [[nodiscard]] bool has(std::string_view name) const { return get(name).has_value(); }

  [[nodiscard]] const std::vector<Header>& fields() const { return fields_; }
  [[nodiscard]] bool empty() const { return fields_.empty(); }

  template <typename Predicate>
  void remove_if(Predicate predicate) {
    std::erase_if(fields_, predicate);
  }

  bool operator==(const Headers&) const = default;

 private:
  std::vector<Header> fields_;
};

/// Compares two header names, cookie attribute names or other ASCII tokens without regard to case.
[[nodiscard]] bool equals_ignoring_case(std::string_view a, std::string_view b);
[[nodiscard]] std::string to_lower(std::string_view text);

}  // namespace gatehouse::http
