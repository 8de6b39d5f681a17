#include "store/mysql/spell_out.hpp"

#include <gtest/gtest.h>

namespace gatehouse::store::mysql {
namespace {

sql::SqlResult<std::vector<std::string>> columns_of(const std::string& table) {
  if (table == "user") return std::vector<std::string>{"id", "a \"b\""};
  if (table == "user_session") return std::vector<std::string>{"id", "user_id"};
  if (table == "gone") return std::vector<std::string>{};
  return std::unexpected(sql::SqlError{sql::Problem::unavailable, "lost"});
}

TEST(SpellOut, NamesTheColumnsOfOneTable) {
  EXPECT_EQ(spell_out("SELECT * FROM \"user\" WHERE id = ?1", columns_of),
            "SELECT \"id\", \"a \"\"b\"\"\" FROM \"user\" WHERE id = ?1");
}

TEST(SpellOut, NamesTheColumnsOfEachAlias) {
  EXPECT_EQ(spell_out("SELECT s.*, NULL AS \"x\", u.* FROM \"user_session\" s JOIN \"user\" u ON u.id = s.user_id",
                      columns_of),
            "SELECT s.\"id\", s.\"user_id\", NULL AS \"x\", u.\"id\", u.\"a \"\"b\"\"\" FROM \"user_session\" s JOIN "
            "\"user\" u ON u.id = s.user_id");
}

TEST(SpellOut, LeavesTheStarOfATableThatIsNotThere) {
  EXPECT_EQ(spell_out("SELECT * FROM \"gone\"", columns_of), "SELECT * FROM \"gone\"");
  EXPECT_EQ(spell_out("SELECT s.* FROM \"gone\" s ORDER BY 1", columns_of), "SELECT s.* FROM \"gone\" s ORDER BY 1");
}

TEST(SpellOut, FailsAsTheLookUpDoes) {
  EXPECT_FALSE(spell_out("SELECT * FROM \"other\"", columns_of));
  EXPECT_FALSE(spell_out("SELECT o.* FROM \"other\" o WHERE 1", columns_of));
}

TEST(SpellOut, OnlySelectsWithAStarAskForAll) {
  EXPECT_TRUE(asks_for_all_columns("SELECT * FROM \"user\""));
  EXPECT_TRUE(asks_for_all_columns("SELECT s.*, u.* FROM \"a\" s"));
  EXPECT_FALSE(asks_for_all_columns("SELECT id FROM \"user\""));
  EXPECT_FALSE(asks_for_all_columns("SELECT count(*) FROM x"));
  EXPECT_FALSE(asks_for_all_columns("DELETE FROM \"user\""));
}

}  // namespace
}  // namespace gatehouse::store::mysql
