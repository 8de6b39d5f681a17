// Whatever reads compares the bytes of what it found with those it looked for; whatever writes does so in the
// statement. Lucia's tables have the database's collation, to which EMAIL:A@X is email:a@x.
#include "store/sql/lucia_store.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <limits>
#include <utility>

#include "store/lower_case.hpp"
#include "store/sql/assignments.hpp"
#include "store/sql/rows.hpp"
#include "store/storable.hpp"

namespace gatehouse::store::sql {

using auth::ErrorCode;
using auth::fail;
using auth::Result;
using auth::SessionId;
using auth::SessionRow;

namespace {

constexpr std::array<std::string_view, 6> kOwnUserColumns{"id", "username", "name", "email", "roles", "disabled"};
constexpr std::array<std::string_view, 4> kOwnSessionColumns{"id", "user_id", "active_expires", "idle_expires"};

bool has_column(const std::vector<std::string>& columns, std::string_view name) {
  return std::ranges::any_of(columns, [name](const std::string& column) { return lower_case(column) == name; });
}

/// What a user's key leads to.
struct UserByKey {
  std::string key_id;
  auth::User user;
};

UserByKey read_user_by_key(const Row& row) {
  return {row.text(0), read_lucia_user_after_divider(row)};
}

/// The columns that auth::User knows by name, as far as a change sets them.
Result<void> add_known(const auth::UserChange& change, const std::string& roles,
                       const std::vector<std::string>& columns, Assignments& assignments) {
  const auto add = [&](std::string_view column, bool is_set, Value value) -> Result<void> {
    if (!is_set) return {};
    if (!has_column(columns, column)) {
      return fail(ErrorCode::invalid_attribute, "the table of users has no column " + std::string(column));
    }
    assignments.add(column, value);
    return {};
  };
  const auto text = [](const std::optional<std::string>& value) {
    return value ? std::string_view(*value) : std::string_view();
  };
  auto done = add("name", change.name.has_value(), text(change.name));
  if (done) done = add("email", change.email.has_value(), text(change.email));
  if (done) done = add("roles", change.roles.has_value(), std::string_view(roles));
  if (done) done = add("disabled", change.disabled.has_value(), std::int64_t{change.disabled.value_or(false)});
  return done;
}

/// A new user as the change that makes it: what is empty is left to the columns' defaults.
auth::UserChange as_change(const auth::User& user) {
  auth::UserChange change;
  if (!user.name.empty()) change.name = user.name;
  if (!user.email.empty()) change.email = user.email;
  if (!user.roles.empty()) change.roles = user.roles;
  if (user.disabled) change.disabled = true;
  return change;
}

}  // namespace

LuciaStore::LuciaStore(std::unique_ptr<Engine> engine, const LuciaTables& tables)
    : SqlStore(std::move(engine), problem_in(tables.names)),
      tables_{usable(tables.names), tables.has_single_use_keys},
      sql_(tables_, this->engine()) {}

// ── sessions: reads ──────────────────────────────────────────────────────────────────────────────────────────────────

Result<std::optional<auth::SessionAndUser>> LuciaStore::find_session(const SessionId& id) {
  return read([&](Database& database) {
    return select_one_surely(database, sql_.find_session, id.text(), read_lucia_session_and_user, id_of);
  });
}

Result<std::vector<auth::SessionAndUser>> LuciaStore::find_sessions(std::span<const SessionId> ids) {
  return find_sessions_by(sql_.find_sessions, ids, read_lucia_session_and_user);
}

Result<std::optional<auth::RotatedRow>> LuciaStore::find_rotated(const SessionId& /*id*/) {
  return std::nullopt;
}

Result<std::vector<SessionRow>> LuciaStore::sessions_of_user(const std::string& user_id) {
  return read([&](Database& database) {
    return select_exactly(database, sql_.sessions_of_user, user_id, read_lucia_session, &SessionRow::user_id);
  });
}

Result<std::vector<SessionRow>> LuciaStore::all_sessions() {
  return read([&](Database& database) { return select(database, sql_.all_sessions, {}, read_lucia_session); });
}

// ── sessions: writes ─────────────────────────────────────────────────────────────────────────────────────────────────

// Not every database of Lucia's has foreign keys: the user is looked for in the statement itself.
Result<void> LuciaStore::insert_session(Database& database, const SessionRow& row) const {
  if (auto known = require_attributes(database, tables_.names.session, kOwnSessionColumns, row.attributes); !known) {
    return known;
  }
  Assignments columns;
  columns.add("id", row.id.text());
  columns.add("user_id", row.user_id);
  columns.add("active_expires", to_milliseconds(row.active_expires));
  columns.add("idle_expires", to_milliseconds(row.idle_expires));
  columns.add(row.attributes);
  const std::string statement = columns.insert_into(tables_.names.session) + "SELECT " + columns.parameters() +
                                " FROM " + quoted(tables_.names.user) + " WHERE " + engine().exactly("id", "?2");
  auto inserted = database.run(statement, columns.values());
  if (!inserted) return std::unexpected(write_error(std::move(inserted.error()), ErrorCode::duplicate_session_id));
  if (*inserted == 0) return fail(ErrorCode::invalid_user_id);
  return {};
}

Result<void> LuciaStore::create_session_in(Database& database, const SessionRow& row, std::size_t max_per_user) const {
  auto inserted = insert_session(database, row);
  if (!inserted || max_per_user == 0) return inserted;
  auto ended = run(database, sql_.end_oldest_others, {row.user_id, row.id.text(), to_number(max_per_user - 1)});
  if (!ended) return std::unexpected(std::move(ended.error()));
  return {};
}

Result<void> LuciaStore::create_session(const SessionRow& row, std::size_t max_per_user) {
  return write([&](Database& database) { return create_session_in(database, row, max_per_user); }, Repeat::unsafe);
}

Result<void> LuciaStore::replace_family(const std::string& family, const SessionRow& row, std::size_t max_per_user) {
  return write(
      [&](Database& database) -> Result<void> {
        auto ended = run(database, sql_.delete_session, {family});
        if (!ended) return std::unexpected(std::move(ended.error()));
        return create_session_in(database, row, max_per_user);
      },
      Repeat::unsafe);
}

Result<auth::RotationOutcome> LuciaStore::rotate(const auth::Rotation& /*rotation*/,
                                                 const std::optional<auth::Presentation>& /*first*/) {
  return fail(ErrorCode::invalid_argument, "Lucia's tables have no place for rotated ids: extend");
}

Result<bool> LuciaStore::extend(const SessionId& id, auth::Timestamp old_active, auth::Timestamp new_active,
                                auth::Timestamp new_idle, auth::Timestamp now,
                                const std::optional<auth::Presentation>& /*first*/) {
  return run_on_one(sql_.extend, {id.text(), to_milliseconds(old_active), to_milliseconds(new_active),
                                  to_milliseconds(new_idle), to_milliseconds(now)});
}

Result<void> LuciaStore::mark_presented(const auth::Presentation& /*first*/) {
  return {};
}

Result<void> LuciaStore::update_session_attributes(const SessionId& id,
                                                   const std::map<std::string, std::string>& attributes) {
  return update_session_columns(tables_.names.session, kOwnSessionColumns, id, attributes);
}

Result<void> LuciaStore::touch(std::span<const auth::LastUse> /*uses*/) {
  return {};
}

// ── the ends of sessions ─────────────────────────────────────────────────────────────────────────────────────────────

Result<std::size_t> LuciaStore::delete_session(const SessionId& id) {
  return run_alone(sql_.delete_session, {id.text()});
}

Result<std::size_t> LuciaStore::delete_family(const std::string& family) {
  return delete_session(SessionId(family));
}

Result<std::size_t> LuciaStore::delete_sessions_of_user(const std::string& user_id) {
  return run_alone(sql_.delete_sessions_of_user, {user_id});
}

Result<std::size_t> LuciaStore::delete_other_sessions(const std::string& user_id, const std::string& keep_family) {
  return run_alone(sql_.delete_other_sessions, {user_id, keep_family});
}

Result<std::size_t> LuciaStore::delete_all_sessions() {
  return run_alone(sql_.delete_all_sessions, {});
}

Result<std::size_t> LuciaStore::delete_dead(auth::Timestamp before, auth::Milliseconds /*max_lifetime*/,
                                            std::size_t limit) {
  return run_alone(sql_.delete_dead, {to_milliseconds(before), to_number(limit)});
}

Result<std::size_t> LuciaStore::delete_dead_sessions_of_user(const std::string& user_id, auth::Timestamp before,
                                                             auth::Milliseconds /*max_lifetime*/) {
  return run_alone(sql_.delete_dead_of_user, {user_id, to_milliseconds(before)});
}

// ── users ────────────────────────────────────────────────────────────────────────────────────────────────────────────

Result<std::vector<std::string>> LuciaStore::user_columns(Database& database) const {
  auto columns = engine().columns(database, tables_.names.user);
  if (!columns) return std::unexpected(environment_error(std::move(columns.error()), During::write));
  return std::move(*columns);
}

Result<void> LuciaStore::create_user(const auth::NewUser& user) {
  const auth::User& row = user.user;
  if (!can_store_roles(row.roles)) return fail(ErrorCode::invalid_attribute, "a role that no comma list can hold");
  const auth::UserChange change = as_change(row);
  const std::string roles = auth::join_roles(row.roles);
  return write(
      [&](Database& database) -> Result<void> {
        auto known = require_attributes(database, tables_.names.user, kOwnUserColumns, row.attributes);
        if (!known) return known;
        auto columns = user_columns(database);
        if (!columns) return std::unexpected(std::move(columns.error()));
        Assignments assignments;
        assignments.add("id", row.id);
        if (has_column(*columns, "username")) assignments.add("username", row.username);
        if (auto added = add_known(change, roles, *columns, assignments); !added) return added;
        assignments.add(row.attributes);
        const std::string statement =
            assignments.insert_into(tables_.names.user) + "VALUES (" + assignments.parameters() + ")";
        auto inserted = database.run(statement, assignments.values());
        if (!inserted) return std::unexpected(write_error(std::move(inserted.error()), ErrorCode::duplicate_user));
        if (!user.key) return {};
        return insert_key(database, *user.key);
      },
      Repeat::unsafe);
}

Result<std::optional<auth::User>> LuciaStore::find_user(const std::string& id) {
  return read([&](Database& database) {
    return select_one_exactly(database, sql_.find_user, id, read_lucia_user, &auth::User::id);
  });
}

Result<std::optional<auth::User>> LuciaStore::find_user_by_username(const std::string& username) {
  return read([&](Database& database) -> SqlResult<std::optional<auth::User>> {
    const std::string key = auth::key_id(auth::kUsernameProvider, username);
    auto by_key = select_one_exactly(database, sql_.users_by_key, key, read_user_by_key, &UserByKey::key_id);
    if (!by_key) return std::unexpected(std::move(by_key.error()));
    if (*by_key) return std::move((*by_key)->user);

    auto columns = engine().columns(database, tables_.names.user);
    if (!columns) return std::unexpected(std::move(columns.error()));
    if (!has_column(*columns, "username")) return std::nullopt;
    auto by_name = select_exactly(database, sql_.users_by_name, username, read_lucia_user, &auth::User::username);
    if (!by_name) return std::unexpected(std::move(by_name.error()));
    if (by_name->size() != 1) return std::nullopt;  // of several nobody can say who is meant
    return std::move(by_name->front());
  });
}

Result<std::vector<auth::User>> LuciaStore::all_users() {
  auto users = read([&](Database& database) { return select(database, sql_.all_users, {}, read_lucia_user); });
  if (users) std::ranges::sort(*users, {}, [](const auth::User& user) { return std::tie(user.username, user.id); });
  return users;
}

Result<void> LuciaStore::update_user_in(Database& database, const std::string& id,
                                        const auth::UserChange& change) const {
  auto known = require_attributes(database, tables_.names.user, kOwnUserColumns, change.attributes);
  if (!known) return known;
  auto columns = user_columns(database);
  if (!columns) return std::unexpected(std::move(columns.error()));
  const std::string roles = change.roles ? auth::join_roles(*change.roles) : std::string();
  Assignments assignments;
  if (change.username) assignments.add("username", *change.username);
  if (auto added = add_known(change, roles, *columns, assignments); !added) return added;
  assignments.add(change.attributes);
  if (assignments.is_empty()) assignments.add("id", id);  // changes nothing, but finds out whether it is there
  const std::string statement =
      assignments.update(tables_.names.user) + " WHERE " + engine().exactly("id", assignments.parameter(id));
  auto updated = database.run(statement, assignments.values());
  if (!updated) return std::unexpected(write_error(std::move(updated.error()), ErrorCode::duplicate_user));
  if (*updated == 0) return fail(ErrorCode::invalid_user_id);
  return {};
}

Result<std::size_t> LuciaStore::update_user(const std::string& id, const auth::UserChange& change) {
  if (change.roles && !can_store_roles(*change.roles)) {
    return fail(ErrorCode::invalid_attribute, "a role that no comma list can hold");
  }
  return write([&](Database& database) -> Result<std::size_t> {
    if (auto updated = update_user_in(database, id, change); !updated) {
      return std::unexpected(std::move(updated.error()));
    }
    if (!change.disabled.value_or(false)) return 0;
    return run(database, sql_.delete_sessions_of_user, {id});
  });
}

Result<bool> LuciaStore::delete_user(const std::string& id) {
  return write([&](Database& database) {
    return delete_user_after(database, sql_.delete_user, id, [&](Database& inner) -> Result<void> {
      auto done = run(inner, sql_.delete_sessions_of_user, {id});
      if (done) done = run(inner, sql_.delete_keys_of_user, {id});
      if (!done) return std::unexpected(std::move(done.error()));
      return {};
    });
  });
}

// ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

Result<void> LuciaStore::insert_key(Database& database, const auth::Key& key) const {
  std::vector<Value> values{key.id, key.user_id, to_value(key.hashed_password)};
  if (tables_.has_single_use_keys) {
    values.push_back(to_value(key.expires));
    values.emplace_back(std::int64_t{key.primary});
  } else if (key.expires) {
    return fail(ErrorCode::invalid_attribute, "Lucia 2.x has no single-use keys");
  }
  auto inserted = database.run(sql_.insert_key, Values(values));
  if (!inserted) return std::unexpected(write_error(std::move(inserted.error()), ErrorCode::duplicate_key_id));
  if (*inserted == 0) return fail(ErrorCode::invalid_user_id);
  return {};
}

Result<void> LuciaStore::create_key(const auth::Key& key) {
  return write([&](Database& database) { return insert_key(database, key); }, Repeat::unsafe);
}

Result<std::optional<auth::Key>> LuciaStore::find_key(const std::string& id) {
  return read(
      [&](Database& database) { return select_one_exactly(database, sql_.find_key, id, read_key, &auth::Key::id); });
}

Result<std::vector<auth::Key>> LuciaStore::keys_of_user(const std::string& user_id) {
  return read([&](Database& database) {
    return select_exactly(database, sql_.keys_of_user, user_id, read_key, &auth::Key::user_id);
  });
}

Result<std::size_t> LuciaStore::update_key_password(const std::string& id,
                                                    const std::optional<std::string>& hashed_password) {
  return write([&](Database& database) -> Result<std::size_t> {
    auto updated = run(database, sql_.update_key_password, {id, to_value(hashed_password)});
    if (!updated) return updated;
    if (*updated == 0) return fail(ErrorCode::invalid_key_id);
    return run(database, sql_.delete_sessions_of_key, {id});
  });
}

Result<bool> LuciaStore::rehash_key(const auth::Key& key, const std::string& hashed_password) {
  return run_on_one(sql_.rehash_key, {key.id, key.user_id, to_value(key.hashed_password), hashed_password});
}

Result<void> LuciaStore::delete_key(const std::string& id) {
  auto deleted = run_alone(sql_.delete_key, {id});
  if (!deleted) return std::unexpected(std::move(deleted.error()));
  return {};
}

Result<bool> LuciaStore::consume_key(const auth::Key& key) {
  if (!tables_.has_single_use_keys) return false;
  return run_on_one(sql_.consume_key, {key.id, key.user_id, to_value(key.hashed_password), to_value(key.expires)},
                    Repeat::unsafe);
}

}  // namespace gatehouse::store::sql
