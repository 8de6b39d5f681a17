#include "config/yaml.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <cstdint>
#include <map>
#include <numeric>
#include <optional>
#include <sstream>
#include <utility>

namespace gatehouse::config {
namespace {

constexpr std::size_t kMaxNodes = 100'000;  // aliases of aliases multiply; a configuration never comes near

Place place_of(const YAML::Mark& mark) {
  return Place{.line = mark.line + 1, .column = mark.column + 1};
}

std::size_t count_nodes(const YamlNode& node) {
  return std::accumulate(node.children.begin(), node.children.end(), std::size_t{1},
                         [](std::size_t sum, const YamlNode& child) { return sum + count_nodes(child); });
}

// Builds the tree from yaml-cpp's events. What it refuses leaves as yaml-cpp's own exception, so that there is one
// catch.
class TreeBuilder final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& /*mark*/) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    finish(mark, YamlNode{.kind = YamlNode::Kind::null, .place = place_of(mark)}, anchor);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& /*tag*/, YAML::anchor_t anchor,
                const std::string& value) override {
    finish(mark, YamlNode{.kind = YamlNode::Kind::scalar, .place = place_of(mark), .text = value}, anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& /*tag*/, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    open(mark, YamlNode::Kind::list, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& /*tag*/, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    open(mark, YamlNode::Kind::map, anchor);
  }
  void OnMapEnd() override { close(); }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) throw YAML::ParserException(mark, "an alias inside its own anchor");
    YamlNode copy = found->second;
    copy.place = place_of(mark);
    nodes_ += count_nodes(copy) - 1;
    finish(mark, std::move(copy), 0);
  }

  [[nodiscard]] YamlNode take() { return std::move(root_); }

 private:
  struct Open {
    YamlNode node;
    YAML::Mark mark;
    YAML::anchor_t anchor = 0;
    std::optional<YamlNode> key;  // read, its value is still to come
  };

  void open(const YAML::Mark& mark, YamlNode::Kind kind, YAML::anchor_t anchor) {
    open_.push_back(
        Open{.node = YamlNode{.kind = kind, .place = place_of(mark)}, .mark = mark, .anchor = anchor, .key = {}});
  }

  void close() {
    Open done = std::move(open_.back());
    open_.pop_back();
    finish(done.mark, std::move(done.node), done.anchor);
  }

  void finish(const YAML::Mark& mark, YamlNode node, YAML::anchor_t anchor) {
    if (++nodes_ > kMaxNodes) throw YAML::ParserException(mark, "more than 100000 nodes");
    if (anchor != 0) anchors_[anchor] = node;
    if (open_.empty()) {
      root_ = std::move(node);
    } else if (open_.back().node.kind == YamlNode::Kind::list) {
      open_.back().node.children.push_back(std::move(node));
    } else {
      add_to_map(mark, std::move(node));
    }
  }

  void add_to_map(const YAML::Mark& mark, YamlNode node) {
    Open& map = open_.back();
    if (!map.key) {
      if (node.kind != YamlNode::Kind::scalar) throw YAML::ParserException(mark, "a key that is no plain text");
      map.key = std::move(node);
      return;
    }
    node.key = std::move(map.key->text);
    node.key_place = map.key->place;
    map.key.reset();
    map.node.children.push_back(std::move(node));
  }

  YamlNode root_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, YamlNode> anchors_;
  std::size_t nodes_ = 0;
};

// Length of the UTF-8 sequence at the beginning of `text`; 0 if there is none (RFC 3629: no overlongs, no surrogates).
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<std::uint8_t>(text[i]) : std::uint8_t{0};
  };
  const auto follows = [&](std::size_t i) { return (byte(i) & 0xc0U) == 0x80U; };
  const std::uint8_t first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const bool bad = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) > 0x9f);
    return !bad && follows(1) && follows(2) ? 3 : 0;
  }
  const bool bad =
      first < 0xf0 || first > 0xf4 || (first == 0xf0 && byte(1) < 0x90) || (first == 0xf4 && byte(1) > 0x8f);
  return !bad && follows(1) && follows(2) && follows(3) ? 4 : 0;
}

bool is_control(char c) {
  const auto byte = static_cast<std::uint8_t>(c);
  return (byte < 0x20 && c != '\t' && c != '\n' && c != '\r') || byte == 0x7f;
}

// yaml-cpp takes 0x04 for the end of the text and puts U+FFFD for broken UTF-8: both would be silent.
std::optional<YamlError> find_illegal_byte(std::string_view text) {
  Place place{.line = 1, .column = 1};
  for (std::size_t i = 0; i < text.size();) {
    if (is_control(text[i])) return YamlError{place, "a control byte; allowed: UTF-8 text"};
    const std::size_t length = utf8_length(text.substr(i));
    if (length == 0) return YamlError{place, "bytes that are no UTF-8; allowed: UTF-8 text"};
    place.column += static_cast<int>(length);
    if (text[i] == '\n') place = Place{.line = place.line + 1, .column = 1};
    i += length;
  }
  return std::nullopt;
}

}  // namespace

std::expected<YamlNode, YamlError> parse_yaml(const std::string& text) {
  if (auto illegal = find_illegal_byte(text)) return std::unexpected(std::move(*illegal));
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    TreeBuilder first;
    if (!parser.HandleNextDocument(first)) return YamlNode{};
    YamlNode root = first.take();
    TreeBuilder second;
    if (parser.HandleNextDocument(second)) {
      return std::unexpected(YamlError{second.take().place, "a second document; allowed: one document"});
    }
    return root;
  } catch (const YAML::Exception& error) {
    return std::unexpected(YamlError{place_of(error.mark), "not YAML: " + error.msg + "; allowed: YAML 1.2"});
  }
}

}  // namespace gatehouse::config
