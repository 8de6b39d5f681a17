// Where users and sessions are kept.
#include "config/read.hpp"

namespace gatehouse::config {
namespace {

constexpr std::array<Word<Driver>, 2> kDrivers{{{"sqlite", Driver::sqlite}, {"mysql", Driver::mysql}}};
constexpr std::array<Word<Schema>, 3> kSchemas{
    {{"native", Schema::native}, {"lucia-v1", Schema::lucia_v1}, {"lucia-v2", Schema::lucia_v2}}};
constexpr std::array<Word<TlsMode>, 2> kTlsModes{{{"off", TlsMode::off}, {"verify", TlsMode::verify}}};

void read_tls(Section tls, MySql& mysql) {
  tls.choice("mode", mysql.tls, kTlsModes);
  tls.file("ca_file", mysql.tls_ca_file);
  tls.refuse_unknown();
}

void read_pool(Section pool, MySql& mysql) {
  pool.number("max", mysql.pool_max, {.least = 1, .most = 1000});
  pool.duration("acquire_timeout", mysql.acquire_timeout);
  pool.refuse_unknown();
}

void read_mysql(Section section, MySql& mysql, bool is_used) {
  section.addresses("hosts", mysql.hosts, check_mysql_host);
  section.text("database", mysql.database, check_database);
  section.text("user", mysql.user, check_not_empty);
  section.secret("password", mysql.password, is_used);
  read_tls(section.section("tls"), mysql);
  read_pool(section.section("pool"), mysql);
  section.duration("timeout", mysql.timeout);
  section.refuse_unknown();
  if (mysql.hosts.empty()) {
    section.reading().problem_at(section.path_of("hosts"), "is empty; allowed: at least one unix:PATH or HOST:PORT");
  }
}

void read_sqlite(Section sqlite, std::string& path) {
  sqlite.file("path", path);
  sqlite.refuse_unknown();
  if (path.empty()) sqlite.reading().problem_at(sqlite.path_of("path"), "is empty; allowed: a file");
}

void read_tables(Section tables, Store& store) {
  tables.text("user", store.user_table, check_table);
  tables.text("key", store.key_table, check_table);
  tables.text("session", store.session_table, check_table);
  tables.refuse_unknown();
}

}  // namespace

void read_store(Section& root, Store& store) {
  Section section = root.section("store");
  section.choice("driver", store.driver, kDrivers);
  section.choice("schema", store.schema, kSchemas);
  read_sqlite(section.section("sqlite"), store.sqlite_path);
  read_mysql(section.section("mysql"), store.mysql, store.driver == Driver::mysql);
  read_tables(section.section("tables"), store);
  section.refuse_unknown();
}

}  // namespace gatehouse::config
