#include "http/form.hpp"

#include <gtest/gtest.h>

#include <string>

namespace gatehouse::http {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;
using std::string_literals::operator""s;

TEST(Form, FieldsComeInOrderAndDecoded) {
  const auto form = Form::parse("username=al%20ice&password=a%2Bb%26c&rd=%2Fa%3Fx%3D1");
  ASSERT_TRUE(form);
  EXPECT_EQ(form->fields(), (Fields{{"username", "al ice"}, {"password", "a+b&c"}, {"rd", "/a?x=1"}}));
}

TEST(Form, APlusIsASpace) {
  EXPECT_EQ(Form::parse("a+b=c+d")->fields(), (Fields{{"a b", "c d"}}));
}

TEST(Form, ValuesAreExactBytes) {
  EXPECT_EQ(Form::parse("p=%00%ff%0D%0A +\xC3\xA4")->get("p"), "\0\xFF\r\n  \xC3\xA4"s);
}

TEST(Form, AFieldMayLackItsValueOrItsName) {
  EXPECT_EQ(Form::parse("a&b=&=c&d==e")->fields(), (Fields{{"a", ""}, {"b", ""}, {"", "c"}, {"d", "=e"}}));
}

TEST(Form, EmptyPartsAreNoFields) {
  EXPECT_TRUE(Form::parse("")->fields().empty());
  EXPECT_EQ(Form::parse("&&a=1&&b=2&")->fields().size(), 2U);
}

TEST(Form, BadEscapesAreRefused) {
  for (const char* text : {"%", "a=%", "a=%2", "a=%zz", "a=1&b=%2g", "%u0041=1", "a=% 1"}) {
    const auto form = Form::parse(text);
    ASSERT_FALSE(form) << text;
    EXPECT_EQ(form.error(), FormProblem::bad_escape);
  }
}

TEST(Form, AHundredFieldsAreTheMost) {
  std::string text;
  for (int field = 0; field < 100; ++field) text += "a=1&";
  EXPECT_TRUE(Form::parse(text));
  const auto over = Form::parse(text + "b");
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error(), FormProblem::too_many_fields);
}

TEST(Form, AFieldGivenTwiceIsToldFromOneGivenOnce) {
  const auto form = Form::parse("user=a&%75ser=b&x=1");
  ASSERT_TRUE(form);
  EXPECT_TRUE(form->is_doubled("user"));
  EXPECT_FALSE(form->is_doubled("x"));
  EXPECT_FALSE(form->is_doubled("absent"));
  EXPECT_EQ(form->get("user"), "a");
  EXPECT_EQ(form->get("absent"), std::nullopt);
}

TEST(Form, NamesAreCaseSensitive) {
  EXPECT_EQ(Form::parse("User=a")->get("user"), std::nullopt);
}

TEST(EscapeComponent, LeavesOnlyUnreservedBytes) {
  EXPECT_EQ(escape_component("AZaz09-._~"), "AZaz09-._~");
  EXPECT_EQ(escape_component(" +&=%/?#'\"<\r\n\xC3\xA4"), "%20%2B%26%3D%25%2F%3F%23%27%22%3C%0D%0A%C3%A4");
}

TEST(EscapeComponent, IsUndoneByTheFormAndByUnescape) {
  std::string every_byte;
  for (int value = 0; value < 256; ++value) every_byte += static_cast<char>(value);
  const auto escaped = escape_component(every_byte);
  EXPECT_EQ(unescape(escaped), every_byte);
  EXPECT_EQ(Form::parse("x=" + escaped)->get("x"), every_byte);
}

TEST(Unescape, LeavesAPlusAndRefusesBadEscapes) {
  EXPECT_EQ(unescape("a+b%20c"), "a+b c");
  EXPECT_EQ(unescape(""), "");
  EXPECT_EQ(unescape("%4"), std::nullopt);
  EXPECT_EQ(unescape("a%"), std::nullopt);
  EXPECT_EQ(unescape("%x1"), std::nullopt);
}

TEST(FormType, IsToldWithoutItsParameters) {
  for (const auto* type :
       {"application/x-www-form-urlencoded", "APPLICATION/X-WWW-Form-Urlencoded",
        "application/x-www-form-urlencoded; charset=UTF-8", "application/x-www-form-urlencoded ;a"}) {
    EXPECT_TRUE(is_form_type(type)) << type;
  }
  for (const auto* type : {"", ";", "multipart/form-data; boundary=x", "application/json",
                           "application/x-www-form-urlencodedx", "text/plain; application/x-www-form-urlencoded"}) {
    EXPECT_FALSE(is_form_type(type)) << type;
  }
}

}  // namespace
}  // namespace gatehouse::http
