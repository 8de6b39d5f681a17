// The MySQL engine's connections on real MariaDBs that are stopped, frozen, read-only, encrypted, or not there.
#include <atomic>
#include <latch>
#include <mutex>

#include "contract/mysql_engine.hpp"
#include "store/sql/sql_store.hpp"

namespace gatehouse::contract {
namespace {

/// What an engine has told.
class Told {
 public:
  std::function<void(const store::HostNews&)> report() {
    return [this](const store::HostNews& news) {
      const std::scoped_lock lock(mutex_);
      news_.push_back(news);
    };
  }
  std::vector<store::HostNews> news() {
    const std::scoped_lock lock(mutex_);
    return news_;
  }

 private:
  std::mutex mutex_;
  std::vector<store::HostNews> news_;
};

bool writes(store::sql::Engine& engine, std::string_view id) {
  return engine.write([&](Database& database) { return insert(database, id); }, Repeat::safe).has_value();
}

// ── how many ────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(MySqlConnections, AreNeverMoreThanAllowed) {
  MariaDbServer server;
  auto options = options_for(server);
  // The server counts, too, and refuses the fifth.
  server.run("ALTER USER gate@localhost WITH MAX_USER_CONNECTIONS 4");
  options.max_connections = 4;
  options.acquire_timeout = 20s;
  options.timeout = 20s;
  store::mysql::Engine engine(options, small_schema());
  const std::int64_t before = server.status("Connections");
  std::vector<std::thread> threads;
  for (int i = 0; i < 32; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 5; ++j) EXPECT_TRUE(texts(engine, "SELECT SLEEP(0.005)"));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(server.status("Connections") - before, 4 + 1) << "they are used again";
}

TEST(MySqlConnections, AreWaitedForNoLongerThanTheAcquireTimeout) {
  auto options = options_for(shared_mariadb());
  options.max_connections = 2;
  options.acquire_timeout = 200ms;
  options.timeout = 20s;
  store::mysql::Engine engine(options, small_schema());
  std::latch both_taken{2};
  std::latch release{1};
  const auto hold = [&] {
    EXPECT_TRUE(engine.read([&](Database&) -> auth::Result<void> {
      both_taken.count_down();
      release.wait();
      return {};
    }));
  };
  std::thread first(hold);
  std::thread second(hold);
  both_taken.wait();
  std::string failure;
  const auto waited = time_of([&] { failure = failure_of(texts(engine, "SELECT 1")); });
  EXPECT_EQ(failure, "STORE_UNAVAILABLE");
  EXPECT_GE(waited, 200ms);
  EXPECT_LT(waited, 2s);
  release.count_down();
  first.join();
  second.join();
  EXPECT_TRUE(answers(engine));
}

TEST(MySqlConnections, AreLeftToReadersHoweverManyWritersWait) {
  MariaDbServer& server = shared_mariadb();
  auto options = options_for(server);
  options.max_connections = 4;
  options.acquire_timeout = 10s;
  options.timeout = 10s;
  store::mysql::Engine engine(options, small_schema());
  ASSERT_TRUE(answers(engine));
  RawMariaDb backup(server.socket(), {});
  backup.run("FLUSH TABLES WITH READ LOCK");
  std::vector<std::jthread> writers;
  for (const char* id : {"a", "b", "c", "d"}) writers.emplace_back([&, id] { EXPECT_TRUE(writes(engine, id)); });
  const auto waiting = [&] {
    return server.value("SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'gate' AND info LIKE 'INS%'");
  };
  EXPECT_TRUE(becomes_true([&] { return waiting() == "2"; }));
  for (int i = 0; i < 100; ++i) {
    EXPECT_LT(time_of([&] { EXPECT_TRUE(answers(engine)); }), 5s);
    if (HasFailure()) break;
  }
  EXPECT_EQ(waiting(), "2");
  backup.run("UNLOCK TABLES");
  writers.clear();
  EXPECT_EQ(texts(engine, "SELECT id FROM t ORDER BY id").value(), (std::vector<std::string>{"a", "b", "c", "d"}));
  EXPECT_TRUE(writes(engine, "e"));
}

TEST(MySqlConnections, AreNotKeptIfTheirUserMightNotAndMayByNow) {
  MariaDbServer& server = shared_mariadb();
  auto options = options_for(server);
  options.user = "reader";
  server.run("CREATE OR REPLACE USER reader@localhost IDENTIFIED BY 'open'; GRANT SELECT ON *.* TO reader@localhost");
  store::mysql::Engine engine(options, small_schema());
  EXPECT_EQ(failure_of(engine.write([](Database& database) { return insert(database, "a"); }, Repeat::safe)),
            "STORE_READ_ONLY");
  server.run("GRANT INSERT, UPDATE, DELETE ON *.* TO reader@localhost");
  EXPECT_TRUE(writes(engine, "a"));
}

TEST(MySqlConnections, EndWithTheirLifetime) {
  auto options = options_for(shared_mariadb());
  options.max_connections = 1;
  options.max_lifetime = 100ms;
  store::mysql::Engine engine(options, small_schema());
  const auto id = [&] { return texts(engine, "SELECT CONNECTION_ID()").value().at(0); };
  const std::string first = id();
  EXPECT_TRUE(becomes_true([&] { return id() != first; }));
}

TEST(MySqlConnections, ThatRestedAreAskedWhetherTheyStillAre) {
  auto options = options_for(shared_mariadb());
  options.max_connections = 1;
  options.ping_after = 0ms;
  store::mysql::Engine engine(options, small_schema());
  std::string id;
  int runs = 0;
  const auto unit = [&](Database& database) -> auth::Result<void> {
    ++runs;
    auto found = store::sql::select_one(database, "SELECT CONNECTION_ID()", {},
                                        [](const store::sql::Row& row) { return row.text(0); });
    if (!found) return std::unexpected(environment_error(found.error(), store::sql::During::read));
    id = found->value();
    return {};
  };
  ASSERT_TRUE(engine.read(unit));
  shared_mariadb().run("KILL " + id);
  ASSERT_TRUE(engine.read(unit));
  EXPECT_EQ(runs, 2) << "the second unit was run once, on a connection that was known to be alive";
}

// ── one host that fails ─────────────────────────────────────────────────────────────────────────────────────────────

TEST(MySqlHosts, AStoppedServerIsAnOutageAtOnceAndOverWhenItIsBack) {
  MariaDbServer server;
  Told told;
  auto options = options_for(server);
  options.report = told.report();
  store::mysql::Engine engine(options, small_schema());
  ASSERT_TRUE(answers(engine));
  server.stop();
  for (int i = 0; i < 50; ++i) {
    std::string failure;
    EXPECT_LT(time_of([&] { failure = failure_of(texts(engine, "SELECT 1")); }), 5s);
    EXPECT_EQ(failure, "STORE_UNAVAILABLE");
  }
  EXPECT_EQ(failure_of(engine.write([](Database& database) { return insert(database, "a"); }, Repeat::safe)),
            "STORE_UNAVAILABLE");
  server.start();
  EXPECT_TRUE(becomes_true([&] { return answers(engine); }));
  EXPECT_TRUE(writes(engine, "a"));
  ASSERT_EQ(told.news().size(), 2U);
  EXPECT_FALSE(told.news()[0].is_up);
  EXPECT_EQ(told.news()[0].host, server.unix_host());
  EXPECT_TRUE(told.news()[1].is_up);
}

TEST(MySqlHosts, AFrozenServerIsAnOutageInTimeAndSoonOneAtOnce) {
  MariaDbServer server;
  auto options = options_for(server);
  options.acquire_timeout = 1s;
  options.timeout = 1s;
  store::mysql::Engine engine(options, small_schema());
  ASSERT_TRUE(answers(engine));
  ASSERT_TRUE(writes(engine, "before"));
  server.pause();
  std::string failure;
  EXPECT_LT(time_of([&] { failure = failure_of(texts(engine, "SELECT 1")); }), 8s);
  EXPECT_EQ(failure, "STORE_UNAVAILABLE");
  EXPECT_LT(time_of([&] { EXPECT_FALSE(writes(engine, "never")); }), 8s);
  EXPECT_TRUE(becomes_true([&] { return time_of([&] { EXPECT_FALSE(answers(engine)); }) < 100ms; }));
  server.resume();
  EXPECT_TRUE(becomes_true([&] { return answers(engine); }));
  EXPECT_TRUE(writes(engine, "after"));
}

TEST(MySqlHosts, AFrozenServerHoldsNobodyLongerThanTheLimitHoweverManyAsk) {
  MariaDbServer server;
  auto options = options_for(server);
  options.acquire_timeout = 1s;
  options.timeout = 1s;
  options.max_connections = 4;
  store::mysql::Engine engine(options, small_schema());
  ASSERT_TRUE(answers(engine));
  server.pause();
  std::vector<std::thread> threads;
  for (int i = 0; i < 24; ++i) {
    threads.emplace_back([&] { EXPECT_LT(time_of([&] { EXPECT_FALSE(answers(engine)); }), 8s); });
  }
  for (std::thread& thread : threads) thread.join();
  server.resume();
}

TEST(MySqlHosts, AWrongPasswordIsOneLineOfNewsAndFewAttempts) {
  MariaDbServer server;
  Told told;
  auto options = options_for(server);
  options.password = "wrong";
  options.report = told.report();
  store::mysql::Engine engine(options, small_schema());
  const std::int64_t before = server.status("Aborted_connects");
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 100; ++j) EXPECT_EQ(failure_of(texts(engine, "SELECT 1")), "STORE_UNAVAILABLE");
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(server.status("Aborted_connects") - before, 8 + 6);
  ASSERT_EQ(told.news().size(), 1U);
  EXPECT_FALSE(told.news()[0].is_up);
  EXPECT_TRUE(told.news()[0].detail.contains("Access denied")) << told.news()[0].detail;
  EXPECT_FALSE(told.news()[0].detail.contains("wrong"));
}

TEST(MySqlHosts, AServerThatIsReadOnlyIsReadAndNotWrittenUntilItIsWritable) {
  MariaDbServer server;
  Told told;
  auto options = options_for(server);
  options.report = told.report();
  store::mysql::Engine engine(options, small_schema());
  const auto write = [&](std::string_view id) {
    return failure_of(engine.write([&](Database& database) { return insert(database, id); }, Repeat::safe));
  };
  ASSERT_EQ(write("a"), "");
  server.run("SET GLOBAL read_only = 1");
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(write("b"), "STORE_READ_ONLY");
    EXPECT_EQ(texts(engine, "SELECT id FROM t").value(), std::vector<std::string>{"a"});
  }
  server.run("SET GLOBAL read_only = 0");
  EXPECT_EQ(write("c"), "");
  ASSERT_EQ(told.news().size(), 1U);
  EXPECT_EQ(told.news()[0].detail, "is read-only");
}

TEST(MySqlHosts, AReadOnlyServerIsNotWrittenByAUserWhoCould) {
  MariaDbServer server;
  auto options = options_for(server);
  options.user = "root";
  options.password = "";
  server.run("SET GLOBAL read_only = 1");
  store::mysql::Engine engine(options, small_schema());
  EXPECT_FALSE(writes(engine, "a"));
  EXPECT_EQ(server.value("SELECT COUNT(*) FROM t", options.database), "0");
}

TEST(MySqlHosts, AClockThatIsOffIsNews) {
  MariaDbServer server({.tcp = false, .arguments = {"--init-connect=SET timestamp=1700000000"}});
  Told told;
  auto options = options_for(server);
  options.report = told.report();
  store::mysql::Engine engine(options, small_schema());
  ASSERT_TRUE(answers(engine));
  ASSERT_EQ(told.news().size(), 1U);
  EXPECT_TRUE(told.news()[0].is_up);
  EXPECT_TRUE(told.news()[0].detail.contains("clock")) << told.news()[0].detail;
}

TEST(MySqlHosts, AGaleraNodeIsReadInStepAndIsAnOutageWhileItIsOutOfItsCluster) {
  const std::string port = std::to_string(free_port());
  MariaDbServer server(
      {.tcp = false,
       .arguments = {"--wsrep-on=ON", "--wsrep-provider=/usr/lib/galera/libgalera_smm.so",
                     "--wsrep-cluster-address=gcomm://", "--binlog-format=ROW", "--wsrep-node-address=127.0.0.1",
                     "--wsrep-provider-options=gcache.size=4M;gmcast.listen_addr=tcp://127.0.0.1:" + port}});
  store::mysql::Engine engine(options_for(server), small_schema());
  EXPECT_EQ(texts(engine, "SELECT @@wsrep_sync_wait").value(), std::vector<std::string>{"1"});
  EXPECT_TRUE(writes(engine, "a"));
  server.run("SET GLOBAL wsrep_reject_queries = ALL");
  for (int i = 0; i < 5; ++i) EXPECT_EQ(failure_of(texts(engine, "SELECT id FROM t")), "STORE_UNAVAILABLE");
  server.run("SET GLOBAL wsrep_reject_queries = NONE");
  EXPECT_TRUE(becomes_true([&] { return answers(engine); }));
}

// ── several hosts ───────────────────────────────────────────────────────────────────────────────────────────────────

class MySqlFailover : public testing::Test {
 protected:
  MySqlFailover() {
    options_ = options_for(first_);
    const auto other = options_for(second_);
    options_.hosts.push_back(other.hosts.front());
    EXPECT_EQ(options_.database, other.database);
    first_.run("INSERT INTO t VALUES ('first', 0)", options_.database);
    second_.run("INSERT INTO t VALUES ('second', 0)", options_.database);
    options_.acquire_timeout = 1s;
    options_.timeout = 1s;
    options_.fail_back_after = 300ms;
  }
  static std::string who(store::mysql::Engine& engine) {
    const auto found = texts(engine, "SELECT id FROM t WHERE n = 0");
    return found ? found->at(0) : failure_of(found);
  }

  MariaDbServer first_;
  MariaDbServer second_;
  store::MySqlOptions options_;
};

TEST_F(MySqlFailover, GoesToTheNextHostWithinTheCallAndBackAfterAWhile) {
  options_.fail_back_after = 1s;
  store::mysql::Engine engine(options_, small_schema());
  EXPECT_EQ(who(engine), "first");
  first_.stop();
  const auto left = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(who(engine), "second");
  EXPECT_TRUE(writes(engine, "a"));
  EXPECT_EQ(second_.value("SELECT COUNT(*) FROM t WHERE id = 'a'", options_.database), "1");
  first_.start();
  EXPECT_TRUE(becomes_true([&] { return who(engine) == "first"; }));
  EXPECT_GE(std::chrono::steady_clock::now() - left, 1s);
  EXPECT_TRUE(becomes_true([&] {
    return second_.value("SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'gate'") == "0";
  })) << "no connection is left there";
}

TEST_F(MySqlFailover, NobodyIsAbsentForCertainOnAReplicaThatMayLag) {
  const auto find = [](store::mysql::Engine& engine, const std::string& id) {
    std::string found;
    const auto read = engine.read([&](Database& database) -> auth::Result<void> {
      const auto text = [](const store::sql::Row& row) { return row.text(0); };
      auto row = store::sql::select_one_surely(database, "SELECT id FROM t WHERE id = ?1", id, text,
                                               [](const std::string& key) { return key; });
      if (!row) return std::unexpected(environment_error(row.error(), store::sql::During::read));
      found = row->value_or("absent");
      return {};
    });
    return read ? found : failure_of(read);
  };
  store::MySqlOptions alone = options_;
  alone.hosts.erase(alone.hosts.begin());
  second_.run("SET GLOBAL read_only = 1");
  store::mysql::Engine single(alone, small_schema());
  EXPECT_EQ(find(single, "unknown"), "absent") << "the only server there is knows everybody";
  store::mysql::Engine engine(options_, small_schema());
  EXPECT_EQ(find(engine, "unknown"), "absent");
  first_.stop();
  EXPECT_EQ(find(engine, "second"), "second");
  EXPECT_EQ(find(engine, "unknown"), "STORE_UNAVAILABLE");
  second_.run("SET GLOBAL read_only = 0");
  EXPECT_TRUE(becomes_true([&] { return find(engine, "unknown") == "absent"; })) << "it was promoted";
}

TEST_F(MySqlFailover, LosesNoCallUnderLoadWhenTheFirstHostIsStopped) {
  store::mysql::Engine engine(options_, small_schema());
  ASSERT_EQ(who(engine), "first");
  std::atomic<bool> is_over = false;
  std::atomic<int> failures = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      while (!is_over) failures += answers(engine) ? 0 : 1;
    });
  }
  first_.kill();
  EXPECT_TRUE(becomes_true([&] { return who(engine) == "second"; }));
  is_over = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
}

TEST_F(MySqlFailover, LeavesAFrozenHost) {
  store::mysql::Engine engine(options_, small_schema());
  ASSERT_EQ(who(engine), "first");
  first_.pause();
  EXPECT_TRUE(becomes_true([&] { return who(engine) == "second"; }));
  first_.resume();
  EXPECT_TRUE(becomes_true([&] { return who(engine) == "first"; }));
}

TEST_F(MySqlFailover, WritesWhereItCanAndReadsThereToo) {
  store::mysql::Engine engine(options_, small_schema());
  ASSERT_EQ(who(engine), "first");
  first_.run("SET GLOBAL read_only = 1");
  EXPECT_TRUE(writes(engine, "a"));
  EXPECT_EQ(who(engine), "second");
  std::this_thread::sleep_for(700ms);
  EXPECT_EQ(who(engine), "second") << "up, but still read-only";
  second_.run("SET GLOBAL read_only = 1");
  EXPECT_FALSE(writes(engine, "b"));
  EXPECT_NE(who(engine), "STORE_UNAVAILABLE");
  first_.run("SET GLOBAL read_only = 0");
  EXPECT_TRUE(becomes_true([&] { return writes(engine, "c"); }));
  EXPECT_EQ(who(engine), "first");
}

TEST_F(MySqlFailover, AStandbyThatIsPromotedIsFoundThoughTheFirstHostIsDown) {
  second_.run("SET GLOBAL read_only = 1");
  store::mysql::Engine engine(options_, small_schema());
  first_.stop();
  EXPECT_EQ(who(engine), "second");
  EXPECT_EQ(failure_of(engine.write([](Database& database) { return insert(database, "a"); }, Repeat::safe)),
            "STORE_READ_ONLY");
  second_.run("SET GLOBAL read_only = 0");
  EXPECT_TRUE(writes(engine, "a"));
}

TEST_F(MySqlFailover, DoesNotLeaveAHostThatIsFull) {
  store::mysql::Engine engine(options_, small_schema());
  first_.run("SET GLOBAL max_connections = 10");
  std::vector<std::unique_ptr<RawMariaDb>> others;
  for (int i = 0; i < 10; ++i) others.push_back(std::make_unique<RawMariaDb>(first_.socket(), ""));
  const std::int64_t before = second_.status("Connections");
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(who(engine), "STORE_UNAVAILABLE");
    EXPECT_FALSE(writes(engine, "a"));
  }
  EXPECT_EQ(second_.status("Connections") - before, 1) << "only the one that asks";
  others.clear();
  EXPECT_TRUE(becomes_true([&] { return writes(engine, "b"); }));
  EXPECT_EQ(who(engine), "first");
}

TEST_F(MySqlFailover, DoesNotLeaveAHostWhereTheUserHasTooManyConnections) {
  store::mysql::Engine engine(options_, small_schema());
  store::mysql::Engine other(options_, small_schema());
  first_.run("ALTER USER gate@localhost WITH MAX_USER_CONNECTIONS 1");
  ASSERT_EQ(who(other), "first");
  for (int i = 0; i < 50; ++i) EXPECT_EQ(who(engine), "STORE_UNAVAILABLE");
  first_.run("ALTER USER gate@localhost WITH MAX_USER_CONNECTIONS 0");
  EXPECT_TRUE(becomes_true([&] { return who(engine) != "STORE_UNAVAILABLE"; }));
  EXPECT_EQ(who(engine), "first");
}

// ── encryption ──────────────────────────────────────────────────────────────────────────────────────────────────────

class MySqlTls : public testing::Test {
 protected:
  /// Makes a certificate authority, or a certificate for a name that it vouches for.
  std::string authority(const std::string& name) {
    openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=" + name + " -keyout " +
            folder_ / (name + ".key") + " -out " + folder_ / (name + ".pem"));
    return folder_ / (name + ".pem");
  }
  std::vector<std::string> certificate(const std::string& host) {
    authority("ca");
    openssl("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=" + host + " -keyout " +
            folder_ / "server.key" + " -out " + folder_ / "server.csr");
    openssl("x509 -req -days 2 -in " + folder_ / "server.csr" + " -CA " + folder_ / "ca.pem" + " -CAkey " +
            folder_ / "ca.key" + " -CAcreateserial -out " + folder_ / "server.pem");
    return {"--ssl-cert=" + folder_ / "server.pem", "--ssl-key=" + folder_ / "server.key"};
  }
  std::string failure_with(MariaDbServer& server, const std::string& authorities, const std::string& host, Told& told) {
    auto options = options_for(server);
    options.hosts = {host + ":" + std::to_string(server.port())};
    options.tls_ca_file = authorities;
    options.report = told.report();
    store::mysql::Engine engine(options, small_schema());
    const auto cipher = texts(engine,
                              "SELECT VARIABLE_VALUE FROM information_schema.session_status "
                              "WHERE VARIABLE_NAME = 'Ssl_cipher'");
    return cipher ? cipher->at(0) : failure_of(cipher);
  }

  const TemporaryFolder folder_;

 private:
  static void openssl(const std::string& arguments) {
    ASSERT_EQ(std::system(("openssl " + arguments + " 2>/dev/null").c_str()), 0) << arguments;
  }
};

TEST_F(MySqlTls, IsUsedIfTheNameAndTheChainFit) {
  MariaDbServer server({.tcp = true, .arguments = certificate("localhost")});
  Told told;
  EXPECT_TRUE(failure_with(server, folder_ / "ca.pem", "localhost", told).starts_with("TLS_"));
  EXPECT_EQ(told.news().size(), 0U);
  EXPECT_EQ(failure_with(server, "", "localhost", told), "") << "off is off";
}

TEST_F(MySqlTls, RefusesAnotherName) {
  MariaDbServer server({.tcp = true, .arguments = certificate("db.example.org")});
  Told told;
  EXPECT_EQ(failure_with(server, folder_ / "ca.pem", "localhost", told), "STORE_UNAVAILABLE");
  EXPECT_EQ(told.news().size(), 1U);
}

TEST_F(MySqlTls, RefusesAnotherAuthority) {
  MariaDbServer server({.tcp = true, .arguments = certificate("localhost")});
  Told told;
  EXPECT_EQ(failure_with(server, authority("other"), "localhost", told), "STORE_UNAVAILABLE");
  EXPECT_EQ(told.news().size(), 1U);
}

TEST_F(MySqlTls, RefusesAServerWithoutIt) {
  MariaDbServer server({.tcp = true, .arguments = {}});
  Told told;
  EXPECT_EQ(failure_with(server, authority("ca"), "localhost", told), "STORE_UNAVAILABLE");
  EXPECT_EQ(failure_with(server, folder_ / "nonesuch.pem", "localhost", told), "STORE_UNAVAILABLE");
}

TEST_F(MySqlTls, IsNothingForASocket) {
  auto options = options_for(shared_mariadb());
  options.tls_ca_file = authority("ca");
  store::mysql::Engine engine(options, small_schema());
  EXPECT_TRUE(answers(engine));
}

}  // namespace
}  // namespace gatehouse::contract
