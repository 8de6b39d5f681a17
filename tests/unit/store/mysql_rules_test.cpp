// What the MySQL engine decides without a server: what errors mean, when a host is left alone, what is told of it.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "store/mysql/breaker.hpp"
#include "store/mysql/errors.hpp"
#include "store/mysql/host.hpp"
#include "store/mysql/news.hpp"
#include "store/mysql/parameters.hpp"

namespace gatehouse::store::mysql {
namespace {

using sql::Problem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Failure = Breaker::Failure;
using Topic = News::Topic;

constexpr Breaker::Time at(milliseconds time) {
  return Breaker::Time(seconds(1'000)) + time;
}

// ── errors ──────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(MySqlErrors, TellWhoeverAskedWhatIsWrong) {
  EXPECT_EQ(meaning_of(1062).problem, Problem::duplicate);
  EXPECT_EQ(meaning_of(1452).problem, Problem::missing_reference);
  EXPECT_EQ(meaning_of(1451).problem, Problem::still_referenced);
  for (const int number : {1048, 1264, 1265, 1292, 1366, 1406, 3819, 4025}) {
    EXPECT_EQ(meaning_of(number).problem, Problem::bad_value) << number;
  }
  for (const int number : {1049, 1054, 1146}) EXPECT_EQ(meaning_of(number).problem, Problem::missing_table) << number;
  for (const int number : {1205, 1213, 1969, 3024}) EXPECT_EQ(meaning_of(number).problem, Problem::locked) << number;
  for (const int number : {1290, 1836, 1114, 1021, 1041, 1142}) {
    EXPECT_EQ(meaning_of(number).problem, Problem::read_only) << number;
  }
  for (const int number : {2002, 2003, 2006, 2013, 4031, 1927, 1053, 1040, 1044, 1045, 1047, 2026}) {
    EXPECT_EQ(meaning_of(number).problem, Problem::unavailable) << number;
  }
  EXPECT_EQ(meaning_of(1064).problem, Problem::internal);
}

TEST(MySqlErrors, TellWhatBecomesOfTheConnection) {
  for (const int number : {1062, 1205, 1452, 1451, 1406, 1366, 1146, 4025}) {
    EXPECT_EQ(meaning_of(number).aftermath, Aftermath::refused) << number;
  }
  EXPECT_EQ(meaning_of(1213).aftermath, Aftermath::deadlock);
  for (const int number : {1290, 1836}) EXPECT_EQ(meaning_of(number).aftermath, Aftermath::read_only) << number;
  for (const int number : {1243, 1461, 1615, 2057}) {
    EXPECT_EQ(meaning_of(number).aftermath, Aftermath::stale) << number;
  }
  for (const int number : {1267, 1270, 1271}) EXPECT_EQ(meaning_of(number).aftermath, Aftermath::no_match) << number;
  for (const int number : {1142, 1143}) EXPECT_EQ(meaning_of(number).aftermath, Aftermath::suspect) << number;
  for (const int number : {2006, 2013, 4031, 1927, 1053, 1047}) {
    EXPECT_EQ(meaning_of(number).aftermath, Aftermath::lost) << number;
  }
}

TEST(MySqlErrors, TellAServerThatIsFullFromOneThatIsDown) {
  for (const int number : {1040, 1129, 1203, 1226}) {
    EXPECT_TRUE(is_full(number)) << number;
    EXPECT_EQ(meaning_of(number).problem, Problem::unavailable) << number;
  }
  for (const int number : {0, 1044, 1045, 1047, 1053, 2002, 2003, 2013}) EXPECT_FALSE(is_full(number)) << number;
}

TEST(MySqlErrors, AnUnknownOneIsAnOutageOnAConnectionThatIsNotUsedAgain) {
  EXPECT_EQ(meaning_of(9999).problem, Problem::unavailable);
  EXPECT_EQ(meaning_of(9999).aftermath, Aftermath::suspect);
}

TEST(MySqlErrors, AreLoggedWithoutWhatAVisitorTyped) {
  EXPECT_EQ(words_for(1062, "Duplicate entry 'it's for key x' for key 'username'"),
            "MySQL: error 1062: for key 'username'");
  EXPECT_EQ(words_for(1366, "Incorrect string value: '\\xFF' for column `d`.`t`.`c` at row 1"),
            "MySQL: error 1366: for column `d`.`t`.`c` at row 1");
  EXPECT_EQ(words_for(1292, "Truncated incorrect DOUBLE value: 'secret'"), "MySQL: error 1292: ");
  EXPECT_EQ(words_for(1146, "Table 'd.user' doesn't exist"), "MySQL: error 1146: Table 'd.user' doesn't exist");
}

// ── parameters ──────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(MySqlParameters, ANumberedOneMayStandSeveralTimesAndInAnyOrder) {
  const Translated made = translate("UPDATE t SET a = ?2 WHERE b = ?1 AND (?2 IS NULL OR c = ?12)");
  EXPECT_EQ(made.sql, "UPDATE t SET a = ? WHERE b = ? AND (? IS NULL OR c = ?)");
  EXPECT_EQ(made.order, (std::vector<std::size_t>{1, 0, 1, 11}));
}

TEST(MySqlParameters, QuestionMarksInQuotesAreNoParameters) {
  const Translated made = translate(R"(SELECT "a?1", 'b?2', `c?3`, "d""?4", 'e''?5' FROM t WHERE x = ?1)");
  EXPECT_EQ(made.sql, R"(SELECT "a?1", 'b?2', `c?3`, "d""?4", 'e''?5' FROM t WHERE x = ?)");
  EXPECT_EQ(made.order, (std::vector<std::size_t>{0}));
}

TEST(MySqlParameters, WithoutANumberThereIsNoValue) {
  EXPECT_EQ(translate("a = ? AND b = ?0").order, std::vector<std::size_t>{});
  EXPECT_EQ(translate("").sql, "");
  EXPECT_EQ(translate("?").sql, "?");
}

// ── hosts ───────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(MySqlHost, IsASocketOrANameWithAPort) {
  EXPECT_EQ(parse_host("unix:/run/mysqld/mysqld.sock")->socket, "/run/mysqld/mysqld.sock");
  EXPECT_EQ(parse_host("db.example.org")->name, "db.example.org");
  EXPECT_EQ(parse_host("db.example.org")->port, 3306);
  EXPECT_EQ(parse_host("127.0.0.1:3307")->port, 3307);
  EXPECT_EQ(parse_host("[::1]:3308")->name, "::1");
  EXPECT_EQ(parse_host("[::1]:3308")->port, 3308);
  EXPECT_EQ(parse_host("[::1]")->port, 3306);
}

TEST(MySqlHost, IsNothingElse) {
  for (const char* text : {"", "unix:", ":3306", "host:", "host:0", "host:65536", "host:33o6", "[::1", "[]:1", "a/b:1",
                           "[::1]3306", "::1", "a]:1"}) {
    EXPECT_FALSE(parse_host(text)) << text;
  }
}

// ── the breaker ─────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(MySqlBreaker, OpensAfterThreeDoubtfulFailuresInARow) {
  Breaker breaker(1);
  breaker.fail(Failure::doubtful, at({}), false);
  breaker.fail(Failure::doubtful, at({}), false);
  breaker.succeed();
  breaker.fail(Failure::doubtful, at({}), false);
  breaker.fail(Failure::doubtful, at({}), false);
  EXPECT_TRUE(breaker.allows(at({})));
  breaker.fail(Failure::doubtful, at({}), false);
  EXPECT_FALSE(breaker.allows(at({})));
}

TEST(MySqlBreaker, OpensAtOnceIfThereIsNoDoubt) {
  Breaker breaker(1);
  breaker.fail(Failure::certain, at({}), false);
  EXPECT_FALSE(breaker.allows(at({})));
}

TEST(MySqlBreaker, LetsOneProbeThroughWhenThePauseIsOver) {
  Breaker breaker(1);
  breaker.fail(Failure::certain, at({}), false);
  EXPECT_FALSE(breaker.allows(at(milliseconds(24))));
  EXPECT_TRUE(breaker.allows(at(milliseconds(50))));
  EXPECT_TRUE(breaker.begin());
  EXPECT_FALSE(breaker.allows(at(seconds(60))));
  breaker.succeed();
  EXPECT_TRUE(breaker.allows(at(seconds(60))));
  EXPECT_FALSE(breaker.begin());
}

TEST(MySqlBreaker, PausesTwiceAsLongAfterEachFailedProbeUpToTwoSeconds) {
  Breaker breaker(7);
  Breaker::Time now = at({});
  breaker.fail(Failure::certain, now, false);
  milliseconds pause{50};
  for (int i = 0; i < 10; ++i) {
    EXPECT_FALSE(breaker.allows(now + pause / 2 - milliseconds(1))) << i;
    now += pause;
    ASSERT_TRUE(breaker.allows(now)) << i;
    ASSERT_TRUE(breaker.begin());
    breaker.fail(Failure::doubtful, now, true);
    pause = std::min(pause * 2, milliseconds(2'000));
  }
  breaker.succeed();
  breaker.fail(Failure::certain, now, false);
  EXPECT_TRUE(breaker.allows(now + milliseconds(50)));
}

TEST(MySqlBreaker, WhatBeganBeforeItOpenedNeitherLengthensThePauseNorEndsTheProbe) {
  Breaker breaker(1);
  breaker.fail(Failure::certain, at({}), false);
  for (int i = 0; i < 16; ++i) breaker.fail(Failure::certain, at(milliseconds(1)), false);
  EXPECT_TRUE(breaker.allows(at(milliseconds(50))));
  EXPECT_TRUE(breaker.begin());
  breaker.fail(Failure::certain, at(milliseconds(51)), false);
  EXPECT_FALSE(breaker.allows(at(seconds(60))));
}

TEST(MySqlBreaker, SeveralDoNotPauseAlike) {
  std::vector<Breaker::Time> ends;
  for (const std::uint64_t seed : {1U, 22U, 333U, 4444U}) {
    Breaker breaker(seed * 0x9e3779b97f4a7c15ULL);
    breaker.fail(Failure::certain, at({}), false);
    ends.push_back(breaker.retry_at());
  }
  std::ranges::sort(ends);
  EXPECT_EQ(std::ranges::unique(ends).begin(), ends.end());
}

// ── news ────────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(MySqlNews, TheSameIsToldOnceAMinute) {
  News news;
  EXPECT_TRUE(news.is_due(Topic::down, at({})));
  EXPECT_FALSE(news.is_due(Topic::down, at(seconds(59))));
  EXPECT_TRUE(news.is_due(Topic::clock, at(seconds(59))));
  EXPECT_TRUE(news.is_due(Topic::down, at(seconds(60))));
}

TEST(MySqlNews, UpIsNewsOnlyOfAHostThatWasDown) {
  News news;
  EXPECT_FALSE(news.is_due(Topic::up, at({})));
  EXPECT_TRUE(news.is_due(Topic::down, at({})));
  EXPECT_TRUE(news.is_due(Topic::up, at(seconds(1))));
  EXPECT_FALSE(news.is_due(Topic::up, at(seconds(2))));
}

TEST(MySqlNews, AHostThatFlapsEndsWithWhatItIs) {
  News news;
  EXPECT_TRUE(news.is_due(Topic::down, at({})));
  EXPECT_TRUE(news.is_due(Topic::up, at(seconds(50))));
  EXPECT_TRUE(news.is_due(Topic::down, at(seconds(61))));
  EXPECT_FALSE(news.is_due(Topic::up, at(seconds(62))));
  EXPECT_TRUE(news.is_due(Topic::up, at(seconds(110))));
}

}  // namespace
}  // namespace gatehouse::store::mysql
