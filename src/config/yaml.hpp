// A YAML text as a plain tree with places. The only file pair that knows yaml-cpp; the rest of the room reads this.
//
// Why not YAML::YamlNode: it hides duplicate keys, gives an aliased node the place of its anchor, and its types would
// be in every file. Words keep their text: `off` is "off" and 0660 is "0660"; whoever reads a value says what it is.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::config {

/// A place in the file, both from 1; 0 where there is none. Columns count bytes, as compilers do.
struct Place {
  int line = 0;
  int column = 0;

  auto operator<=>(const Place&) const = default;
};

/// One node of the tree. In a map every child has a key; doubled keys are all there, in order.
struct YamlNode {
  enum class Kind { null, scalar, list, map };
  Kind kind = Kind::null;
  Place place{};
  std::string key{};
  Place key_place{};
  std::string text{};  ///< of a scalar
  std::vector<YamlNode> children{};
};

struct YamlError {
  Place place;
  std::string text;  ///< "what is wrong; what is allowed"
};

/// Parses one document; an empty text is a null. Aliases are copied in and stand at the place of the alias.
/// Refuses control bytes, text that is no UTF-8, a second document, keys that are no scalars, an alias inside its own
/// anchor and trees over 100,000 nodes. Never throws.
[[nodiscard]] std::expected<YamlNode, YamlError> parse_yaml(const std::string& text);

}  // namespace gatehouse::config
