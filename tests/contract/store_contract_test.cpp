// Puts the stores of src/store that need no server under the contract.
#include "contract/store_contract.hpp"

#include "contract/raw_sqlite.hpp"
#include "contract/temporary_folder.hpp"
#include "store/memory/memory_store.hpp"
#include "store/sqlite/sqlite_store.hpp"

namespace gatehouse::contract {
namespace {

class MemoryHarness final : public StoreHarness {
 public:
  auth::Store& store() override { return store_; }
  auth::Store& other_process() override { return store_; }

 private:
  store::MemoryStore store_{{"city", "team"}};
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
    const std::string alter = "ALTER TABLE \"" + options_.tables.user + "\" ADD COLUMN ";
    RawSqlite(options_.path).run(alter + "city TEXT;" + alter + "team TEXT");
  }
  auth::Store& store() override { return store_; }
  auth::Store& other_process() override { return other_; }

 private:
  TemporaryFolder folder_;
  store::SqliteOptions options_;
  store::SqliteStore store_;
  store::SqliteStore other_;
};

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
INSTANTIATE_TEST_SUITE_P(Sqlite, StoreContract, testing::Values(&make_sqlite));
INSTANTIATE_TEST_SUITE_P(SqliteWithOtherNames, StoreContract, testing::Values(&make_sqlite_with_other_names));

}  // namespace
}  // namespace gatehouse::contract
