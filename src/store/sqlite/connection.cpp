// Opening, preparing, binding, stepping. The settings of a connection are those that facts forced on us: each says
// why.
#include "store/sqlite/connection.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <new>
#include <utility>

#include "store/sqlite/errors.hpp"

namespace gatehouse::store::sqlite {
namespace {

// Statements with a varying list of columns (UPDATE of a user) must not pile up.
constexpr std::size_t kMaxStatements = 64;

int as_int(std::chrono::milliseconds timeout) {
  return static_cast<int>(std::clamp<std::chrono::milliseconds::rep>(timeout.count(), 0, 3'600'000));
}

/// The path as a URI: the only way to say "immutable", and a path that starts with "file:" stays a path.
std::string uri_of(const std::string& path, Access access) {
  std::string uri = path.starts_with('/') ? "file://" : "file:";
  for (const char c : path) {
    switch (c) {
      case '%': uri += "%25"; break;
      case '?': uri += "%3f"; break;
      case '#': uri += "%23"; break;
      case ':': uri += "%3a"; break;
      default: uri += c;
    }
  }
  return access == Access::immutable ? uri + "?immutable=1" : uri;
}

int count_wal_pages(void* pages, sqlite3* /*database*/, const char* /*schema*/, int count) {
  *static_cast<int*>(pages) = count;
  return SQLITE_OK;
}

void set(sqlite3* database, int option, int value) {
  sqlite3_db_config(database, option, value, static_cast<int*>(nullptr));
}

int bind(sqlite3_stmt* statement, int index, const sql::Value& value) {
  struct Binder {
    sqlite3_stmt* statement;
    int index;
    int operator()(std::nullptr_t) const { return sqlite3_bind_null(statement, index); }
    int operator()(std::int64_t number) const { return sqlite3_bind_int64(statement, index, number); }
    int operator()(std::string_view text) const {
      // An empty view may point nowhere, and a null pointer would bind NULL.
      const char* data = text.empty() ? "" : text.data();
      return sqlite3_bind_text64(statement, index, data, text.size(), SQLITE_STATIC, SQLITE_UTF8);
    }
    int operator()(sql::Blob bytes) const {
      return sqlite3_bind_blob64(statement, index, bytes.data(), bytes.size(), SQLITE_STATIC);
    }
  };
  return std::visit(Binder{statement, index}, value);
}

/// Leaves a statement ready for its next run, and without pointers into its caller's values, whatever happens.
class Running {
 public:
  explicit Running(sqlite3_stmt* statement) : statement_(statement) {}
  ~Running() {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

 private:
  sqlite3_stmt* statement_;
};

}  // namespace

// ── rows

int Row::column_count() const {
  return sqlite3_column_count(statement_);
}

std::string_view Row::name(int column) const {
  const char* name = sqlite3_column_name(statement_, column);
  if (name == nullptr) throw std::bad_alloc();
  return name;
}

bool Row::is_null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

std::int64_t Row::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

std::string Row::text(int column) const {
  if (is_null(column)) return {};
  const unsigned char* text = sqlite3_column_text(statement_, column);
  if (text == nullptr) throw std::bad_alloc();
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
  return {reinterpret_cast<const char*>(text), size};
}

std::vector<std::byte> Row::blob(int column) const {
  const auto* bytes = static_cast<const std::byte*>(sqlite3_column_blob(statement_, column));
  if (bytes == nullptr) return {};
  return {bytes, bytes + sqlite3_column_bytes(statement_, column)};
}

// ── opening

void Connection::Close::operator()(sqlite3* database) const {
  sqlite3_close_v2(database);
}
void Connection::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}
Connection::~Connection() = default;

SqlResult<std::unique_ptr<Connection>> Connection::open(const std::string& path, Access access,
                                                        std::chrono::milliseconds busy_timeout) {
  if (sqlite3_threadsafe() == 0) return std::unexpected(sql_error(SQLITE_MISUSE, "SQLite was built without threads"));
  const int mode = access == Access::immutable ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
  sqlite3* database = nullptr;
  const int code = sqlite3_open_v2(uri_of(path, access).c_str(), &database,
                                   mode | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  std::unique_ptr<Connection> connection(new Connection(database));
  if (database == nullptr) return std::unexpected(sql_error(SQLITE_NOMEM, "out of memory"));
  if (code != SQLITE_OK) return std::unexpected(connection->last_error());
  connection->set_busy_timeout(busy_timeout);
  auto configured = connection->configure(access);
  if (!configured) return std::unexpected(std::move(configured.error()));
  return connection;
}

SqlResult<void> Connection::configure(Access access) {
  sqlite3* database = database_.get();
  set(database, SQLITE_DBCONFIG_ENABLE_FKEY, 1);
  set(database, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0);
  set(database, SQLITE_DBCONFIG_DEFENSIVE, 1);
  // A connection whose file was replaced must not tidy up the log of the new file, which has the same name.
  set(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1);
  // In the place of SQLite's own hook, which would checkpoint after any commit: see checkpoint.hpp.
  sqlite3_wal_hook(database, count_wal_pages, &wal_pages_);

  if (access == Access::write && sqlite3_db_readonly(database, "main") == 1) {
    return std::unexpected(sql_error(SQLITE_READONLY, "the file cannot be written"));
  }
  std::vector<std::string_view> pragmas{"PRAGMA synchronous=FULL", "PRAGMA cell_size_check=ON"};
  if (access != Access::write) pragmas.emplace_back("PRAGMA query_only=ON");
  pragmas.emplace_back("SELECT count(*) FROM sqlite_schema");  // reads the header, for certain
  for (const std::string_view pragma : pragmas) {
    auto done = run(pragma);
    if (!done) return std::unexpected(std::move(done.error()));
  }
  return {};
}

// ── statements

SqlResult<sqlite3_stmt*> Connection::prepared(std::string_view sql) {
  if (const auto known = statements_.find(sql); known != statements_.end()) return known->second.get();
  schema_is_verified_ = false;
  sqlite3_stmt* raw = nullptr;
  const int code = sqlite3_prepare_v3(database_.get(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
  Statement statement(raw);
  if (code != SQLITE_OK) return std::unexpected(last_error());
  if (statements_.size() >= kMaxStatements) statements_.clear();
  return statements_.emplace(std::string(sql), std::move(statement)).first->second.get();
}

SqlResult<void> Connection::step_through(sqlite3_stmt* statement, const std::function<void(const sql::Row&)>& show) {
  int code = sqlite3_step(statement);
  // SQLite prepares a statement again by itself when the tables changed, "u.*" gains columns by that. We want to know.
  if (sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_REPREPARE, 1) > 0) schema_is_verified_ = false;
  for (; code == SQLITE_ROW; code = sqlite3_step(statement)) {
    if (show) show(Row(statement));
  }
  if (code != SQLITE_DONE) return std::unexpected(last_error());
  return {};
}

SqlResult<void> Connection::query(std::string_view sql, Values values,
                                  const std::function<void(const sql::Row&)>& show) {
  auto statement = prepared(sql);
  if (!statement) return std::unexpected(std::move(statement.error()));
  const Running running(*statement);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (bind(*statement, static_cast<int>(i + 1), values[i]) != SQLITE_OK) return std::unexpected(last_error());
  }
  return step_through(*statement, show);
}

SqlResult<std::int64_t> Connection::run(std::string_view sql, Values values) {
  auto done = query(sql, values, {});
  if (!done) return std::unexpected(std::move(done.error()));
  return sqlite3_changes64(database_.get());
}

void Connection::set_busy_timeout(std::chrono::milliseconds timeout) {
  sqlite3_busy_timeout(database_.get(), as_int(timeout));
}

bool Connection::in_transaction() const {
  return sqlite3_get_autocommit(database_.get()) == 0;
}

SqlError Connection::last_error() {
  SqlError error = sql_error(sqlite3_extended_errcode(database_.get()), sqlite3_errmsg(database_.get()));
  if (!is_busy(error)) is_sound_ = false;
  return error;
}

// ── the log

void Connection::checkpoint() {
  sqlite3_wal_checkpoint_v2(database_.get(), "main", SQLITE_CHECKPOINT_FULL, nullptr, nullptr);
}

bool Connection::fold_log() {
  const int code = sqlite3_wal_checkpoint_v2(database_.get(), "main", SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_NOMEM: return false;
    default: return true;
  }
}

void Connection::allow_checkpoint_on_close() {
  set(database_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0);
}

}  // namespace gatehouse::store::sqlite
