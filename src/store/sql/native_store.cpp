// Each call is one SELECT on a reading connection, or one BEGIN IMMEDIATE … COMMIT on the writing one. (A transaction
// that begins with a read and then writes can be refused at once, whatever the timeout: SQLITE_BUSY_SNAPSHOT.)
#include "store/sqlite/sqlite_store.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <system_error>
#include <type_traits>
#include <utility>

#include "store/sqlite/checkpoint.hpp"
#include "store/sqlite/connection.hpp"
#include "store/sqlite/connections.hpp"
#include "store/sqlite/errors.hpp"
#include "store/sqlite/migrations.hpp"
#include "store/sqlite/rows.hpp"
#include "store/sqlite/statements.hpp"
#include "store/storable.hpp"

namespace gatehouse::store {

using auth::Error;
using auth::ErrorCode;
using auth::fail;
using auth::Result;
using auth::RotationOutcome;
using auth::SessionId;
using auth::SessionRow;
using sqlite::Connection;
using sqlite::During;
using sqlite::environment_error;
using sqlite::SqliteError;
using sqlite::SqliteResult;
using sqlite::to_milliseconds;
using sqlite::Value;
using sqlite::Values;
using sqlite::write_error;

namespace {

constexpr std::array<std::string_view, 7> kOwnUserColumns{"id",    "username", "name",      "email",
                                                          "roles", "disabled", "created_at"};

int expected_version(const TableNames& tables) {
  return sqlite::migrations(tables).back().version;
}

std::int64_t to_number(std::size_t count) {
  return static_cast<std::int64_t>(std::min<std::size_t>(count, std::numeric_limits<std::int64_t>::max()));
}

/// A refusal that the transaction survives in good order; everything else makes its connection suspect.
bool is_refusal(const Error& error) {
  switch (error.code) {
    case ErrorCode::invalid_key_id:
    case ErrorCode::invalid_user_id:
    case ErrorCode::invalid_session_id:
    case ErrorCode::invalid_password:
    case ErrorCode::duplicate_key_id:
    case ErrorCode::duplicate_session_id:
    case ErrorCode::duplicate_user:
    case ErrorCode::invalid_attribute:
    case ErrorCode::invalid_request: return true;
    case ErrorCode::store_unavailable:
    case ErrorCode::store_read_only:
    case ErrorCode::store_not_migrated:
    case ErrorCode::deadline_exceeded:
    case ErrorCode::capacity:
    case ErrorCode::internal: return false;
  }
  return false;
}

/// A rotation that did not happen must leave nothing behind, though it is no error.
template <typename T>
bool is_to_be_kept(const Result<T>& answer) {
  if (!answer) return false;
  if constexpr (std::is_same_v<T, RotationOutcome>) return *answer == RotationOutcome::rotated;
  return true;
}

/// Runs a statement whose constraints can only be broken by a bug of ours.
Result<std::size_t> run(Connection& database, const std::string& sql, std::initializer_list<Value> values) {
  auto changed = database.run(sql, values);
  if (!changed) return std::unexpected(environment_error(std::move(changed.error()), During::write));
  return static_cast<std::size_t>(*changed);
}

/// The rotated ids of a family are found through its live row, so they go first.
Result<std::size_t> end_sessions(Connection& database, const std::string& rotated, const std::string& sessions,
                                 std::initializer_list<Value> values) {
  auto done = run(database, rotated, values);
  if (!done) return done;
  return run(database, sessions, values);
}

/// Creates an empty file that only its owner can read, or leaves the one that is there alone.
Result<void> create_file(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor < 0 && errno == EEXIST) return {};
  if (descriptor < 0) {
    const int error = errno;
    const bool is_forbidden = error == EACCES || error == EPERM || error == EROFS || error == ENOSPC;
    return fail(is_forbidden ? ErrorCode::store_read_only : ErrorCode::store_unavailable,
                path + ": " + std::generic_category().message(error));
  }
  const bool done = ::fchmod(descriptor, 0600) == 0;  // the umask may have taken bits away
  ::close(descriptor);
  if (!done) return fail(ErrorCode::store_unavailable, path + ": cannot set its mode");
  return {};
}

std::string quoted(std::string_view column) {
  std::string text = "\"";
  for (const char c : column) text += c == '"' ? std::string("\"\"") : std::string(1, c);
  return text + '"';
}

/// Columns of a user and what to write into them.
class Assignments {
 public:
  void add(std::string_view column, Value value) {
    columns_.push_back(quoted(column));
    values_.push_back(value);
  }
  void add(const std::map<std::string, std::string>& attributes) {
    for (const auto& [column, value] : attributes) add(column, std::string_view(value));
  }
  [[nodiscard]] bool is_empty() const { return columns_.empty(); }
  [[nodiscard]] const std::vector<Value>& values() const { return values_; }

  [[nodiscard]] std::string insert_into(const std::string& table) const {
    std::string names;
    std::string marks;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const char* comma = i == 0 ? "" : ", ";
      names += comma + columns_[i];
      marks += comma + mark(i);
    }
    return "INSERT INTO " + quoted(table) + " (" + names + ") VALUES (" + marks + ")";
  }

  /// The statement's last parameter is the id.
  [[nodiscard]] std::string update(const std::string& table) const {
    std::string list;
    for (std::size_t i = 0; i < columns_.size(); ++i) list += (i == 0 ? "" : ", ") + columns_[i] + " = " + mark(i);
    return "UPDATE " + quoted(table) + " SET " + list + " WHERE id = " + mark(columns_.size());
  }

 private:
  static std::string mark(std::size_t index) { return "?" + std::to_string(index + 1); }

  std::vector<std::string> columns_;
  std::vector<Value> values_;
};

}  // namespace

// ── the frame of every call
// ───────────────────────────────────────────────────────────────────────────────────────────

SqliteStore::SqliteStore(SqliteOptions options)
    : tables_(std::move(options.tables)),
      problem_(problem_in(tables_)),
      expected_version_(expected_version(problem_ ? TableNames{} : tables_)),
      sql_(std::make_unique<sqlite::Statements>(problem_ ? TableNames{} : tables_)),
      connections_(
          std::make_unique<sqlite::Connections>(std::move(options.path), options.busy_timeout, options.max_readers)) {}

SqliteStore::~SqliteStore() = default;

Result<void> SqliteStore::require_usable_names() const {
  if (problem_) return fail(ErrorCode::internal, "names of tables: " + *problem_);
  return {};
}

Result<void> SqliteStore::require_current(Connection& database) const {
  if (database.schema_is_verified()) return {};
  auto version = sqlite::schema_version(database, tables_);
  if (!version) return std::unexpected(environment_error(std::move(version.error()), During::read));
  if (*version != expected_version_) {
    return fail(ErrorCode::store_not_migrated,
                "tables of version " + std::to_string(*version) + ", expected " + std::to_string(expected_version_));
  }
  database.set_schema_verified();
  return {};
}

/// Runs `work` (Connection& → SqliteResult<T>) on a reading connection and returns Result<T>.
template <typename Work>
auto SqliteStore::read(Work work) {
  using Answer = Result<typename std::invoke_result_t<Work, Connection&>::value_type>;
  if (auto usable = require_usable_names(); !usable) return Answer(std::unexpected(std::move(usable.error())));
  auto lease = connections_->reader();
  if (!lease) return Answer(std::unexpected(std::move(lease.error())));
  Connection& database = lease->connection();

  auto current = require_current(database);
  if (!current) {
    lease->drop();
    return Answer(std::unexpected(std::move(current.error())));
  }
  auto answer = work(database);
  if (!answer) {
    const bool is_sound = is_busy(answer.error());
    if (!is_sound) lease->drop();
    return Answer(std::unexpected(environment_error(std::move(answer.error()), During::read)));
  }
  // The tables may have changed between the check and the SELECT; only now it shows.
  current = require_current(database);
  if (!current) {
    lease->drop();
    return Answer(std::unexpected(std::move(current.error())));
  }
  if (!lease->was_undisturbed()) return Answer(fail(ErrorCode::store_unavailable, "the file changed under a reader"));
  return Answer(std::move(*answer));
}

/// Runs `work` (Connection& → Result<T>) in a transaction of its own, which is kept only if `work` succeeded.
template <typename Work>
auto SqliteStore::write(Work work) {
  using Answer = std::invoke_result_t<Work, Connection&>;
  if (auto usable = require_usable_names(); !usable) return Answer(std::unexpected(std::move(usable.error())));
  auto lease = connections_->writer();
  if (!lease) return Answer(std::unexpected(std::move(lease.error())));
  Connection& database = lease->connection();

  if (auto begun = database.run("BEGIN IMMEDIATE"); !begun) {
    if (!is_busy(begun.error())) lease->drop();
    return Answer(std::unexpected(environment_error(std::move(begun.error()), During::write)));
  }
  Answer answer = [&]() -> Answer {
    if (auto current = require_current(database); !current) return std::unexpected(std::move(current.error()));
    Answer done = work(database);
    if (!done) return done;
    if (auto current = require_current(database); !current) return std::unexpected(std::move(current.error()));
    return done;
  }();
  if (!is_to_be_kept(answer)) {
    const bool is_sound = (answer || is_refusal(answer.error())) && database.run("ROLLBACK");
    if (!is_sound) lease->drop();
    return answer;
  }
  if (auto kept = database.run("COMMIT"); !kept) {
    lease->drop();
    return Answer(std::unexpected(environment_error(std::move(kept.error()), During::write)));
  }
  sqlite::checkpoint_if_due(database, lease->file_path());
  return answer;
}

// ── sessions: reads
// ───────────────────────────────────────────────────────────────────────────────────────────────────

Result<std::optional<auth::SessionAndUser>> SqliteStore::find_session(const SessionId& id) {
  return read([&](Connection& database) {
    return select_one(database, sql_->find_session, {id.text()}, sqlite::read_session_and_user);
  });
}

Result<std::vector<auth::SessionAndUser>> SqliteStore::find_sessions(std::span<const SessionId> ids) {
  std::vector<std::string_view> wanted;
  wanted.reserve(ids.size());
  for (const SessionId& id : ids) wanted.emplace_back(id.text());
  std::ranges::sort(wanted);
  wanted.erase(std::ranges::unique(wanted).begin(), wanted.end());

  return read([&](Connection& database) -> SqliteResult<std::vector<auth::SessionAndUser>> {
    std::vector<auth::SessionAndUser> found;
    for (std::size_t start = 0; start < wanted.size(); start += sqlite::kIdsAtOnce) {
      std::array<Value, sqlite::kIdsAtOnce> values;  // the unused ones are NULL, which equals nothing
      std::ranges::copy(std::span(wanted).subspan(start, std::min(sqlite::kIdsAtOnce, wanted.size() - start)),
                        values.begin());
      auto some = select(database, sql_->find_sessions, Values(values), sqlite::read_session_and_user);
      if (!some) return some;
      std::ranges::move(*some, std::back_inserter(found));
    }
    return found;
  });
}

Result<std::optional<auth::RotatedRow>> SqliteStore::find_rotated(const SessionId& id) {
  return read([&](Connection& database) {
    return select_one(database, sql_->find_rotated, {id.text()}, sqlite::read_rotated);
  });
}

Result<std::vector<SessionRow>> SqliteStore::sessions_of_user(const std::string& user_id) {
  return read(
      [&](Connection& database) { return select(database, sql_->sessions_of_user, {user_id}, sqlite::read_session); });
}

Result<std::vector<SessionRow>> SqliteStore::all_sessions() {
  return read([&](Connection& database) { return select(database, sql_->all_sessions, {}, sqlite::read_session); });
}

// ── sessions: writes
// ──────────────────────────────────────────────────────────────────────────────────────────────────

namespace {

Result<void> insert_session(Connection& database, const std::string& sql, const SessionRow& row) {
  const Value parent = row.parent ? Value(std::string_view(row.parent->text())) : Value(nullptr);
  auto inserted = database.run(sql, {row.id.text(), row.user_id, to_milliseconds(row.active_expires),
                                     to_milliseconds(row.idle_expires), to_milliseconds(row.created_at), row.family,
                                     parent, to_milliseconds(row.last_used_at), row.address, row.device});
  if (!inserted) return std::unexpected(write_error(std::move(inserted.error()), ErrorCode::duplicate_session_id));
  return {};
}

}  // namespace

Result<void> SqliteStore::create_session_in(Connection& database, const SessionRow& row,
                                            std::size_t max_per_user) const {
  auto inserted = insert_session(database, sql_->insert_session, row);
  if (!inserted || max_per_user == 0) return inserted;
  auto ended = end_sessions(database, sql_->end_rotated_of_oldest_others, sql_->end_oldest_others,
                            {row.user_id, row.id.text(), to_number(max_per_user - 1)});
  if (!ended) return std::unexpected(std::move(ended.error()));
  return {};
}

Result<void> SqliteStore::create_session(const SessionRow& row, std::size_t max_per_user) {
  return write([&](Connection& database) { return create_session_in(database, row, max_per_user); });
}

Result<void> SqliteStore::replace_family(const std::string& family, const SessionRow& row, std::size_t max_per_user) {
  return write([&](Connection& database) -> Result<void> {
    auto ended = end_sessions(database, sql_->delete_rotated_of_family, sql_->delete_family, {family});
    if (!ended) return std::unexpected(std::move(ended.error()));
    return create_session_in(database, row, max_per_user);
  });
}

Result<void> SqliteStore::write_presentation(Connection& database, const auth::Presentation& first) const {
  auto marked = run(database, sql_->mark_parent, {first.parent.text(), to_milliseconds(first.seen_at)});
  if (!marked) return std::unexpected(std::move(marked.error()));
  auto cleared = run(database, sql_->clear_parent, {first.id.text()});
  if (!cleared) return std::unexpected(std::move(cleared.error()));
  return {};
}

Result<RotationOutcome> SqliteStore::rotate(const auth::Rotation& rotation,
                                            const std::optional<auth::Presentation>& first) {
  return write([&](Connection& database) { return rotate_in(database, rotation, first); });
}

Result<RotationOutcome> SqliteStore::rotate_in(Connection& database, const auth::Rotation& rotation,
                                               const std::optional<auth::Presentation>& first) const {
  auto noted = database.run(sql_->insert_rotated, {rotation.old_id.text(), rotation.successor.family,
                                                   sqlite::Blob(rotation.nonce), to_milliseconds(rotation.rotated_at)});
  if (!noted && is_duplicate(noted.error())) return RotationOutcome::already_rotated;
  if (!noted) return std::unexpected(environment_error(std::move(noted.error()), During::write));

  auto inserted = insert_session(database, sql_->insert_session, rotation.successor);
  // The user was deleted meanwhile, and the old row with it.
  if (!inserted && inserted.error().code == ErrorCode::invalid_user_id) return RotationOutcome::gone;
  if (!inserted) return std::unexpected(std::move(inserted.error()));

  auto deleted = run(database, sql_->delete_session, {rotation.old_id.text()});
  if (!deleted) return std::unexpected(std::move(deleted.error()));
  if (*deleted == 0) return RotationOutcome::gone;

  if (first) {
    if (auto written = write_presentation(database, *first); !written) {
      return std::unexpected(std::move(written.error()));
    }
  }
  return RotationOutcome::rotated;
}

Result<bool> SqliteStore::extend(const SessionId& id, auth::Timestamp old_active, auth::Timestamp new_active,
                                 auth::Timestamp new_idle, auth::Timestamp now,
                                 const std::optional<auth::Presentation>& first) {
  return write([&](Connection& database) -> Result<bool> {
    auto moved = run(database, sql_->extend,
                     {id.text(), to_milliseconds(old_active), to_milliseconds(new_active), to_milliseconds(new_idle),
                      to_milliseconds(now)});
    if (!moved) return std::unexpected(std::move(moved.error()));
    if (*moved == 0 || !first) return *moved > 0;
    if (auto written = write_presentation(database, *first); !written) {
      return std::unexpected(std::move(written.error()));
    }
    return true;
  });
}

Result<void> SqliteStore::mark_presented(const auth::Presentation& first) {
  return write([&](Connection& database) { return write_presentation(database, first); });
}

Result<void> SqliteStore::touch(std::span<const auth::LastUse> uses) {
  if (uses.empty()) return {};
  return write([&](Connection& database) -> Result<void> {
    for (const auth::LastUse& use : uses) {
      auto done = run(database, sql_->touch, {use.id.text(), to_milliseconds(use.at)});
      if (!done) return std::unexpected(std::move(done.error()));
    }
    return {};
  });
}

// ── the ends of sessions
// ──────────────────────────────────────────────────────────────────────────────────────────────

Result<std::size_t> SqliteStore::delete_session(const SessionId& id) {
  return write([&](Connection& database) { return run(database, sql_->delete_session, {id.text()}); });
}

Result<std::size_t> SqliteStore::delete_family(const std::string& family) {
  return write([&](Connection& database) {
    return end_sessions(database, sql_->delete_rotated_of_family, sql_->delete_family, {family});
  });
}

Result<std::size_t> SqliteStore::delete_sessions_of_user(const std::string& user_id) {
  return write([&](Connection& database) {
    return end_sessions(database, sql_->delete_rotated_of_user, sql_->delete_sessions_of_user, {user_id});
  });
}

Result<std::size_t> SqliteStore::delete_other_sessions(const std::string& user_id, const std::string& keep_family) {
  return write([&](Connection& database) {
    return end_sessions(database, sql_->delete_rotated_of_others, sql_->delete_other_sessions, {user_id, keep_family});
  });
}

Result<std::size_t> SqliteStore::delete_all_sessions() {
  return write([&](Connection& database) {
    return end_sessions(database, sql_->delete_all_rotated, sql_->delete_all_sessions, {});
  });
}

Result<std::size_t> SqliteStore::delete_dead(auth::Timestamp before, auth::Milliseconds max_lifetime,
                                             std::size_t limit) {
  const bool is_limited = max_lifetime > auth::Milliseconds::zero();
  const std::int64_t created_before =
      is_limited ? to_milliseconds(before - max_lifetime) : std::numeric_limits<std::int64_t>::min();
  return write([&](Connection& database) -> Result<std::size_t> {
    auto sessions =
        run(database, sql_->delete_dead_sessions, {to_milliseconds(before), created_before, to_number(limit)});
    if (!sessions) return sessions;
    auto rotated = run(database, sql_->delete_dead_rotated, {to_milliseconds(before), to_number(limit - *sessions)});
    if (!rotated) return rotated;
    return *sessions + *rotated;
  });
}

// ── users
// ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

Result<void> SqliteStore::require_attributes(Connection& database,
                                             const std::map<std::string, std::string>& attributes) const {
  if (attributes.empty()) return {};
  auto columns = select(database, sql_->user_columns, {}, [](const sqlite::Row& row) { return row.text(0); });
  if (!columns) return std::unexpected(environment_error(std::move(columns.error()), During::write));
  for (const auto& [name, value] : attributes) {
    const bool is_own = std::ranges::find(kOwnUserColumns, name) != kOwnUserColumns.end();
    if (is_own || std::ranges::find(*columns, name) == columns->end()) {
      return fail(ErrorCode::invalid_attribute, "no such column of " + tables_.user + ": " + name);
    }
  }
  return {};
}

namespace {

Result<void> insert_key(Connection& database, const std::string& sql, const auth::Key& key) {
  auto inserted = database.run(sql, {key.id, key.user_id, sqlite::to_value(key.hashed_password)});
  if (!inserted) return std::unexpected(write_error(std::move(inserted.error()), ErrorCode::duplicate_key_id));
  return {};
}

}  // namespace

Result<void> SqliteStore::create_user(const auth::NewUser& user) {
  const auth::User& row = user.user;
  if (!can_store_roles(row.roles)) return fail(ErrorCode::invalid_attribute, "a role that no comma list can hold");
  const std::string roles = auth::join_roles(row.roles);
  Assignments columns;
  columns.add("id", std::string_view(row.id));
  columns.add("username", std::string_view(row.username));
  columns.add("name", std::string_view(row.name));
  columns.add("email", std::string_view(row.email));
  columns.add("roles", std::string_view(roles));
  columns.add("disabled", std::int64_t{row.disabled});
  columns.add("created_at", to_milliseconds(row.created_at));
  columns.add(row.attributes);

  return write([&](Connection& database) -> Result<void> {
    if (auto known = require_attributes(database, row.attributes); !known) return known;
    auto inserted = database.run(columns.insert_into(tables_.user), columns.values());
    if (!inserted) return std::unexpected(write_error(std::move(inserted.error()), ErrorCode::duplicate_user));
    if (!user.key) return {};
    return insert_key(database, sql_->insert_key, *user.key);
  });
}

Result<std::optional<auth::User>> SqliteStore::find_user(const std::string& id) {
  return read([&](Connection& database) { return select_one(database, sql_->find_user, {id}, sqlite::read_user); });
}

Result<std::optional<auth::User>> SqliteStore::find_user_by_username(const std::string& username) {
  return read([&](Connection& database) {
    return select_one(database, sql_->find_user_by_username, {username}, sqlite::read_user);
  });
}

Result<std::vector<auth::User>> SqliteStore::all_users() {
  return read([&](Connection& database) { return select(database, sql_->all_users, {}, sqlite::read_user); });
}

Result<void> SqliteStore::update_user(const std::string& id, const auth::UserChange& change) {
  if (change.roles && !can_store_roles(*change.roles)) {
    return fail(ErrorCode::invalid_attribute, "a role that no comma list can hold");
  }
  const std::string roles = change.roles ? auth::join_roles(*change.roles) : std::string();
  Assignments columns;
  if (change.username) columns.add("username", std::string_view(*change.username));
  if (change.name) columns.add("name", std::string_view(*change.name));
  if (change.email) columns.add("email", std::string_view(*change.email));
  if (change.roles) columns.add("roles", std::string_view(roles));
  if (change.disabled) columns.add("disabled", std::int64_t{*change.disabled});
  columns.add(change.attributes);
  if (columns.is_empty()) columns.add("id", std::string_view(id));  // changes nothing, but finds out whether it exists
  std::vector<Value> values = columns.values();
  values.emplace_back(std::string_view(id));

  return write([&](Connection& database) -> Result<void> {
    if (auto known = require_attributes(database, change.attributes); !known) return known;
    auto updated = database.run(columns.update(tables_.user), values);
    if (!updated) return std::unexpected(write_error(std::move(updated.error()), ErrorCode::duplicate_user));
    if (*updated == 0) return fail(ErrorCode::invalid_user_id);
    return {};
  });
}

Result<bool> SqliteStore::delete_user(const std::string& id) {
  return write([&](Connection& database) -> Result<bool> {
    auto done = end_sessions(database, sql_->delete_rotated_of_user, sql_->delete_sessions_of_user, {id});
    if (done) done = run(database, sql_->delete_keys_of_user, {id});
    if (done) done = run(database, sql_->delete_user, {id});
    if (!done) return std::unexpected(std::move(done.error()));
    return *done > 0;
  });
}

// ── keys
// ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

Result<void> SqliteStore::create_key(const auth::Key& key) {
  return write([&](Connection& database) { return insert_key(database, sql_->insert_key, key); });
}

Result<std::optional<auth::Key>> SqliteStore::find_key(const std::string& id) {
  return read([&](Connection& database) { return select_one(database, sql_->find_key, {id}, sqlite::read_key); });
}

Result<std::vector<auth::Key>> SqliteStore::keys_of_user(const std::string& user_id) {
  return read([&](Connection& database) { return select(database, sql_->keys_of_user, {user_id}, sqlite::read_key); });
}

Result<void> SqliteStore::update_key_password(const std::string& id,
                                              const std::optional<std::string>& hashed_password) {
  return write([&](Connection& database) -> Result<void> {
    auto updated = run(database, sql_->update_key_password, {id, sqlite::to_value(hashed_password)});
    if (!updated) return std::unexpected(std::move(updated.error()));
    if (*updated == 0) return fail(ErrorCode::invalid_key_id);
    return {};
  });
}

Result<void> SqliteStore::delete_key(const std::string& id) {
  return write([&](Connection& database) -> Result<void> {
    auto deleted = run(database, sql_->delete_key, {id});
    if (!deleted) return std::unexpected(std::move(deleted.error()));
    return {};
  });
}

// ── operations
// ────────────────────────────────────────────────────────────────────────────────────────────────────────

Result<auth::SchemaStatus> SqliteStore::schema_status() {
  if (auto usable = require_usable_names(); !usable) return std::unexpected(std::move(usable.error()));
  auto lease = connections_->reader();
  if (!lease) return std::unexpected(std::move(lease.error()));
  auto version = sqlite::schema_version(lease->connection(), tables_);
  if (!version) {
    lease->drop();
    return std::unexpected(environment_error(std::move(version.error()), During::read));
  }
  return auth::SchemaStatus{*version, expected_version_};
}

namespace {

/// Applies one step in a transaction of its own, unless another process has done so.
SqliteResult<void> migrate_by(Connection& database, const sqlite::Migration& step, const TableNames& tables) {
  if (auto begun = database.run("BEGIN IMMEDIATE"); !begun) return std::unexpected(std::move(begun.error()));
  auto version = sqlite::schema_version(database, tables);
  if (!version) return std::unexpected(std::move(version.error()));
  if (*version < step.version) {
    if (auto applied = sqlite::apply(database, step); !applied) return applied;
  }
  if (auto kept = database.run("COMMIT"); !kept) return std::unexpected(std::move(kept.error()));
  return {};
}

SqliteResult<void> migrate_all(Connection& database, const TableNames& tables) {
  if (auto wal = database.run("PRAGMA journal_mode=WAL"); !wal) return std::unexpected(std::move(wal.error()));
  for (const sqlite::Migration& step : sqlite::migrations(tables)) {
    if (auto done = migrate_by(database, step, tables); !done) return done;
  }
  return {};
}

/// What stops a step is a table of that name: the tables are not ours.
Error migration_error(SqliteError error) {
  Error ours = environment_error(std::move(error), During::write);
  if (ours.code == ErrorCode::internal) ours.code = ErrorCode::store_not_migrated;
  return ours;
}

}  // namespace

Result<auth::SchemaStatus> SqliteStore::migrate() {
  if (auto usable = require_usable_names(); !usable) return std::unexpected(std::move(usable.error()));
  if (auto created = create_file(connections_->path()); !created) return std::unexpected(std::move(created.error()));
  auto status = schema_status();
  if (!status || status->is_current()) return status;
  if (status->version > expected_version_) {
    return fail(ErrorCode::store_not_migrated, "the tables are newer than this program");
  }
  auto lease = connections_->writer();
  if (!lease) return std::unexpected(std::move(lease.error()));
  if (auto done = migrate_all(lease->connection(), tables_); !done) {
    lease->drop();
    return std::unexpected(migration_error(std::move(done.error())));
  }
  return auth::SchemaStatus{expected_version_, expected_version_};
}

}  // namespace gatehouse::store
