// Puts our tables on a real MariaDB under the contract.
#include "contract/lucia_contract.hpp"
#include "contract/mariadb_server.hpp"
#include "contract/store_contract.hpp"
#include "store/open.hpp"

namespace gatehouse::contract {
namespace {

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
    store::MySqlOptions options;
    options.hosts = {shared_mariadb().unix_host()};
    options.database = database_;
    options.user = "root";
    options.schema = schema_of(version);
    options.tables = names();
    options.acquire_timeout = std::chrono::minutes(1);
    options.timeout = std::chrono::minutes(1);
    const LuciaTypes types{
        .user_id = "VARCHAR(15)", .session_id = "VARCHAR(127)", .key_id = "VARCHAR(255)", .text = "VARCHAR(191)"};
    for (const std::string& statement : lucia_tables_ddl(version, types)) run(statement);
    store_ = store::open_store(options);
    other_ = store::open_store(options);
  }
  auth::Store& store() override { return *store_; }
  auth::Store& other_process() override { return *other_; }
  void run(const std::string& sql) override { shared_mariadb().run(sql, database_); }

 private:
  const std::string database_ = shared_mariadb().create_database();  // utf8mb4_general_ci, as MariaDB gives it
  std::unique_ptr<auth::Store> store_;
  std::unique_ptr<auth::Store> other_;
};

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

}  // namespace
}  // namespace gatehouse::contract
