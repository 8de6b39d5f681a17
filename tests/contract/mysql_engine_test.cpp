// The MySQL engine on a real MariaDB: units of work, values, tables.
#include <atomic>
#include <barrier>
#include <functional>
#include <limits>
#include <set>

#include "contract/mysql_engine.hpp"
#include "store/mysql/migrations.hpp"

namespace gatehouse::contract {
namespace {

class MySqlEngine : public testing::Test {
 protected:
  MariaDbServer& server() { return shared_mariadb(); }
  store::mysql::Engine engine() { return {options_, small_schema()}; }
  std::string in_database(std::string_view sql) { return server().value(sql, options_.database); }

  store::MySqlOptions options_ = options_for(shared_mariadb());
};

std::string connection_id(Database& database) {
  auto id = store::sql::select_one(database, "SELECT CONNECTION_ID()", {},
                                   [](const store::sql::Row& row) { return row.text(0); });
  return id.value().value();
}

// ── units of work ───────────────────────────────────────────────────────────────────────────────────────────────────

TEST_F(MySqlEngine, KeepsWhatAUnitWroteAndTakesBackWhatItDidNotWantToKeep) {
  auto engine = this->engine();
  EXPECT_TRUE(engine.write([](Database& database) { return insert(database, "kept"); }, Repeat::safe));
  EXPECT_TRUE(engine.write(
      [](Database& database) -> auth::Result<End> {
        EXPECT_TRUE(insert(database, "unwanted"));
        return End::rollback;
      },
      Repeat::safe));
  const auto refused = engine.write(
      [](Database& database) -> auth::Result<End> {
        EXPECT_TRUE(insert(database, "refused"));
        return auth::fail(auth::ErrorCode::invalid_key_id);
      },
      Repeat::safe);
  EXPECT_EQ(failure_of(refused), "AUTH_INVALID_KEY_ID");
  EXPECT_EQ(texts(engine, "SELECT id FROM t").value(), std::vector<std::string>{"kept"});
}

TEST_F(MySqlEngine, CountsTheRowsThatAnUpdateMetAndADeleteRemoved) {
  auto engine = this->engine();
  ASSERT_TRUE(engine.write([](Database& database) { return insert(database, "a", 1); }, Repeat::safe));
  EXPECT_TRUE(engine.write(
      [](Database& database) -> auth::Result<End> {
        EXPECT_EQ(step(database, "UPDATE t SET n = 1 WHERE id = ?1", {std::string_view("a")}).value(), 1);
        EXPECT_EQ(step(database, "UPDATE t SET n = 2 WHERE id = ?1", {std::string_view("b")}).value(), 0);
        EXPECT_EQ(step(database, "DELETE FROM t WHERE id = ?1", {std::string_view("a")}).value(), 1);
        EXPECT_EQ(step(database, "DELETE FROM t WHERE id = ?1", {std::string_view("a")}).value(), 0);
        return End::commit;
      },
      Repeat::safe));
}

TEST_F(MySqlEngine, TakesADuplicateForAnAnswerAndUsesTheConnectionAgain) {
  auto engine = this->engine();
  std::set<std::string> connections;
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(engine.write(
        [&](Database& database) -> auth::Result<End> {
          connections.insert(connection_id(database));
          auto first = database.run("INSERT INTO t (id) VALUES (?1)", std::vector<Value>{std::string_view("same")});
          auto second = database.run("INSERT INTO t (id) VALUES (?1)", std::vector<Value>{std::string_view("same")});
          EXPECT_EQ(second.error().problem, store::sql::Problem::duplicate);
          EXPECT_FALSE(second.error().detail.contains("same")) << second.error().detail;
          return End::commit;
        },
        Repeat::safe));
  }
  EXPECT_EQ(connections.size(), 1U);
  EXPECT_EQ(texts(engine, "SELECT id FROM t").value().size(), 1U);
}

/// Two units that update two rows in opposite order, each having the first one when it asks for the second: one of them
/// is broken off by the server.
class MySqlDeadlock : public MySqlEngine {
 protected:
  enum class Loser { says_so, overlooks_it };

  void let_two_meet(Loser loser) {
    server().run("INSERT INTO t VALUES ('a', 0), ('b', 0)", options_.database);
    auto engine = this->engine();
    std::string other;
    std::thread thread([&] { other = update(engine, "b", "a", loser); });
    EXPECT_EQ(update(engine, "a", "b", loser), "");
    thread.join();
    EXPECT_EQ(other, "");
    EXPECT_EQ(runs_, 3);
    EXPECT_EQ(in_database("SELECT GROUP_CONCAT(n) FROM t"), "2,2");
  }

 private:
  std::string update(store::sql::Engine& engine, std::string_view first, std::string_view second, Loser loser) {
    bool is_first_run = true;
    return failure_of(engine.write(
        [&](Database& database) -> auth::Result<End> {
          ++runs_;
          const auto one = step(database, "UPDATE t SET n = n + 1 WHERE id = ?1", {first});
          EXPECT_TRUE(one);
          if (std::exchange(is_first_run, false)) both_hold_one_.arrive_and_wait();
          const auto two = step(database, "UPDATE t SET n = n + 1 WHERE id = ?1", {second});
          if (!two && loser == Loser::says_so) return std::unexpected(two.error());
          return End::commit;
        },
        Repeat::unsafe));
  }

  std::barrier<> both_hold_one_{2};
  std::atomic<int> runs_ = 0;
};

TEST_F(MySqlDeadlock, ItsLoserIsRunAgain) {
  let_two_meet(Loser::says_so);
}

TEST_F(MySqlDeadlock, ItsLoserIsRunAgainThoughItOverlooksThat) {
  let_two_meet(Loser::overlooks_it);
}

TEST_F(MySqlEngine, RunsAUnitAgainWhoseConnectionWasLostBeforeTheCommit) {
  auto engine = this->engine();
  int runs = 0;
  const auto written = engine.write(
      [&](Database& database) -> auth::Result<End> {
        auto done = insert(database, "a");
        if (++runs == 1) server().run("KILL " + connection_id(database));
        if (done) done = insert(database, "b");
        return done;
      },
      Repeat::unsafe);
  EXPECT_EQ(failure_of(written), "");
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(in_database("SELECT COUNT(*) FROM t"), "2");
}

TEST_F(MySqlEngine, RunsAUnitAgainThatWasLostAtTheCommitOnlyIfThatIsSafe) {
  auto engine = this->engine();
  int runs = 0;
  const auto unit = [&](Database& database) -> auth::Result<End> {
    auto done = step(database, "UPDATE t SET n = n + 1 WHERE id = ?1", {std::string_view("a")});
    if (++runs == 1) server().run("KILL " + connection_id(database));
    return End::commit;
  };
  ASSERT_TRUE(engine.write([](Database& database) { return insert(database, "a", 0); }, Repeat::safe));
  EXPECT_EQ(failure_of(engine.write(unit, Repeat::unsafe)), "STORE_UNAVAILABLE");
  EXPECT_EQ(runs, 1);
  runs = 0;
  EXPECT_EQ(failure_of(engine.write(unit, Repeat::safe)), "");
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(in_database("SELECT n FROM t"), "1");
}

TEST_F(MySqlEngine, AUnitThatOverlooksALostConnectionIsNotCommitted) {
  auto engine = this->engine();
  const auto written = engine.write(
      [&](Database& database) -> auth::Result<End> {
        server().run("KILL " + connection_id(database));
        (void)insert(database, "a");
        return End::commit;
      },
      Repeat::safe);
  EXPECT_EQ(failure_of(written), "STORE_UNAVAILABLE");
  const auto read = engine.read([&](Database& database) -> auth::Result<void> {
    server().run("KILL " + connection_id(database));
    (void)database.query("SELECT 1", {}, [](const store::sql::Row&) {});
    return {};
  });
  EXPECT_EQ(failure_of(read), "STORE_UNAVAILABLE");
}

TEST_F(MySqlEngine, ReadsOnThoughEveryRestingConnectionWasEnded) {
  auto engine = this->engine();
  const auto end_all = [&] {
    for (const auto& row : server().rows("SELECT id FROM information_schema.processlist WHERE user = 'gate'")) {
      server().run("KILL " + row.at(0));
    }
  };
  ASSERT_TRUE(answers(engine));
  for (int i = 0; i < 5; ++i) {
    std::vector<std::thread> threads;
    for (int j = 0; j < 8; ++j) threads.emplace_back([&] { EXPECT_TRUE(answers(engine)); });
    for (std::thread& thread : threads) thread.join();
    end_all();
  }
}

TEST_F(MySqlEngine, IsReadOnlyWhileSomebodyElseHoldsTheLock) {
  options_.timeout = 1'500ms;
  auto engine = this->engine();
  ASSERT_TRUE(engine.write([](Database& database) { return insert(database, "a"); }, Repeat::safe));
  RawMariaDb other(server().socket(), options_.database);
  other.run("START TRANSACTION; UPDATE t SET n = 5 WHERE id = 'a'");
  const auto unit = [](Database& database) -> auth::Result<End> {
    if (auto first = insert(database, "b"); !first) return first;
    auto done = step(database, "UPDATE t SET n = 6 WHERE id = ?1", {std::string_view("a")});
    if (!done) return std::unexpected(done.error());
    return End::commit;
  };
  std::string failure;
  EXPECT_LT(time_of([&] { failure = failure_of(engine.write(unit, Repeat::safe)); }), 3s);
  EXPECT_EQ(failure, "STORE_READ_ONLY");
  EXPECT_TRUE(answers(engine));
  other.run("ROLLBACK");
  EXPECT_EQ(in_database("SELECT GROUP_CONCAT(id) FROM t"), "a");
  EXPECT_EQ(failure_of(engine.write(unit, Repeat::safe)), "");
}

TEST_F(MySqlEngine, StatementsThatTakeTooLongEndOnTheServerAndPutNoHostInDoubt) {
  options_.timeout = 5s;  // of which the server has nine tenths: on a busy machine its word must still come first
  std::atomic<int> news = 0;
  options_.report = [&](const store::HostNews&) { ++news; };
  auto engine = this->engine();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { EXPECT_EQ(failure_of(texts(engine, "SELECT SLEEP(30)")), "STORE_UNAVAILABLE"); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(becomes_true([&] {
    return server().value("SELECT COUNT(*) FROM information_schema.processlist WHERE info = 'SELECT SLEEP(30)'") == "0";
  })) << "the server says so before it has cleaned up, but it does not go on for 30 s";
  EXPECT_TRUE(answers(engine));
  EXPECT_EQ(news, 0);
}

TEST_F(MySqlEngine, SendsNoStatementWhenItsTimeIsOver) {
  options_.timeout = 200ms;
  auto engine = this->engine();
  int runs = 0;
  const auto written = engine.write(
      [&](Database& database) -> auth::Result<End> {
        ++runs;
        std::this_thread::sleep_for(300ms);
        return insert(database, "late");
      },
      Repeat::safe);
  EXPECT_EQ(failure_of(written), "STORE_UNAVAILABLE");
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(in_database("SELECT COUNT(*) FROM t"), "0");
}

TEST_F(MySqlEngine, AnExceptionInAUnitLeavesNoTransactionOpen) {
  options_.max_connections = 1;
  auto engine = this->engine();
  const auto broken = [](Database& database) -> auth::Result<End> {
    EXPECT_TRUE(insert(database, "a"));
    throw std::runtime_error("a bug");
  };
  EXPECT_THROW((void)engine.write(broken, Repeat::safe), std::runtime_error);
  EXPECT_TRUE(engine.write([](Database& database) { return insert(database, "a"); }, Repeat::safe));
}

// ── connections as they are set up ──────────────────────────────────────────────────────────────────────────────────

TEST_F(MySqlEngine, LeavesNothingToTheServersConfiguration) {
  auto engine = this->engine();
  const auto value = [&](std::string_view sql) { return texts(engine, sql).value().at(0); };
  EXPECT_EQ(value("SELECT @@tx_isolation"), "READ-COMMITTED");
  EXPECT_EQ(value("SELECT @@autocommit"), "1");
  EXPECT_EQ(value("SELECT @@time_zone"), "+00:00");
  EXPECT_EQ(value("SELECT @@character_set_client"), "utf8mb4");
  EXPECT_EQ(value("SELECT @@character_set_results"), "utf8mb4");
  EXPECT_EQ(value("SELECT @@innodb_lock_wait_timeout"), "1");
  EXPECT_EQ(value("SELECT @@lock_wait_timeout"), "1");
  EXPECT_EQ(value("SELECT @@max_statement_time"), "1.800000");
  EXPECT_TRUE(value("SELECT @@sql_mode").contains("STRICT_ALL_TABLES"));
}

TEST_F(MySqlEngine, SendsNothingButTheUnitsStatementsAndTheTransactionAroundThem) {
  options_.max_connections = 1;
  auto engine = this->engine();
  const auto read = [&] { EXPECT_TRUE(answers(engine)); };
  const auto write = [&](std::string_view id) {
    EXPECT_TRUE(engine.write([&](Database& database) { return insert(database, id); }, Repeat::safe));
  };
  // Of the only connection: the server's own count has the ends of other tests' connections in it.
  const auto questions = [&] {
    constexpr auto kAsk =
        "SELECT variable_value FROM information_schema.session_status WHERE variable_name = 'QUESTIONS'";
    return std::stoll(texts(engine, kAsk).value().at(0));
  };
  const auto sent_by = [&](const std::function<void()>& calls) {
    const std::int64_t before = questions();
    calls();
    return questions() - before;
  };
  questions();
  read();
  write("prepared");
  const std::int64_t by_the_asking = sent_by([] {});
  EXPECT_EQ(sent_by(read) - by_the_asking, 1);
  EXPECT_EQ(sent_by([&] { write("a"); }) - by_the_asking, 3);
}

TEST_F(MySqlEngine, GivesAwayNoLocalFiles) {
  server().run("SET GLOBAL local_infile = 1; GRANT FILE ON *.* TO gate@localhost");
  auto engine = this->engine();
  const auto loaded = engine.write(
      [](Database& database) -> auth::Result<End> {
        auto done = step(database, "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE t");
        if (!done) return std::unexpected(done.error());
        return End::commit;
      },
      Repeat::safe);
  EXPECT_NE(failure_of(loaded), "");
  EXPECT_EQ(in_database("SELECT COUNT(*) FROM t"), "0");
}

TEST_F(MySqlEngine, RunsOneStatementAtATime) {
  auto engine = this->engine();
  EXPECT_EQ(failure_of(texts(engine, "SELECT 1; DELETE FROM t")), "INTERNAL");
}

TEST_F(MySqlEngine, KeepsAtMostSixtyFourStatementsPrepared) {
  options_.max_connections = 1;
  auto engine = this->engine();
  for (int i = 0; i < 300; ++i) {
    ASSERT_EQ(texts(engine, "SELECT " + std::to_string(i)).value(), std::vector{std::to_string(i)});
    ASSERT_LE(server().status("Prepared_stmt_count"), 65);
  }
}

TEST_F(MySqlEngine, PreparesAgainWhatTheTablesHaveOutgrown) {
  options_.max_connections = 1;
  auto engine = this->engine();
  std::vector<std::string> names;
  const auto columns = [&] {
    return engine.read([&](Database& database) -> auth::Result<void> {
      names.clear();
      auto done = database.query("SELECT * FROM t", {}, [&](const store::sql::Row& row) {
        for (int i = 0; i < row.column_count(); ++i) names.emplace_back(row.name(i));
      });
      EXPECT_TRUE(done) << done.error().detail;
      return {};
    });
  };
  ASSERT_TRUE(engine.write([](Database& database) { return insert(database, "a"); }, Repeat::safe));
  ASSERT_TRUE(columns());
  server().run("ALTER TABLE t ADD COLUMN city TEXT", options_.database);
  ASSERT_TRUE(columns());
  EXPECT_EQ(names, (std::vector<std::string>{"id", "n", "city"}));
  server().run("ALTER TABLE t DROP COLUMN city", options_.database);
  ASSERT_TRUE(columns());
  EXPECT_EQ(names, (std::vector<std::string>{"id", "n"}));
}

// ── values ──────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST_F(MySqlEngine, ValuesComeBackAsTheyWent) {
  server().run("CREATE TABLE v (k BIGINT PRIMARY KEY, n BIGINT, t TEXT CHARACTER SET utf8mb4, b LONGBLOB)",
               options_.database);
  auto engine = this->engine();
  std::string every_byte;
  for (int i = 0; i < 256; ++i) every_byte += static_cast<char>(i);
  const std::vector<std::string> texts_{"", "a", "é日😀", std::string("a\0b", 3), "it's \"?1\" \\ %_", "  x  "};
  const std::vector<std::string> bytes{"", every_byte, "\xc3\x28", std::string(300'000, '\xff')};
  const std::vector<std::int64_t> numbers{0, -1, std::numeric_limits<std::int64_t>::min(),
                                          std::numeric_limits<std::int64_t>::max()};
  std::int64_t key = 0;
  for (const std::string& text : texts_) {
    for (const std::string& blob : bytes) {
      const std::int64_t number = numbers.at(static_cast<std::size_t>(key) % numbers.size());
      ++key;
      ASSERT_TRUE(engine.write(
          [&](Database& database) -> auth::Result<End> {
            auto done = step(database, "INSERT INTO v (b, t, n, k) VALUES (?3, ?2, ?4, ?1)",
                             {key, std::string_view(text), std::as_bytes(std::span(blob)), number});
            if (!done) return std::unexpected(done.error());
            return End::commit;
          },
          Repeat::safe));
      ASSERT_TRUE(engine.read([&](Database& database) -> auth::Result<void> {
        auto row =
            store::sql::select_one(database, "SELECT n, t, b FROM v WHERE k = ?1", {key}, [&](const auto& shown) {
              EXPECT_EQ(shown.integer(0), number);
              EXPECT_EQ(shown.text(0), std::to_string(number));
              EXPECT_EQ(shown.text(1), text);
              EXPECT_FALSE(shown.is_null(1));
              const std::vector<std::byte> found = shown.blob(2);
              return std::ranges::equal(found, std::as_bytes(std::span(blob)));
            });
        EXPECT_EQ(row.value(), true);
        return {};
      }));
    }
  }
}

TEST_F(MySqlEngine, NullIsNeitherZeroNorEmpty) {
  auto engine = this->engine();
  ASSERT_TRUE(engine.write(
      [](Database& database) -> auth::Result<End> {
        EXPECT_TRUE(step(database, "INSERT INTO t (id, n) VALUES (?1, ?2)", {std::string_view{}, nullptr}));
        return End::commit;
      },
      Repeat::safe));
  ASSERT_TRUE(engine.read([](Database& database) -> auth::Result<void> {
    auto row = store::sql::select_one(database, "SELECT id, n AS number FROM t", {}, [](const store::sql::Row& shown) {
      EXPECT_FALSE(shown.is_null(0));
      EXPECT_TRUE(shown.is_null(1));
      EXPECT_EQ(shown.integer(1), 0);
      EXPECT_EQ(shown.text(1), "");
      EXPECT_TRUE(shown.blob(1).empty());
      EXPECT_EQ(shown.name(1), "number");
      return true;
    });
    EXPECT_EQ(row.value(), true);
    return {};
  }));
}

TEST_F(MySqlEngine, EveryTypeCanBeReadAsText) {
  server().run(
      "CREATE TABLE d (a DOUBLE, b DATETIME(3), c ENUM('x'), d JSON, e DECIMAL(10,3), f BIT(8), g BIGINT UNSIGNED,"
      " h TINYINT, i DATE, j TIMESTAMP NULL, k SET('p', 'q'), l YEAR, m TIME, n CHAR(3), o FLOAT);"
      "INSERT INTO d VALUES (0.5, '2020-01-02 03:04:05.678', 'x', '{}', 1.5, b'101', 18446744073709551615,"
      " -1, '2020-01-02', NULL, 'p,q', 2020, '01:02:03', 'abc', 0.25)",
      options_.database);
  auto engine = this->engine();
  std::vector<std::string> found;
  ASSERT_TRUE(engine.read([&](Database& database) -> auth::Result<void> {
    auto done = database.query("SELECT * FROM d", {}, [&](const store::sql::Row& row) {
      for (int i = 0; i < row.column_count(); ++i) found.push_back(row.text(i));
    });
    EXPECT_TRUE(done);
    return {};
  }));
  const std::vector<std::string> expected{"0.500000",
                                          "2020-01-02 03:04:05.678000",
                                          "x",
                                          "{}",
                                          "1.500",
                                          "5",
                                          "18446744073709551615",
                                          "-1",
                                          "2020-01-02",
                                          "",
                                          "p,q",
                                          "2020",
                                          "01:02:03",
                                          "abc",
                                          "0.250000"};
  EXPECT_EQ(found, expected);
}

TEST_F(MySqlEngine, WhatAColumnCannotHoldIsABadValueAndIsNotInIt) {
  server().run("CREATE TABLE a (id VARCHAR(5) CHARACTER SET ascii PRIMARY KEY, n INT NOT NULL CHECK (n > 0))",
               options_.database);
  auto engine = this->engine();
  const auto problem = [&](std::string_view sql, std::vector<Value> values) {
    store::sql::SqlResult<std::int64_t> done;
    const auto written = engine.write(
        [&](Database& database) -> auth::Result<End> {
          done = database.run(sql, values);
          return End::rollback;
        },
        Repeat::safe);
    EXPECT_TRUE(written) << written.error().detail;
    return done ? std::string("none") : done.error().problem == store::sql::Problem::bad_value ? "bad value" : "other";
  };
  const std::string_view insert = "INSERT INTO a (id, n) VALUES (?1, ?2)";
  EXPECT_EQ(problem(insert, {std::string_view("abc"), 1}), "none");
  EXPECT_EQ(problem(insert, {std::string_view("é"), 1}), "bad value");
  EXPECT_EQ(problem(insert, {std::string_view("\xff"), 1}), "bad value");
  EXPECT_EQ(problem(insert, {std::string_view("abcdef"), 1}), "bad value");
  EXPECT_EQ(problem(insert, {std::string_view("abc"), nullptr}), "bad value");
  EXPECT_EQ(problem(insert, {std::string_view("abc"), std::string_view("x")}), "bad value");
  EXPECT_EQ(problem(insert, {std::string_view("abc"), 0}), "bad value");
  EXPECT_EQ(problem("UPDATE a SET n = 1 WHERE id = ?1", {std::string_view("é")}), "none");
  EXPECT_EQ(problem("DELETE FROM a WHERE id = ?1", {std::string_view("日\xff")}), "none");
  EXPECT_EQ(texts(engine, "SELECT id FROM a WHERE id = ?1", {std::string_view("😀")}).value(),
            std::vector<std::string>{});
}

// ── exact comparison ────────────────────────────────────────────────────────────────────────────────────────────────

TEST_F(MySqlEngine, ExactlyFindsTheseVeryBytesByTheIndexWhateverTheCollation) {
  const std::vector<std::string> texts_{
      "abc", "ABC", "abc ", "àbc", "é", "日", "😀", "\xc3\x28", "\xff", "", std::string("a\0", 2)};
  const std::vector<std::string> types{"VARBINARY(64)",
                                       "VARCHAR(64) CHARACTER SET latin1 COLLATE latin1_swedish_ci",
                                       "VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci",
                                       "VARCHAR(64) CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci",
                                       "VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
                                       "VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
                                       "VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"};
  for (const std::string& type : types) {
    server().run("DROP TABLE IF EXISTS e; CREATE TABLE e (id " + type + " PRIMARY KEY)", options_.database);
    auto engine = this->engine();
    const std::string select = "SELECT id FROM e WHERE " + engine.exactly("id", "?1");
    int held = 0;
    for (const std::string& kept : texts_) {
      store::sql::SqlResult<std::int64_t> inserted;
      ASSERT_TRUE(engine.write(
          [&](Database& database) -> auth::Result<End> {
            (void)database.run("DELETE FROM e", {});
            inserted = database.run("INSERT INTO e VALUES (?1)", std::vector<Value>{std::string_view(kept)});
            return End::commit;
          },
          Repeat::safe));
      if (inserted) ++held;
      for (const std::string& wanted : texts_) {
        const auto found = texts(engine, select, {std::string_view(wanted)});
        ASSERT_EQ(failure_of(found), "");
        const bool is_there = inserted && kept == wanted;
        EXPECT_EQ(found.value(), is_there ? std::vector{kept} : std::vector<std::string>{}) << type << ": " << wanted;
      }
    }
    EXPECT_GE(held, 5) << type;
    std::string rows;
    for (int i = 0; i < 500; ++i) rows += (i == 0 ? "('r" : ",('r") + std::to_string(i) + "')";
    server().run("INSERT INTO e VALUES " + rows + "; ANALYZE TABLE e", options_.database);
    EXPECT_TRUE(engine.read([&](Database& database) -> auth::Result<void> {
      auto plan = store::sql::select_one(database, "EXPLAIN " + select, {std::string_view("r7")},
                                         [](const store::sql::Row& row) { return row.text(3) + " " + row.text(5); });
      EXPECT_EQ(plan.value().value(), "const PRIMARY") << type;
      return {};
    }));
  }
}

// ── tables ──────────────────────────────────────────────────────────────────────────────────────────────────────────

class MySqlMigrations : public MySqlEngine {
 protected:
  MySqlMigrations() {
    options_.user = "root";
    options_.password = "";
    server().run("DROP TABLE t", options_.database);
  }
  store::mysql::Engine native(const store::TableNames& names = {}) {
    return {options_, store::mysql::native_schema(names)};
  }
  std::string tables() {
    return in_database(
        "SELECT COALESCE(GROUP_CONCAT(table_name ORDER BY table_name), '') FROM information_schema.tables "
        "WHERE table_schema = DATABASE()");
  }
};

constexpr const char* kNativeTables = "gatehouse_schema,rotated_session,user,user_key,user_session";

TEST_F(MySqlMigrations, MakeTheTablesOnce) {
  auto engine = native();
  EXPECT_EQ(engine.schema_status().value().version, 0);
  EXPECT_EQ(failure_of(texts(engine, "SELECT id FROM user")), "STORE_NOT_MIGRATED");
  ASSERT_EQ(failure_of(engine.migrate()), "");
  EXPECT_TRUE(engine.schema_status().value().is_current());
  EXPECT_EQ(tables(), kNativeTables);
  ASSERT_EQ(failure_of(engine.migrate()), "");
  EXPECT_EQ(in_database("SELECT COUNT(*) FROM gatehouse_schema"), "1");
  EXPECT_EQ(failure_of(texts(engine, "SELECT id FROM user")), "");
  EXPECT_EQ(in_database("SELECT COUNT(DISTINCT engine) FROM information_schema.tables WHERE table_schema = DATABASE()"),
            "1");
}

TEST_F(MySqlMigrations, TheTablesReferToEachOtherUnderAnyNames) {
  const std::string longest(63, 'u');
  auto engine = native({.user = longest, .key = std::string(63, 'k'), .session = "Order"});
  ASSERT_EQ(failure_of(engine.migrate()), "");
  const auto insert = [&](std::string_view sql) {
    store::sql::SqlResult<std::int64_t> done;
    EXPECT_TRUE(engine.write(
        [&](Database& database) -> auth::Result<End> {
          done = database.run(sql, {});
          return End::commit;
        },
        Repeat::safe));
    return done ? std::optional<store::sql::Problem>() : done.error().problem;
  };
  const std::string session =
      "INSERT INTO \"Order\" (id, user_id, active_expires, idle_expires, created_at, family, last_used_at) "
      "VALUES ('s', 'u', 1, 2, 3, 'f', 4)";
  EXPECT_EQ(insert(session), store::sql::Problem::missing_reference);
  EXPECT_EQ(insert("INSERT INTO " + longest + " (id, username, created_at) VALUES ('u', 'bob', 1)"), std::nullopt);
  EXPECT_EQ(insert("INSERT INTO " + longest + " (id, username, created_at) VALUES ('v', 'bob', 1)"),
            store::sql::Problem::duplicate);
  EXPECT_EQ(insert("INSERT INTO " + longest + " (id, username, created_at) VALUES ('v', 'BOB', 1)"), std::nullopt);
  EXPECT_EQ(insert(session), std::nullopt);
  EXPECT_EQ(insert("DELETE FROM " + longest), store::sql::Problem::still_referenced);
}

TEST_F(MySqlMigrations, ChangeNothingWhereATableIsNotOurs) {
  server().run(
      "CREATE TABLE user_session (id VARCHAR(127) PRIMARY KEY, mine INT); INSERT INTO user_session VALUES ('x', 1)",
      options_.database);
  auto engine = native();
  EXPECT_EQ(failure_of(engine.migrate()), "STORE_NOT_MIGRATED");
  EXPECT_EQ(tables(), "user_session");
  EXPECT_EQ(in_database("SELECT mine FROM user_session"), "1");
}

TEST_F(MySqlMigrations, BeginAnewWhereAnInterruptedOneStopped) {
  server().run("CREATE TABLE gatehouse_new_user (id INT PRIMARY KEY); CREATE TABLE gatehouse_new_schema (x INT)",
               options_.database);
  auto engine = native();
  ASSERT_EQ(failure_of(engine.migrate()), "");
  EXPECT_EQ(tables(), kNativeTables);
}

TEST_F(MySqlMigrations, SeveralGatewaysDoItOnce) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      auto engine = native();
      EXPECT_EQ(failure_of(engine.migrate()), "");
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(tables(), kNativeTables);
  EXPECT_EQ(in_database("SELECT COUNT(*) FROM gatehouse_schema"), "1");
}

TEST_F(MySqlMigrations, TablesOfAnotherVersionAreRefused) {
  auto engine = native();
  ASSERT_EQ(failure_of(engine.migrate()), "");
  server().run("INSERT INTO gatehouse_schema VALUES (99, 0)", options_.database);
  auto other = native();
  EXPECT_EQ(failure_of(texts(other, "SELECT id FROM user")), "STORE_NOT_MIGRATED");
  EXPECT_EQ(failure_of(other.migrate()), "STORE_NOT_MIGRATED");
  EXPECT_EQ(other.schema_status().value().version, 99);
}

TEST_F(MySqlMigrations, AreNoticedByTheNextCallOnTheSameConnection) {
  options_.max_connections = 1;
  auto engine = native();
  EXPECT_EQ(failure_of(texts(engine, "SELECT id FROM user")), "STORE_NOT_MIGRATED");
  const std::int64_t before = server().status("Connections");
  for (int i = 0; i < 10; ++i) EXPECT_EQ(failure_of(texts(engine, "SELECT id FROM user")), "STORE_NOT_MIGRATED");
  EXPECT_LE(server().status("Connections") - before, 2) << "one of them is the one that asks";
  ASSERT_EQ(failure_of(native().migrate()), "");
  EXPECT_EQ(failure_of(texts(engine, "SELECT id FROM user")), "");
  server().run("DROP TABLE user_session", options_.database);
  EXPECT_EQ(failure_of(texts(engine, "SELECT id FROM user_session")), "STORE_NOT_MIGRATED");
  EXPECT_EQ(failure_of(texts(engine, "SELECT id FROM user")), "STORE_NOT_MIGRATED");
}

TEST_F(MySqlMigrations, AnotherProgramsTablesAreAsTheyMustBeOrNot) {
  auto engine = this->engine();
  EXPECT_EQ(failure_of(engine.migrate()), "STORE_NOT_MIGRATED");
  server().run("CREATE TABLE t (id INT)", options_.database);
  EXPECT_EQ(failure_of(engine.migrate()), "STORE_NOT_MIGRATED");
  EXPECT_EQ(engine.schema_status().value().problems, std::vector<std::string>{"table t has no column n"});
  server().run("ALTER TABLE t ADD COLUMN n INT", options_.database);
  EXPECT_EQ(failure_of(engine.migrate()), "");
}

TEST_F(MySqlMigrations, AMissingDatabaseIsNotMigrated) {
  options_.database = "nonesuch";
  auto engine = native();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(failure_of(texts(engine, "SELECT id FROM user")), "STORE_NOT_MIGRATED");
}

TEST_F(MySqlMigrations, NamesOfTablesAreToldApartByCaseWhereTheServerDoes) {
  ASSERT_EQ(server().value("SELECT @@lower_case_table_names"), "0");
  server().run("CREATE TABLE T (id INT, n INT)", options_.database);
  auto engine = this->engine();
  EXPECT_EQ(engine.schema_status().value().problems, std::vector<std::string>{"table t is missing"});
}

}  // namespace
}  // namespace gatehouse::contract
