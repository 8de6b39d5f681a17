// Puts our tables on a real MariaDB under the contract.
#include "contract/lucia_contract.hpp"
#include "contract/mariadb_server.hpp"
#include "contract/sql_faults.hpp"
#include "contract/store_contract.hpp"
#include "store/mysql/engine.hpp"
#include "store/mysql/migrations.hpp"
#include "store/open.hpp"

namespace gatehouse::contract {
namespace {

using EnginePointer = std::unique_ptr<store::sql::Engine>;

class MySqlHarness final : public StoreHarness {
 public:
  explicit MySqlHarness(store::TableNames tables) {
    MariaDbServer& server = shared_mariadb();
    options_.hosts = {server.unix_host()};
    options_.database = server.create_database();
    options_.user = "root";
    options_.tables = std::move(tables);
    options_.acquire_timeout = std::chrono::minutes(1);
    options_.timeout = std::chrono::minutes(1);
    store_ = store::open_store(options_);
    other_ = store::open_store(options_);
    value_of(store_->migrate());
    add_columns(server, options_.tables.user, {"city", "team"});
    add_columns(server, options_.tables.session, {"country", "note"});
  }
  auth::Store& store() override { return *store_; }
  auth::Store& other_process() override { return *other_; }
  [[nodiscard]] EnginePointer make_engine() const {
    return std::make_unique<store::mysql::Engine>(options_, store::mysql::native_schema(options_.tables));
  }
  [[nodiscard]] std::unique_ptr<auth::Store> store_over(EnginePointer engine) const {
    return std::make_unique<store::sql::NativeStore>(std::move(engine), options_.tables);
  }

 private:
  void add_columns(MariaDbServer& server, const std::string& table, const std::vector<std::string>& columns) const {
    for (const std::string& column : columns) {
      server.run("ALTER TABLE `" + table + "` ADD COLUMN " + column + " TEXT CHARACTER SET utf8mb4", options_.database);
    }
  }

  store::MySqlOptions options_;
  std::unique_ptr<auth::Store> store_;
  std::unique_ptr<auth::Store> other_;
};

class MySqlLuciaHarness final : public LuciaHarness {
 public:
  explicit MySqlLuciaHarness(LuciaVersion version) : LuciaHarness(version) {
    options_.hosts = {shared_mariadb().unix_host()};
    options_.database = shared_mariadb().create_database();  // utf8mb4_general_ci, as MariaDB gives it
    options_.user = "root";
    options_.schema = schema_of(version);
    options_.tables = names();
    options_.acquire_timeout = std::chrono::minutes(1);
    options_.timeout = std::chrono::minutes(1);
    const LuciaTypes types{
        .user_id = "VARCHAR(15)", .session_id = "VARCHAR(127)", .key_id = "VARCHAR(255)", .text = "VARCHAR(191)"};
    for (const std::string& statement : lucia_tables_ddl(version, types)) run(statement);
    store_ = store::open_store(options_);
    other_ = store::open_store(options_);
  }
  auth::Store& store() override { return *store_; }
  auth::Store& other_process() override { return *other_; }
  void run(const std::string& sql) override { shared_mariadb().run(sql, options_.database); }
  [[nodiscard]] EnginePointer make_engine() const {
    return std::make_unique<store::mysql::Engine>(options_, lucia_schema(tables()));
  }
  [[nodiscard]] std::unique_ptr<auth::Store> store_over(EnginePointer engine) const {
    return std::make_unique<store::sql::LuciaStore>(std::move(engine), tables());
  }

 private:
  [[nodiscard]] store::sql::LuciaTables tables() const {
    return store::sql::lucia_tables(options_.schema, options_.tables);
  }

  store::MySqlOptions options_;
  std::unique_ptr<auth::Store> store_;
  std::unique_ptr<auth::Store> other_;
};

// Of tables without foreign keys, after a server's default collation changed: the comparison of the two columns fails,
// and that is no reason to take a visitor's session for unknown, or to say that a logout is done.
TEST(MySqlLucia, ColumnsThatCannotBeComparedAreAFailureAndNobodyIsAbsent) {
  MySqlLuciaHarness harness(LuciaVersion::v2);
  value_of(harness.store().create_user({.user = user("u1"), .key = key("u1", "u1")}));
  value_of(harness.store().create_session(session("s1", "u1"), 0));
  harness.run("ALTER TABLE people_session DROP FOREIGN KEY people_session_ibfk_1");
  harness.run("ALTER TABLE people_key DROP FOREIGN KEY people_key_ibfk_1");
  harness.run("ALTER TABLE people_session MODIFY user_id VARCHAR(15) COLLATE utf8mb4_unicode_ci NOT NULL");
  EXPECT_EQ(error_of(harness.store().find_session(SessionId("s1"))), ErrorCode::store_not_migrated);
  EXPECT_EQ(error_of(harness.store().update_key_password("username:u1", "new")), ErrorCode::store_not_migrated);
  EXPECT_EQ(present(harness.store().find_key("username:u1")).hashed_password, "hash-of-u1") << "and nothing is written";
}

template <LuciaVersion version>
std::unique_ptr<LuciaHarness> make_mysql_lucia() {
  return std::make_unique<MySqlLuciaHarness>(version);
}
template <LuciaVersion version>
std::unique_ptr<StoreHarness> make_mysql_lucia_store() {
  return make_mysql_lucia<version>();
}

std::unique_ptr<StoreHarness> make_mysql() {
  return std::make_unique<MySqlHarness>(store::TableNames{});
}
std::unique_ptr<StoreHarness> make_mysql_with_other_names() {
  return std::make_unique<MySqlHarness>(store::TableNames{.user = "Order", .key = "key", .session = "_s1"});
}

INSTANTIATE_TEST_SUITE_P(MySql, StoreContract, testing::Values(&make_mysql));
INSTANTIATE_TEST_SUITE_P(MySql, NativeContract, testing::Values(&make_mysql));
INSTANTIATE_TEST_SUITE_P(MySql, SingleUseKeyContract, testing::Values(&make_mysql));
INSTANTIATE_TEST_SUITE_P(MySqlWithOtherNames, StoreContract, testing::Values(&make_mysql_with_other_names));
INSTANTIATE_TEST_SUITE_P(MySqlWithOtherNames, NativeContract, testing::Values(&make_mysql_with_other_names));
INSTANTIATE_TEST_SUITE_P(MySqlWithOtherNames, SingleUseKeyContract, testing::Values(&make_mysql_with_other_names));

INSTANTIATE_TEST_SUITE_P(MySqlLucia1, StoreContract, testing::Values(&make_mysql_lucia_store<LuciaVersion::v1>));
INSTANTIATE_TEST_SUITE_P(MySqlLucia1, SingleUseKeyContract, testing::Values(&make_mysql_lucia_store<LuciaVersion::v1>));
INSTANTIATE_TEST_SUITE_P(MySqlLucia2, StoreContract, testing::Values(&make_mysql_lucia_store<LuciaVersion::v2>));
INSTANTIATE_TEST_SUITE_P(MySqlLucia1, LuciaContract, testing::Values(&make_mysql_lucia<LuciaVersion::v1>));
INSTANTIATE_TEST_SUITE_P(MySqlLucia2, LuciaContract, testing::Values(&make_mysql_lucia<LuciaVersion::v2>));

FaultyStore make_faulty_mysql() {
  return faulty(std::make_unique<MySqlHarness>(store::TableNames{}));
}
template <LuciaVersion version>
FaultyStore make_faulty_mysql_lucia() {
  return faulty(std::make_unique<MySqlLuciaHarness>(version));
}

INSTANTIATE_TEST_SUITE_P(MySql, SqlFaults, every_write_of(&make_faulty_mysql, TableSchema::native), name_of_write);
INSTANTIATE_TEST_SUITE_P(MySqlLucia1, SqlFaults,
                         every_write_of(&make_faulty_mysql_lucia<LuciaVersion::v1>, TableSchema::lucia_v1),
                         name_of_write);
INSTANTIATE_TEST_SUITE_P(MySqlLucia2, SqlFaults,
                         every_write_of(&make_faulty_mysql_lucia<LuciaVersion::v2>, TableSchema::lucia_v2),
                         name_of_write);

}  // namespace
}  // namespace gatehouse::contract
