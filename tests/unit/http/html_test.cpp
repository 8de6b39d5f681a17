#include "http/html.hpp"

#include <gtest/gtest.h>

namespace gatehouse::http {
namespace {

TEST(Html, TextStaysText) {
  EXPECT_EQ(escape_html("<b a=\"1\" c='2'>&amp;"), "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;amp;");
  EXPECT_EQ(escape_html("plain text, 100 % \xc3\xa4"), "plain text, 100 % \xc3\xa4");
  EXPECT_EQ(escape_html(""), "");
}

}  // namespace
}  // namespace gatehouse::http
