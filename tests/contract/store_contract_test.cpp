// Puts the stores of src/store that need no server under the contract.
#include "contract/store_contract.hpp"

#include "contract/lucia_contract.hpp"
#include "contract/raw_sqlite.hpp"
#include "contract/sql_faults.hpp"
#include "contract/temporary_folder.hpp"
#include "store/memory/memory_store.hpp"
#include "store/open.hpp"
#include "store/sqlite/engine.hpp"
#include "store/sqlite/migrations.hpp"
#include "store/sqlite/sqlite_store.hpp"

namespace gatehouse::contract {
namespace {

using EnginePointer = std::unique_ptr<store::sql::Engine>;

EnginePointer make_sqlite_engine(const store::SqliteOptions& options, store::sql::Schema schema) {
  return std::make_unique<store::sqlite::Engine>(options.path, options.busy_timeout, options.max_readers,
                                                 std::move(schema));
}

class MemoryHarness final : public StoreHarness {
 public:
  auth::Store& store() override { return store_; }
  auth::Store& other_process() override { return store_; }

 private:
  store::MemoryStore store_{{"city", "team"}, {"country", "note"}};
};

class SqliteHarness final : public StoreHarness {
 public:
  explicit SqliteHarness(store::TableNames tables)
      : options_{.path = folder_ / "gatehouse.db",
                 .tables = std::move(tables),
                 .busy_timeout = std::chrono::minutes(1)},
        store_(options_),
        other_(options_) {
    value_of(store_.migrate());
    add_columns(options_.tables.user, {"city", "team"});
    add_columns(options_.tables.session, {"country", "note"});
  }
  auth::Store& store() override { return store_; }
  auth::Store& other_process() override { return other_; }
  [[nodiscard]] EnginePointer make_engine() const {
    return make_sqlite_engine(options_, store::sqlite::native_schema(options_.tables));
  }
  [[nodiscard]] std::unique_ptr<auth::Store> store_over(EnginePointer engine) const {
    return std::make_unique<store::sql::NativeStore>(std::move(engine), options_.tables);
  }

 private:
  void add_columns(const std::string& table, const std::vector<std::string>& columns) {
    for (const std::string& column : columns) {
      RawSqlite(options_.path).run("ALTER TABLE \"" + table + "\" ADD COLUMN " + column + " TEXT");
    }
  }

  TemporaryFolder folder_;
  store::SqliteOptions options_;
  store::SqliteStore store_;
  store::SqliteStore other_;
};

class SqliteLuciaHarness final : public LuciaHarness {
 public:
  explicit SqliteLuciaHarness(LuciaVersion version) : LuciaHarness(version) {
    options_.schema = schema_of(version);
    options_.busy_timeout = std::chrono::minutes(1);
    run("PRAGMA journal_mode=WAL");
    const LuciaTypes types{
        .user_id = "VARCHAR(31)", .session_id = "VARCHAR(127)", .key_id = "VARCHAR(255)", .text = "TEXT"};
    for (const std::string& statement : lucia_tables_ddl(version, types)) run(statement);
    store_ = store::open_store(options_);
    other_ = store::open_store(options_);
  }
  auth::Store& store() override { return *store_; }
  auth::Store& other_process() override { return *other_; }
  void run(const std::string& sql) override { RawSqlite(options_.path).run(sql); }
  [[nodiscard]] EnginePointer make_engine() const { return make_sqlite_engine(options_, lucia_schema(tables())); }
  [[nodiscard]] std::unique_ptr<auth::Store> store_over(EnginePointer engine) const {
    return std::make_unique<store::sql::LuciaStore>(std::move(engine), tables());
  }

 private:
  [[nodiscard]] store::sql::LuciaTables tables() const {
    return store::sql::lucia_tables(options_.schema, options_.tables);
  }

  TemporaryFolder folder_;
  store::SqliteOptions options_{.path = folder_ / "lucia.db", .tables = names()};
  std::unique_ptr<auth::Store> store_;
  std::unique_ptr<auth::Store> other_;
};

template <LuciaVersion version>
std::unique_ptr<LuciaHarness> make_sqlite_lucia() {
  return std::make_unique<SqliteLuciaHarness>(version);
}
template <LuciaVersion version>
std::unique_ptr<StoreHarness> make_sqlite_lucia_store() {
  return make_sqlite_lucia<version>();
}

std::unique_ptr<StoreHarness> make_memory() {
  return std::make_unique<MemoryHarness>();
}
std::unique_ptr<StoreHarness> make_sqlite() {
  return std::make_unique<SqliteHarness>(store::TableNames{});
}
std::unique_ptr<StoreHarness> make_sqlite_with_other_names() {
  return std::make_unique<SqliteHarness>(store::TableNames{.user = "Order", .key = "key", .session = "_s1"});
}

INSTANTIATE_TEST_SUITE_P(Memory, StoreContract, testing::Values(&make_memory));
INSTANTIATE_TEST_SUITE_P(Memory, NativeContract, testing::Values(&make_memory));
INSTANTIATE_TEST_SUITE_P(Memory, SingleUseKeyContract, testing::Values(&make_memory));
INSTANTIATE_TEST_SUITE_P(Sqlite, StoreContract, testing::Values(&make_sqlite));
INSTANTIATE_TEST_SUITE_P(Sqlite, NativeContract, testing::Values(&make_sqlite));
INSTANTIATE_TEST_SUITE_P(Sqlite, SingleUseKeyContract, testing::Values(&make_sqlite));
INSTANTIATE_TEST_SUITE_P(SqliteWithOtherNames, StoreContract, testing::Values(&make_sqlite_with_other_names));
INSTANTIATE_TEST_SUITE_P(SqliteWithOtherNames, NativeContract, testing::Values(&make_sqlite_with_other_names));
INSTANTIATE_TEST_SUITE_P(SqliteWithOtherNames, SingleUseKeyContract, testing::Values(&make_sqlite_with_other_names));

INSTANTIATE_TEST_SUITE_P(SqliteLucia1, StoreContract, testing::Values(&make_sqlite_lucia_store<LuciaVersion::v1>));
INSTANTIATE_TEST_SUITE_P(SqliteLucia1, SingleUseKeyContract,
                         testing::Values(&make_sqlite_lucia_store<LuciaVersion::v1>));
INSTANTIATE_TEST_SUITE_P(SqliteLucia2, StoreContract, testing::Values(&make_sqlite_lucia_store<LuciaVersion::v2>));
INSTANTIATE_TEST_SUITE_P(SqliteLucia1, LuciaContract, testing::Values(&make_sqlite_lucia<LuciaVersion::v1>));
INSTANTIATE_TEST_SUITE_P(SqliteLucia2, LuciaContract, testing::Values(&make_sqlite_lucia<LuciaVersion::v2>));

FaultyStore make_faulty_sqlite() {
  return faulty(std::make_unique<SqliteHarness>(store::TableNames{}));
}
template <LuciaVersion version>
FaultyStore make_faulty_sqlite_lucia() {
  return faulty(std::make_unique<SqliteLuciaHarness>(version));
}

INSTANTIATE_TEST_SUITE_P(Sqlite, SqlFaults, every_write_of(&make_faulty_sqlite, TableSchema::native), name_of_write);
INSTANTIATE_TEST_SUITE_P(SqliteLucia1, SqlFaults,
                         every_write_of(&make_faulty_sqlite_lucia<LuciaVersion::v1>, TableSchema::lucia_v1),
                         name_of_write);
INSTANTIATE_TEST_SUITE_P(SqliteLucia2, SqlFaults,
                         every_write_of(&make_faulty_sqlite_lucia<LuciaVersion::v2>, TableSchema::lucia_v2),
                         name_of_write);

}  // namespace
}  // namespace gatehouse::contract
