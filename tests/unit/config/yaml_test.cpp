#include "config/yaml.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace gatehouse::config {
namespace {

using ::testing::HasSubstr;

YamlError error_of(const std::string& text) {
  const auto tree = parse_yaml(text);
  EXPECT_FALSE(tree.has_value()) << text;
  return tree ? YamlError{} : tree.error();
}

TEST(Yaml, KnowsWhereKeysAndValuesStand) {
  const auto tree = parse_yaml("a:\n  bé: [x, 'y z']\n");
  ASSERT_TRUE(tree);
  const YamlNode& a = tree->children.at(0);
  EXPECT_EQ(a.key, "a");
  EXPECT_EQ(a.key_place, (Place{1, 1}));
  const YamlNode& b = a.children.at(0);
  EXPECT_EQ(b.key_place, (Place{2, 3}));
  EXPECT_EQ(b.place, (Place{2, 8}));
  EXPECT_EQ(b.children.at(1).text, "y z");
  EXPECT_EQ(b.children.at(1).place, (Place{2, 12}));
}

TEST(Yaml, LeavesWordsAlone) {
  const auto tree = parse_yaml("{a: off, b: 0660, c: yes, d: '', e: , f: ~}");
  ASSERT_TRUE(tree);
  EXPECT_EQ(tree->children.at(0).text, "off");
  EXPECT_EQ(tree->children.at(1).text, "0660");
  EXPECT_EQ(tree->children.at(2).text, "yes");
  EXPECT_EQ(tree->children.at(3).kind, YamlNode::Kind::scalar);
  EXPECT_EQ(tree->children.at(4).kind, YamlNode::Kind::null);
  EXPECT_EQ(tree->children.at(5).kind, YamlNode::Kind::null);
}

TEST(Yaml, KeepsDoubledKeys) {
  const auto tree = parse_yaml("a: 1\na: 2\n");
  ASSERT_TRUE(tree);
  EXPECT_EQ(tree->children.size(), 2U);
}

TEST(Yaml, AnEmptyTextIsANull) {
  for (const char* text : {"", "\n", "# nothing\n", "---\n", "\xef\xbb\xbf"}) {
    const auto tree = parse_yaml(text);
    ASSERT_TRUE(tree) << text;
    EXPECT_EQ(tree->kind, YamlNode::Kind::null) << text;
  }
}

TEST(Yaml, AliasesAreCopiedToTheirPlace) {
  const auto tree = parse_yaml("a: &x { k: v }\nb: *x\n");
  ASSERT_TRUE(tree);
  const YamlNode& b = tree->children.at(1);
  EXPECT_EQ(b.place, (Place{2, 4}));
  EXPECT_EQ(b.children.at(0).text, "v");
}

TEST(Yaml, AnAliasInsideItsOwnAnchorIsRefused) {
  EXPECT_EQ(error_of("a: &x [1, *x]").place, (Place{1, 11}));
  EXPECT_THAT(error_of("a: &x [1, *x]").text, HasSubstr("alias"));
}

TEST(Yaml, MultiplyingAliasesAreRefused) {
  std::string text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 9; ++i) {
    const std::string name = "*a" + std::to_string(i - 1);
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + name;
    for (int j = 0; j < 9; ++j) text += "," + name;
    text += "]\n";
  }
  EXPECT_THAT(error_of(text).text, HasSubstr("nodes"));
}

TEST(Yaml, DeepNestingIsRefusedAndDoesNotCrash) {
  EXPECT_NE(error_of(std::string(100'000, '[')).text, "");
}

TEST(Yaml, SyntaxErrorsHaveTheirPlace) {
  EXPECT_EQ(error_of("a: 1\nb: [1, 2\nc: 3\n").place.line, 3);
  EXPECT_EQ(error_of("a: b: c").place, (Place{1, 5}));
  EXPECT_EQ(error_of("a: *nobody").place.line, 1);
  EXPECT_EQ(error_of("a:\n\tb: 1").place.line, 2);
  EXPECT_EQ(error_of("a: \"x").place.line, 1);
}

TEST(Yaml, OnlyOneDocument) {
  EXPECT_EQ(error_of("a: 1\n---\nb: 2\n").place, (Place{3, 1}));
}

TEST(Yaml, KeysAreTexts) {
  EXPECT_THAT(error_of("? [a]\n: b\n").text, HasSubstr("key"));
  EXPECT_THAT(error_of("{~: b}").text, HasSubstr("key"));
}

TEST(Yaml, ControlBytesAreRefusedAtTheirPlace) {
  EXPECT_EQ(error_of("a: 1\nbé: \x04\n").place, (Place{2, 6}));
  EXPECT_EQ(error_of(std::string("a\0b", 3)).place, (Place{1, 2}));
}

TEST(Yaml, OnlyWellFormedUtf8) {
  for (const char* bytes : {"\xff", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80",
                            "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\x80", "\xf8\x88\x80\x80\x80"}) {
    EXPECT_EQ(error_of("a: " + std::string(bytes)).place, (Place{1, 4})) << bytes;
  }
  EXPECT_TRUE(parse_yaml("a: é€😀\xed\x9f\xbf\xf4\x8f\xbf\xbd"));
}

TEST(Yaml, EveryBeginningOfATextIsHandled) {
  const std::string text = "a: &x {k: [1, \"é\"]}\nb: *x\nc: |\n  text\n? k\n: !t v\n";
  for (std::size_t length = 0; length <= text.size(); ++length) {
    const auto tree = parse_yaml(text.substr(0, length));
    EXPECT_TRUE(tree || !tree.error().text.empty()) << length;
  }
}

}  // namespace
}  // namespace gatehouse::config
