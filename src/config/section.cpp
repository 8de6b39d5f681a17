// Every reader of a key has one shape: ask (which makes the key known), parse, keep or report.
#include "config/section.hpp"

#include <algorithm>

#include "config/secret.hpp"
#include "config/values.hpp"

namespace gatehouse::config {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view kSecretFileSuffix = "_file";

std::string_view describe(YamlNode::Kind kind) {
  switch (kind) {
    case YamlNode::Kind::null: return "there is no value";
    case YamlNode::Kind::scalar: return "a text stands here";
    case YamlNode::Kind::list: return "a list stands here";
    case YamlNode::Kind::map: return "a map stands here";
  }
  return "";
}

std::string wrong_kind(YamlNode::Kind kind, std::string_view allowed) {
  return std::string(describe(kind)).append("; allowed: ").append(allowed);
}

bool is_control(char c) {
  return (c >= 0 && c < 0x20) || c == 0x7f;
}

std::string bracketed(const std::vector<std::string>& words) {
  return "[" + joined(words) + "]";
}

std::string range_text(Range range) {
  const std::string from = "a whole number from " + std::to_string(range.least);
  return range.most == Range{}.most ? from + " on" : from + " to " + std::to_string(range.most);
}

}  // namespace

std::string join_path(const std::string& path, const std::string& key) {
  const auto is_plain = [](char c) { return c > 0x20 && c < 0x7f; };
  const bool is_word = std::ranges::all_of(key, is_plain) && key.size() <= 64 && !key.empty();
  const std::string last = is_word ? key : in_quotes(key);
  return path.empty() ? last : path + "." + last;
}

Section::Section(Reading& reading, const YamlNode& root)
    : Section(reading, root.kind == YamlNode::Kind::map ? &root : nullptr, "", "", "") {
  if (root.kind == YamlNode::Kind::scalar || root.kind == YamlNode::Kind::list) {
    reading.problem(root.place, "", wrong_kind(root.kind, "a map of the sections"));
  }
}

Section::Section(Reading& reading, const YamlNode* map, std::string path, std::string pattern, std::string name)
    : reading_(&reading), map_(map), path_(std::move(path)), pattern_(std::move(pattern)), name_(std::move(name)) {}

std::string Section::path_of(const std::string& name) const {
  return join_path(path_, name);
}
std::string Section::pattern_of(const std::string& name) const {
  return join_path(pattern_, name);
}

const YamlNode* Section::find(const std::string& name) const {
  if (map_ == nullptr) return nullptr;
  const auto found = std::ranges::find(map_->children, name, &YamlNode::key);
  return found == map_->children.end() ? nullptr : &*found;
}

bool Section::has_map(const std::string& name) const {
  const YamlNode* node = find(name);
  return node != nullptr && node->kind == YamlNode::Kind::map;
}

const YamlNode* Section::ask(const std::string& name, const std::optional<std::string>& default_text) {
  asked_.insert(name);
  reading_->known(pattern_of(name), default_text);
  const YamlNode* node = find(name);
  if (node != nullptr) reading_->found(path_of(name), node->place);
  return node;
}

const YamlNode* Section::require(const std::string& name, std::string_view allowed) {
  const YamlNode* node = ask(name, std::nullopt);
  if (node == nullptr) reading_->problem_at(path_of(name), std::string("is missing; allowed: ").append(allowed));
  return node;
}

const YamlNode* Section::ask_for_map(const std::string& name, YamlNode::Kind kind, std::string_view allowed) {
  asked_.insert(name);
  const YamlNode* node = find(name);
  if (node == nullptr) return nullptr;
  reading_->found(path_of(name), node->place);
  if (node->kind == kind) return node;
  if (node->kind != YamlNode::Kind::null)
    reading_->problem(node->place, path_of(name), wrong_kind(node->kind, allowed));
  return nullptr;
}

Section Section::section(const std::string& name) {
  const YamlNode* node = ask_for_map(name, YamlNode::Kind::map, "a map");
  return {*reading_, node, path_of(name), pattern_of(name), name};
}

std::vector<Section> Section::sections_of_list(const std::string& name) {
  std::vector<Section> sections;
  const YamlNode* node = ask_for_map(name, YamlNode::Kind::list, "a list of maps");
  if (node == nullptr) return sections;
  for (const YamlNode& child : node->children) {
    const std::string path = path_of(name) + "[" + std::to_string(sections.size()) + "]";
    reading_->found(path, child.place);
    const bool is_map = child.kind == YamlNode::Kind::map;
    if (!is_map) reading_->problem(child.place, path, wrong_kind(child.kind, "a map"));
    sections.push_back(Section(*reading_, is_map ? &child : nullptr, path, pattern_of(name) + "[]", name));
  }
  return sections;
}

std::vector<Section> Section::sections_of_map(const std::string& name) {
  std::vector<Section> sections;
  const YamlNode* node = ask_for_map(name, YamlNode::Kind::map, "a map of names");
  if (node == nullptr) return sections;
  for (const YamlNode& child : node->children) {
    const std::string path = join_path(path_of(name), child.key);
    reading_->found(path, child.key_place);
    const bool is_map = child.kind == YamlNode::Kind::map;
    if (!is_map) reading_->problem(child.place, path, wrong_kind(child.kind, "a map"));
    sections.push_back(Section(*reading_, is_map ? &child : nullptr, path, pattern_of(name) + ".NAME", child.key));
  }
  return sections;
}

std::optional<std::string> Section::scalar(const YamlNode& node, const std::string& path, std::string_view allowed) {
  if (node.kind != YamlNode::Kind::scalar) {
    reading_->problem(node.place, path, wrong_kind(node.kind, allowed));
  } else if (std::ranges::any_of(node.text, is_control)) {
    reading_->problem(node.place, path, in_quotes(node.text) + " has a control byte; allowed: text in one line");
  } else {
    return node.text;
  }
  return std::nullopt;
}

std::optional<std::string> Section::checked(const YamlNode& node, const std::string& path, Check check) {
  auto text = scalar(node, path, "a text");
  if (!text || check == nullptr) return text;
  auto wrong = check(*text);
  if (!wrong) return text;
  reading_->problem(node.place, path, std::move(*wrong));
  return std::nullopt;
}

void Section::text(const std::string& name, std::string& value, Check check) {
  const YamlNode* node = ask(name, value);
  if (node == nullptr) return;
  auto text = checked(*node, path_of(name), check);
  if (!text) return;
  value = std::move(*text);
  show(name, value);
}

void Section::required_text(const std::string& name, std::string& value, Check check, std::string_view allowed) {
  const YamlNode* node = require(name, allowed);
  if (node == nullptr) return;
  auto text = checked(*node, path_of(name), check);
  if (!text) return;
  value = std::move(*text);
  show(name, value);
}

void Section::file(const std::string& name, std::string& value) {
  text(name, value);
  value = reading_->absolute(value);
}

void Section::address(const std::string& name, std::string& value, Check check) {
  text(name, value, check);
  value = reading_->absolute_address(value);
}

void Section::flag(const std::string& name, bool& value) {
  static constexpr std::array<Word<bool>, 2> kWords{{{"true", true}, {"false", false}}};
  choice(name, value, kWords);
}

void Section::duration(const std::string& name, milliseconds& value, Zero zero) {
  const YamlNode* node = ask(name, format_duration(value));
  if (node == nullptr) return;
  const std::string allowed = zero == Zero::means_none ? "500ms, 30s, 15m, 24h, 14d, or 0 for none"
                                                       : "more than 0, such as 500ms, 30s, 15m, 24h, 14d";
  const auto text = scalar(*node, path_of(name), allowed);
  if (!text) return;
  const auto parsed = parse_duration(*text);
  if (!parsed || (parsed->count() == 0 && zero == Zero::refused)) {
    reading_->problem(node->place, path_of(name), in_quotes(*text) + " is no duration here; allowed: " + allowed);
    return;
  }
  value = *parsed;
  show(name, format_duration(value));
}

void Section::size(const std::string& name, std::uint64_t& value) {
  constexpr std::string_view kAllowed = "64KiB, 10MiB, 2GiB, or a number of bytes";
  const YamlNode* node = ask(name, format_size(value));
  if (node == nullptr) return;
  const auto text = scalar(*node, path_of(name), kAllowed);
  if (!text) return;
  const auto parsed = parse_size(*text);
  if (!parsed) {
    reading_->problem(node->place, path_of(name), in_quotes(*text).append(" is no size; allowed: ").append(kAllowed));
    return;
  }
  value = *parsed;
  show(name, format_size(value));
}

std::optional<std::uint64_t> Section::in_range(const std::string& text, Range range) {
  const auto number = parse_number(text);
  return number && *number >= range.least && *number <= range.most ? number : std::nullopt;
}

void Section::number(const std::string& name, std::size_t& value, Range range) {
  const YamlNode* node = ask(name, std::to_string(value));
  if (node == nullptr) return;
  const auto text = scalar(*node, path_of(name), range_text(range));
  if (!text) return;
  const auto parsed = in_range(*text, range);
  if (!parsed) {
    reading_->problem(node->place, path_of(name), in_quotes(*text) + " does not fit; allowed: " + range_text(range));
    return;
  }
  value = *parsed;
  show(name, std::to_string(value));
}

void Section::number_or_auto(const std::string& name, std::size_t& value, Range range) {
  const auto format = [](std::size_t number) { return number == 0 ? std::string("auto") : std::to_string(number); };
  const YamlNode* node = ask(name, format(value));
  if (node == nullptr) return;
  const std::string allowed = "auto, or " + range_text(range);
  const auto text = scalar(*node, path_of(name), allowed);
  if (!text) return;
  const auto parsed = *text == "auto" ? std::optional<std::uint64_t>(0) : in_range(*text, range);
  if (!parsed) {
    reading_->problem(node->place, path_of(name), in_quotes(*text) + " does not fit; allowed: " + allowed);
    return;
  }
  value = *parsed;
  show(name, format(value));
}

std::optional<std::vector<std::string>> Section::list(const YamlNode& node, const std::string& path, Check check) {
  if (node.kind == YamlNode::Kind::map) {
    reading_->problem(node.place, path, wrong_kind(node.kind, "a text or a list of texts"));
    return std::nullopt;
  }
  std::vector<std::string> values;
  if (node.kind == YamlNode::Kind::scalar) {
    auto text = checked(node, path, check);
    if (!text) return std::nullopt;
    values.push_back(std::move(*text));
  }
  bool is_good = true;
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    const std::string item_path = path + "[" + std::to_string(i) + "]";
    reading_->found(item_path, node.children[i].place);
    auto text = checked(node.children[i], item_path, check);
    is_good = is_good && text.has_value();
    if (text) values.push_back(std::move(*text));
  }
  if (!is_good) return std::nullopt;
  return values;
}

void Section::texts(const std::string& name, std::vector<std::string>& values, Check check) {
  const YamlNode* node = ask(name, bracketed(values));
  if (node == nullptr) return;
  auto given = list(*node, path_of(name), check);
  if (!given) return;
  values = std::move(*given);
  show(name, bracketed(values));
}

void Section::addresses(const std::string& name, std::vector<std::string>& values, Check check) {
  texts(name, values, check);
  for (std::string& value : values) value = reading_->absolute_address(value);
}

void Section::some_texts(const std::string& name, std::vector<std::string>& values, Check check) {
  const bool was_given = has(name);
  const std::size_t problems = reading_->problem_count();
  texts(name, values, check);
  if (was_given && values.empty() && reading_->problem_count() == problems) {
    reading_->problem_at(path_of(name), "is empty; allowed: at least one, or leave the key out for any");
  }
}

void Section::text_map(const std::string& name, std::map<std::string, std::string>& values, Check key_check) {
  asked_.insert(name);
  reading_->known(pattern_of(name), "{}");
  const YamlNode* node = ask_for_map(name, YamlNode::Kind::map, "a map of texts");
  if (node == nullptr) return;
  for (const YamlNode& child : node->children) {
    const std::string path = join_path(path_of(name), child.key);
    if (auto wrong = key_check(child.key)) reading_->problem(child.key_place, path, std::move(*wrong));
    if (auto text = scalar(child, path, "a text")) values.insert_or_assign(child.key, std::move(*text));
  }
  show(name, node->children.empty() ? "{}" : "{…}");
}

void Section::some_texts_map(const std::string& name, std::map<std::string, std::vector<std::string>>& values,
                             Check key_check) {
  constexpr std::string_view kAllowed = "a map with at least one name and its values, or leave the key out";
  const YamlNode* node = ask(name, std::nullopt);
  if (node == nullptr) return;
  if (node->kind != YamlNode::Kind::map || node->children.empty()) {
    const std::string what = node->kind == YamlNode::Kind::map ? "is empty" : std::string(describe(node->kind));
    reading_->problem(node->place, path_of(name), what + "; allowed: " + std::string(kAllowed));
    return;
  }
  for (const YamlNode& child : node->children) {
    const std::string path = join_path(path_of(name), child.key);
    if (auto wrong = key_check(child.key)) reading_->problem(child.key_place, path, std::move(*wrong));
    auto given = list(child, path, nullptr);
    if (given && given->empty()) reading_->problem(child.place, path, "is empty; allowed: at least one value");
    if (given) values.insert_or_assign(child.key, std::move(*given));
  }
  show(name, "{…}");
}

std::optional<std::string> Section::preset_or_map(const std::string& name, const std::string& default_text,
                                                  std::vector<std::pair<TextItem, TextItem>>& members) {
  const YamlNode* node = ask(name, default_text);
  if (node == nullptr) return std::nullopt;
  if (node->kind != YamlNode::Kind::map) {
    auto preset = scalar(*node, path_of(name), "the name of a preset, or a map");
    if (preset) show(name, *preset);
    return preset;
  }
  for (const YamlNode& child : node->children) {
    const std::string path = join_path(path_of(name), child.key);
    reading_->found(path, child.place);
    auto text = scalar(child, path, "a text");
    if (text)
      members.emplace_back(TextItem{child.key, child.key_place, path}, TextItem{std::move(*text), child.place, path});
  }
  show(name, "{…}");
  return std::nullopt;
}

void Section::secret(const std::string& name, std::string& value, bool is_used) {
  const std::string file_name = name + std::string(kSecretFileSuffix);
  const YamlNode* direct = ask(name, std::nullopt);
  const YamlNode* file = ask(file_name, std::nullopt);
  if (direct != nullptr) show(name, "***");
  if (file != nullptr && file->kind == YamlNode::Kind::scalar) show(file_name, file->text);
  if (direct != nullptr && file != nullptr) {
    reading_->problem(file->place, path_of(file_name), "stands beside " + path_of(name) + "; allowed: one of the two");
  } else if (direct != nullptr && direct->kind != YamlNode::Kind::scalar) {
    reading_->problem(direct->place, path_of(name), wrong_kind(direct->kind, "a text"));
  } else if (direct != nullptr) {
    value = direct->text;
    refuse_inline_secret(name, *direct);
  } else if (file != nullptr) {
    read_secret_file(file_name, *file, value, is_used);
  }
}

void Section::refuse_inline_secret(const std::string& name, const YamlNode& node) {
  if (node.text.empty() || !reading_->everybody_may_read) return;
  reading_->problem(
      node.place, path_of(name),
      "every user of this machine can read it here; allowed: a configuration file of mode 0640 or less, or " + name +
          std::string(kSecretFileSuffix));
}

void Section::read_secret_file(const std::string& name, const YamlNode& node, std::string& value, bool is_used) {
  const auto file = checked(node, path_of(name), check_not_empty);
  if (!file || !is_used) return;
  const std::string place = locate_secret(*file, reading_->absolute(*file));
  auto secret = read_secret(place);
  if (secret) {
    value = std::move(*secret);
  } else {
    reading_->problem(node.place, path_of(name), in_quotes(place) + " " + secret.error());
  }
}

std::optional<std::size_t> Section::pick_word(const YamlNode& node, const std::string& name,
                                              std::span<const std::string_view> words) {
  const std::vector<std::string> allowed(words.begin(), words.end());
  const auto text = scalar(node, path_of(name), joined(allowed));
  if (!text) return std::nullopt;
  const auto found = std::ranges::find(words, *text);
  if (found == words.end()) {
    reading_->problem(node.place, path_of(name), in_quotes(*text) + " is none of them; allowed: " + joined(allowed));
    return std::nullopt;
  }
  show(name, *text);
  return static_cast<std::size_t>(found - words.begin());
}

void Section::refuse_unknown() {
  if (map_ == nullptr) return;
  for (const YamlNode& child : map_->children) {
    if (asked_.contains(child.key)) continue;
    reading_->problem(child.key_place, path_of(child.key),
                      "is an unknown key; allowed: " + joined({asked_.begin(), asked_.end()}));
  }
}

}  // namespace gatehouse::config
