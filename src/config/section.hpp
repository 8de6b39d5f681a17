// Typed access to one map of the file. Reading a key leaves the given value alone where the file says nothing, so the
// defaults stay in config.hpp; where the file says something wrong, the problem is noted and the value is left alone
// too.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/checks.hpp"
#include "config/reading.hpp"
#include "config/values.hpp"

namespace gatehouse::config {

/// A word of a closed choice and what it stands for.
template <typename Value>
struct Word {
  std::string_view word;
  Value value;
};

/// "path.key"; a key that is no plain word is quoted, so that it cannot break the line of a message.
[[nodiscard]] std::string join_path(const std::string& path, const std::string& key);

enum class Zero { refused, means_none };

struct Range {
  std::uint64_t least = 0;
  std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
};

/// An element of a list, or a member of a map with free keys, while it is read.
struct TextItem {
  std::string text;
  Place place;
  std::string path;
};

/// Confined to one thread; must not outlive the reading and the tree.
class Section {
 public:
  /// The whole file. A null (nothing but comments) is an empty map.
  Section(Reading& reading, const YamlNode& root);

  /// Returns the map under a key; an empty one if it is not there or is no map (then a problem is noted).
  [[nodiscard]] Section section(const std::string& name);
  /// The maps of a list ("routes[0]") and the maps of a map with free keys ("downstreams.NAME"). What is no map is
  /// there, too, as a problem and with is_map() false.
  [[nodiscard]] std::vector<Section> sections_of_list(const std::string& name);
  [[nodiscard]] std::vector<Section> sections_of_map(const std::string& name);

  [[nodiscard]] bool has(const std::string& name) const { return find(name) != nullptr; }
  [[nodiscard]] bool has_map(const std::string& name) const;
  [[nodiscard]] bool is_map() const { return map_ != nullptr; }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const std::string& name() const { return name_; }  ///< the last part of the path
  [[nodiscard]] std::string path_of(const std::string& name) const;
  [[nodiscard]] Reading& reading() const { return *reading_; }

  void text(const std::string& name, std::string& value, Check check = nullptr);
  /// Its absence is a problem, which says `allowed`.
  void required_text(const std::string& name, std::string& value, Check check, std::string_view allowed);
  /// A file or folder; relative ones become absolute. Empty stays empty.
  void file(const std::string& name, std::string& value);
  /// An address whose "unix:PATH" may be relative.
  void address(const std::string& name, std::string& value, Check check);
  void flag(const std::string& name, bool& value);
  void duration(const std::string& name, std::chrono::milliseconds& value, Zero zero = Zero::refused);
  void size(const std::string& name, std::uint64_t& value);
  void number(const std::string& name, std::size_t& value, Range range);
  /// A number, or "auto" for 0.
  void number_or_auto(const std::string& name, std::size_t& value, Range range);

  /// A list of texts; a single text is a list of one.
  void texts(const std::string& name, std::vector<std::string>& values, Check check);
  void addresses(const std::string& name, std::vector<std::string>& values, Check check);
  /// The same, but a list that is written down must have something in it: an empty one would mean "any" to us and
  /// "nobody" to whoever wrote it.
  void some_texts(const std::string& name, std::vector<std::string>& values, Check check);
  void text_map(const std::string& name, std::map<std::string, std::string>& values, Check key_check);
  /// A map of lists, each with something in it, and something in the map.
  void some_texts_map(const std::string& name, std::map<std::string, std::vector<std::string>>& values,
                      Check key_check);
  /// A text, or a map of texts in the order of the file: returns which. `default_text` is for the list of known keys.
  [[nodiscard]] std::optional<std::string> preset_or_map(const std::string& name, const std::string& default_text,
                                                         std::vector<std::pair<TextItem, TextItem>>& members);
  /// A secret: `name`, or `name`_file with a file that holds it; both are a problem. The file is opened if `is_used`.
  void secret(const std::string& name, std::string& value, bool is_used);

  template <typename Value, std::size_t N>
  void choice(const std::string& name, Value& value, const std::array<Word<Value>, N>& words) {
    pick(name, value, words, false);
  }
  template <typename Value, std::size_t N>
  void required_choice(const std::string& name, Value& value, const std::array<Word<Value>, N>& words) {
    pick(name, value, words, true);
  }

  /// Reports every key that nobody has asked for. Call it when all have been.
  void refuse_unknown();

 private:
  Section(Reading& reading, const YamlNode* map, std::string path, std::string pattern, std::string name);

  [[nodiscard]] const YamlNode* find(const std::string& name) const;
  /// Notes that a key is known and, if the file gives it, where.
  const YamlNode* ask(const std::string& name, const std::optional<std::string>& default_text);
  const YamlNode* ask_for_map(const std::string& name, YamlNode::Kind kind, std::string_view allowed);
  const YamlNode* require(const std::string& name, std::string_view allowed);
  [[nodiscard]] std::optional<std::string> scalar(const YamlNode& node, const std::string& path,
                                                  std::string_view allowed);
  [[nodiscard]] std::optional<std::string> checked(const YamlNode& node, const std::string& path, Check check);
  [[nodiscard]] std::optional<std::vector<std::string>> list(const YamlNode& node, const std::string& path,
                                                             Check check);
  [[nodiscard]] std::string pattern_of(const std::string& name) const;
  void show(const std::string& name, const std::string& text) { reading_->shown(pattern_of(name), text); }
  [[nodiscard]] std::optional<std::size_t> pick_word(const YamlNode& node, const std::string& name,
                                                     std::span<const std::string_view> words);
  [[nodiscard]] std::optional<std::uint64_t> in_range(const std::string& text, Range range);
  void refuse_inline_secret(const std::string& name, const YamlNode& node);
  void read_secret_file(const std::string& name, const YamlNode& node, std::string& value, bool is_used);

  template <typename Value, std::size_t N>
  void pick(const std::string& name, Value& value, const std::array<Word<Value>, N>& words, bool is_required) {
    std::array<std::string_view, N> names;
    std::optional<std::string> now;
    for (std::size_t i = 0; i < N; ++i) {
      names[i] = words[i].word;
      if (words[i].value == value) now = std::string(names[i]);
    }
    const YamlNode* node = is_required ? require(name, joined({names.begin(), names.end()})) : ask(name, now);
    if (node == nullptr) return;
    if (const auto chosen = pick_word(*node, name, names)) value = words[*chosen].value;
  }

  Reading* reading_;
  const YamlNode* map_;  // null: the file has no such section
  std::string path_;     // of this file: "downstreams.scripts"
  std::string pattern_;  // of any file: "downstreams.NAME"
  std::string name_;
  std::set<std::string> asked_;
};

}  // namespace gatehouse::config
