// Which names of tables pass into statements.
#include "store/table_names.hpp"

#include <gtest/gtest.h>

namespace gatehouse::store {
namespace {

TEST(TableNames, TheDefaultsAndOtherPlainNamesPass) {
  EXPECT_EQ(problem_in({}), std::nullopt);
  EXPECT_EQ(problem_in({.user = "_", .key = "K9", .session = std::string(63, 's')}), std::nullopt);
}

TEST(TableNames, WhatIsNoPlainIdentifierDoesNot) {
  for (const std::string name : {"", "9a", "a b", "a\"b", "a;b", "a.b", "a`b", "é", "a-b", "a'", "a%", "a\n"}) {
    EXPECT_TRUE(problem_in({.user = name})) << name;
    EXPECT_TRUE(problem_in({.key = name})) << name;
    EXPECT_TRUE(problem_in({.session = name})) << name;
  }
  EXPECT_TRUE(problem_in({.user = std::string(64, 'u')}));
  EXPECT_TRUE(problem_in({.user = std::string("a\0b", 3)}));
}

TEST(TableNames, OneNameForTwoTablesDoesNot) {
  EXPECT_TRUE(problem_in({.user = "same", .key = "same"}));
  EXPECT_TRUE(problem_in({.user = "same", .session = "SAME"}));
  EXPECT_TRUE(problem_in({.session = "rotated_session"}));
  EXPECT_TRUE(problem_in({.key = "Gatehouse_Schema"}));
  EXPECT_TRUE(problem_in({.session = "gatehouse_new_session"}));
  EXPECT_TRUE(problem_in({.user = "sqlite_user"}));
}

}  // namespace
}  // namespace gatehouse::store
