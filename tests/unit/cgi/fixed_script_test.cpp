// How a path is cut for a fixed program; the search below a root is contract/cgi_script_finder_test.cpp.
#include <gtest/gtest.h>

#include "cgi/script_finder.hpp"

namespace gatehouse::cgi {
namespace {

Script cut(std::string_view prefix, std::string_view path) {
  const auto script = fixed_script("/usr/lib/backend", prefix, *http::Path::from_decoded(path));
  EXPECT_TRUE(script);
  return script.value_or(Script{});
}

TEST(FixedScript, PrefixIsTheScriptName) {
  const auto script = cut("/git", "/git/a/b");
  EXPECT_EQ(script.filename, "/usr/lib/backend");
  EXPECT_EQ(script.script_name, "/git");
  EXPECT_EQ(script.path_info, "/a/b");
  EXPECT_EQ(script.root, "");
}

TEST(FixedScript, RestMayBeEmptyOrASlash) {
  EXPECT_EQ(cut("/git", "/git").path_info, "");
  EXPECT_EQ(cut("/git", "/git/").path_info, "/");
}

TEST(FixedScript, WholeSiteHasAnEmptyName) {
  EXPECT_EQ(cut("", "/a").script_name, "");
  EXPECT_EQ(cut("", "/a").path_info, "/a");
  EXPECT_EQ(cut("/", "/a").script_name, "");
}

TEST(FixedScript, NamesAreNotCutInTheMiddle) {
  EXPECT_EQ(cut("/git", "/gitolite").script_name, "");
  EXPECT_EQ(cut("/git", "/gitolite").path_info, "/gitolite");
  EXPECT_EQ(cut("/git/long", "/g").path_info, "/g");
}

TEST(FixedScript, NphIsNotSupported) {
  const auto script = fixed_script("/usr/lib/nph-x", "/x", http::Path());
  ASSERT_FALSE(script);
  EXPECT_EQ(script.error().status, 501);
}

}  // namespace
}  // namespace gatehouse::cgi
