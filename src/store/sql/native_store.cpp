// Each call is one SELECT, or one transaction. The order of the statements within matters where two processes meet: see
// rotate_in and end_sessions.
#include "store/sql/native_store.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "store/sql/assignments.hpp"
#include "store/sql/rows.hpp"
#include "store/storable.hpp"

namespace gatehouse::store::sql {

using auth::ErrorCode;
using auth::fail;
using auth::Result;
using auth::RotationOutcome;
using auth::SessionId;
using auth::SessionRow;

namespace {

constexpr std::array<std::string_view, 7> kOwnUserColumns{"id",    "username", "name",      "email",
                                                          "roles", "disabled", "created_at"};
constexpr std::array<std::string_view, 10> kOwnSessionColumns{"id",         "user_id", "active_expires", "idle_expires",
                                                              "created_at", "family",  "parent",         "last_used_at",
                                                              "address",    "device"};

std::int64_t created_before(auth::Timestamp before, auth::Milliseconds max_lifetime) {
  if (max_lifetime <= auth::Milliseconds::zero()) return std::numeric_limits<std::int64_t>::min();
  return to_milliseconds(before - max_lifetime);
}

/// Ends sessions, twice: a rotation that was under way may have put its successor where the first DELETE had already
/// looked, while that waited for the old row. The second sees what it left. The rotated ids of a family are found
/// through its live row, so they go first.
Result<std::size_t> end_sessions(Database& database, const std::string& rotated, const std::string& sessions,
                                 std::initializer_list<Value> values) {
  std::size_t ended = 0;
  for (int pass = 0; pass < 2; ++pass) {
    if (auto done = run(database, rotated, values); !done) return done;
    auto done = run(database, sessions, values);
    if (!done) return done;
    ended += *done;
  }
  return ended;
}

}  // namespace

NativeStore::NativeStore(std::unique_ptr<Engine> engine, TableNames tables)
    : SqlStore(std::move(engine), problem_in(tables)), tables_(std::move(tables)), sql_(usable(tables_)) {}

// ── sessions: reads ──────────────────────────────────────────────────────────────────────────────────────────────────

Result<std::optional<auth::SessionAndUser>> NativeStore::find_session(const SessionId& id) {
  return read([&](Database& database) {
    return select_one_surely(database, sql_.find_session, id.text(), read_session_and_user, id_of);
  });
}

Result<std::vector<auth::SessionAndUser>> NativeStore::find_sessions(std::span<const SessionId> ids) {
  return find_sessions_by(sql_.find_sessions, ids, read_session_and_user);
}

Result<std::optional<auth::RotatedRow>> NativeStore::find_rotated(const SessionId& id) {
  return read([&](Database& database) {
    return select_one_surely(database, sql_.find_rotated, id.text(), read_rotated, id_of_rotated);
  });
}

Result<std::vector<SessionRow>> NativeStore::sessions_of_user(const std::string& user_id) {
  return read([&](Database& database) {
    return select_exactly(database, sql_.sessions_of_user, user_id, read_session, &SessionRow::user_id);
  });
}

Result<std::vector<SessionRow>> NativeStore::all_sessions() {
  return read([&](Database& database) { return select(database, sql_.all_sessions, {}, read_session); });
}

// ── sessions: writes ─────────────────────────────────────────────────────────────────────────────────────────────────

namespace {

Assignments columns_of(const SessionRow& row) {
  Assignments columns;
  columns.add("id", row.id.text());
  columns.add("user_id", row.user_id);
  columns.add("active_expires", to_milliseconds(row.active_expires));
  columns.add("idle_expires", to_milliseconds(row.idle_expires));
  columns.add("created_at", to_milliseconds(row.created_at));
  columns.add("family", row.family);
  columns.add("parent", row.parent ? Value(std::string_view(row.parent->text())) : Value(nullptr));
  columns.add("last_used_at", to_milliseconds(row.last_used_at));
  columns.add("address", row.address);
  columns.add("device", row.device);
  return columns;
}

auth::Error session_error(SqlError error) {
  return write_error(std::move(error), ErrorCode::duplicate_session_id);
}

}  // namespace

Result<void> NativeStore::insert_session(Database& database, const SessionRow& row) const {
  if (auto known = require_attributes(database, tables_.session, kOwnSessionColumns, row.attributes); !known) {
    return known;
  }
  Assignments columns = columns_of(row);
  columns.add(row.attributes);
  const std::string statement = columns.insert_into(tables_.session) + "VALUES (" + columns.parameters() + ")";
  auto inserted = database.run(statement, columns.values());
  if (!inserted) return std::unexpected(session_error(std::move(inserted.error())));
  return {};
}

// Further columns are copied from row to row: what a NULL or a number is to us would not be the same written back.
// Returns false if the old row is gone.
Result<bool> NativeStore::insert_successor(Database& database, const auth::Rotation& rotation) const {
  Assignments columns = columns_of(rotation.successor);
  const std::string values = columns.parameters();
  const std::string copied = columns.copy(rotation.successor.attributes);
  std::string statement = columns.insert_into(tables_.session);
  if (copied.empty()) {
    statement += "VALUES (" + values + ")";
  } else {
    statement += "SELECT " + values + copied + " FROM " + quoted(tables_.session) +
                 " WHERE id = " + columns.parameter(rotation.old_id.text());
  }
  auto inserted = database.run(statement, columns.values());
  if (!inserted) return std::unexpected(session_error(std::move(inserted.error())));
  return *inserted > 0;
}

Result<void> NativeStore::create_session_in(Database& database, const SessionRow& row, std::size_t max_per_user) const {
  auto inserted = insert_session(database, row);
  if (!inserted || max_per_user == 0) return inserted;
  auto ended = end_sessions(database, sql_.end_rotated_of_oldest_others, sql_.end_oldest_others,
                            {row.user_id, row.id.text(), to_number(max_per_user - 1)});
  if (!ended) return std::unexpected(std::move(ended.error()));
  return {};
}

Result<void> NativeStore::create_session(const SessionRow& row, std::size_t max_per_user) {
  return write([&](Database& database) { return create_session_in(database, row, max_per_user); }, Repeat::unsafe);
}

Result<void> NativeStore::replace_family(const std::string& family, const SessionRow& row, std::size_t max_per_user) {
  return write(
      [&](Database& database) -> Result<void> {
        auto ended = end_sessions(database, sql_.delete_rotated_of_family, sql_.delete_family, {family});
        if (!ended) return std::unexpected(std::move(ended.error()));
        return create_session_in(database, row, max_per_user);
      },
      Repeat::unsafe);
}

Result<void> NativeStore::mark_parent(Database& database, const auth::Presentation& first) const {
  auto marked = run(database, sql_.mark_parent, {first.parent.text(), to_milliseconds(first.seen_at)});
  if (!marked) return std::unexpected(std::move(marked.error()));
  return {};
}

Result<void> NativeStore::write_presentation(Database& database, const auth::Presentation& first) const {
  if (auto marked = mark_parent(database, first); !marked) return marked;
  auto cleared = run(database, sql_.clear_parent, {first.id.text()});
  if (!cleared) return std::unexpected(std::move(cleared.error()));
  return {};
}

Result<RotationOutcome> NativeStore::rotate(const auth::Rotation& rotation,
                                            const std::optional<auth::Presentation>& first) {
  return write([&](Database& database) { return rotate_in(database, rotation, first); }, Repeat::safe,
               [](const Result<RotationOutcome>& outcome) { return *outcome == RotationOutcome::rotated; });
}

Result<RotationOutcome> NativeStore::rotate_in(Database& database, const auth::Rotation& rotation,
                                               const std::optional<auth::Presentation>& first) const {
  auto noted = database.run(sql_.insert_rotated, {rotation.old_id.text(), rotation.successor.family,
                                                  Blob(rotation.nonce), to_milliseconds(rotation.rotated_at)});
  if (!noted && noted.error().problem == Problem::duplicate) return RotationOutcome::already_rotated;
  if (!noted) return std::unexpected(environment_error(std::move(noted.error()), During::write));

  auto inserted = insert_successor(database, rotation);
  // The user was deleted meanwhile, and the old row with it.
  if (!inserted && inserted.error().code == ErrorCode::invalid_user_id) return RotationOutcome::gone;
  if (!inserted) return std::unexpected(std::move(inserted.error()));
  if (!*inserted) return RotationOutcome::gone;

  auto deleted = run(database, sql_.delete_session, {rotation.old_id.text()});
  if (!deleted) return std::unexpected(std::move(deleted.error()));
  if (*deleted == 0) return RotationOutcome::gone;

  if (first) {  // the old row, whose parent it is, has just gone
    if (auto marked = mark_parent(database, *first); !marked) return std::unexpected(std::move(marked.error()));
  }
  return RotationOutcome::rotated;
}

Result<bool> NativeStore::extend(const SessionId& id, auth::Timestamp old_active, auth::Timestamp new_active,
                                 auth::Timestamp new_idle, auth::Timestamp now,
                                 const std::optional<auth::Presentation>& first) {
  return write([&](Database& database) -> Result<bool> {
    auto moved = run(database, sql_.extend,
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

Result<void> NativeStore::mark_presented(const auth::Presentation& first) {
  return write([&](Database& database) { return write_presentation(database, first); });
}

Result<void> NativeStore::update_session_attributes(const SessionId& id,
                                                    const std::map<std::string, std::string>& attributes) {
  return update_session_columns(tables_.session, kOwnSessionColumns, id, attributes);
}

Result<void> NativeStore::touch(std::span<const auth::LastUse> uses) {
  if (uses.empty()) return {};
  return write([&](Database& database) -> Result<void> {
    for (const auth::LastUse& use : uses) {
      auto done = run(database, sql_.touch, {use.id.text(), to_milliseconds(use.at)});
      if (!done) return std::unexpected(std::move(done.error()));
    }
    return {};
  });
}

// ── the ends of sessions ─────────────────────────────────────────────────────────────────────────────────────────────

Result<std::size_t> NativeStore::delete_session(const SessionId& id) {
  return run_alone(sql_.delete_session, {id.text()});
}

Result<std::size_t> NativeStore::delete_family(const std::string& family) {
  return write([&](Database& database) {
    return end_sessions(database, sql_.delete_rotated_of_family, sql_.delete_family, {family});
  });
}

Result<std::size_t> NativeStore::delete_sessions_of_user(const std::string& user_id) {
  return write([&](Database& database) {
    return end_sessions(database, sql_.delete_rotated_of_user, sql_.delete_sessions_of_user, {user_id});
  });
}

Result<std::size_t> NativeStore::delete_other_sessions(const std::string& user_id, const std::string& keep_family) {
  return write([&](Database& database) {
    return end_sessions(database, sql_.delete_rotated_of_others, sql_.delete_other_sessions, {user_id, keep_family});
  });
}

Result<std::size_t> NativeStore::delete_all_sessions() {
  return write([&](Database& database) {
    return end_sessions(database, sql_.delete_all_rotated, sql_.delete_all_sessions, {});
  });
}

Result<std::size_t> NativeStore::delete_dead(auth::Timestamp before, auth::Milliseconds max_lifetime,
                                             std::size_t limit) {
  const std::int64_t created = created_before(before, max_lifetime);
  return write([&](Database& database) -> Result<std::size_t> {
    auto sessions = run(database, sql_.delete_dead_sessions, {to_milliseconds(before), created, to_number(limit)});
    if (!sessions) return sessions;
    auto rotated = run(database, sql_.delete_dead_rotated, {to_milliseconds(before), to_number(limit - *sessions)});
    if (!rotated) return rotated;
    return *sessions + *rotated;
  });
}

Result<std::size_t> NativeStore::delete_dead_sessions_of_user(const std::string& user_id, auth::Timestamp before,
                                                              auth::Milliseconds max_lifetime) {
  return run_alone(sql_.delete_dead_of_user, {user_id, to_milliseconds(before), created_before(before, max_lifetime)});
}

// ── users ────────────────────────────────────────────────────────────────────────────────────────────────────────────

namespace {

Result<void> insert_key(Database& database, const std::string& sql, const auth::Key& key) {
  auto inserted = database.run(sql, {key.id, key.user_id, to_value(key.hashed_password), to_value(key.expires)});
  if (!inserted) return std::unexpected(write_error(std::move(inserted.error()), ErrorCode::duplicate_key_id));
  return {};
}

}  // namespace

Result<void> NativeStore::create_user(const auth::NewUser& user) {
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

  const std::string statement = columns.insert_into(tables_.user) + "VALUES (" + columns.parameters() + ")";
  return write(
      [&](Database& database) -> Result<void> {
        if (auto known = require_attributes(database, tables_.user, kOwnUserColumns, row.attributes); !known)
          return known;
        auto inserted = database.run(statement, columns.values());
        if (!inserted) return std::unexpected(write_error(std::move(inserted.error()), ErrorCode::duplicate_user));
        if (!user.key) return {};
        return insert_key(database, sql_.insert_key, *user.key);
      },
      Repeat::unsafe);
}

Result<std::optional<auth::User>> NativeStore::find_user(const std::string& id) {
  return read(
      [&](Database& database) { return select_one_exactly(database, sql_.find_user, id, read_user, &auth::User::id); });
}

Result<std::optional<auth::User>> NativeStore::find_user_by_username(const std::string& username) {
  return read([&](Database& database) {
    return select_one_exactly(database, sql_.find_user_by_username, username, read_user, &auth::User::username);
  });
}

Result<std::vector<auth::User>> NativeStore::all_users() {
  return read([&](Database& database) { return select(database, sql_.all_users, {}, read_user); });
}

Result<std::size_t> NativeStore::update_user(const std::string& id, const auth::UserChange& change) {
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
  const std::string statement = columns.update(tables_.user) + " WHERE id = " + columns.parameter(id);

  return write([&](Database& database) -> Result<std::size_t> {
    if (auto known = require_attributes(database, tables_.user, kOwnUserColumns, change.attributes); !known) {
      return std::unexpected(std::move(known.error()));
    }
    auto updated = database.run(statement, columns.values());
    if (!updated) return std::unexpected(write_error(std::move(updated.error()), ErrorCode::duplicate_user));
    if (*updated == 0) return fail(ErrorCode::invalid_user_id);
    if (!change.disabled.value_or(false)) return 0;
    return end_sessions(database, sql_.delete_rotated_of_user, sql_.delete_sessions_of_user, {id});
  });
}

Result<bool> NativeStore::delete_user(const std::string& id) {
  return write([&](Database& database) {
    return delete_user_after(database, sql_.delete_user, id, [&](Database& inner) -> Result<void> {
      auto done = end_sessions(inner, sql_.delete_rotated_of_user, sql_.delete_sessions_of_user, {id});
      if (done) done = run(inner, sql_.delete_keys_of_user, {id});
      if (!done) return std::unexpected(std::move(done.error()));
      return {};
    });
  });
}

// ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

Result<void> NativeStore::create_key(const auth::Key& key) {
  return write([&](Database& database) { return insert_key(database, sql_.insert_key, key); }, Repeat::unsafe);
}

Result<std::optional<auth::Key>> NativeStore::find_key(const std::string& id) {
  return read(
      [&](Database& database) { return select_one_exactly(database, sql_.find_key, id, read_key, &auth::Key::id); });
}

Result<std::vector<auth::Key>> NativeStore::keys_of_user(const std::string& user_id) {
  return read([&](Database& database) {
    return select_exactly(database, sql_.keys_of_user, user_id, read_key, &auth::Key::user_id);
  });
}

Result<std::size_t> NativeStore::update_key_password(const std::string& id,
                                                     const std::optional<std::string>& hashed_password) {
  return write([&](Database& database) -> Result<std::size_t> {
    auto updated = run(database, sql_.update_key_password, {id, to_value(hashed_password)});
    if (!updated) return updated;
    if (*updated == 0) return fail(ErrorCode::invalid_key_id);
    return end_sessions(database, sql_.delete_rotated_of_key, sql_.delete_sessions_of_key, {id});
  });
}

Result<bool> NativeStore::rehash_key(const auth::Key& key, const std::string& hashed_password) {
  return run_on_one(sql_.rehash_key, {key.id, key.user_id, to_value(key.hashed_password), hashed_password});
}

Result<void> NativeStore::delete_key(const std::string& id) {
  auto deleted = run_alone(sql_.delete_key, {id});
  if (!deleted) return std::unexpected(std::move(deleted.error()));
  return {};
}

Result<bool> NativeStore::consume_key(const auth::Key& key) {
  return run_on_one(sql_.consume_key, {key.id, key.user_id, to_value(key.hashed_password), to_value(key.expires)},
                    Repeat::unsafe);
}

}  // namespace gatehouse::store::sql
