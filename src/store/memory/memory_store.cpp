// Every call checks everything first and writes afterwards: that is all that "all or nothing" takes here.
#include "store/memory/memory_store.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "store/storable.hpp"

namespace gatehouse::store {

using auth::ErrorCode;
using auth::fail;
using auth::Result;
using auth::SessionRow;

namespace {

constexpr int kSchemaVersion = 1;

bool is_older_login(const SessionRow& a, const SessionRow& b) {
  return std::tie(a.created_at, a.id) < std::tie(b.created_at, b.id);
}

bool was_dead(const SessionRow& row, auth::Timestamp before, auth::Milliseconds max_lifetime) {
  const bool is_limited = max_lifetime > auth::Milliseconds::zero();
  return row.idle_expires < before || (is_limited && row.created_at < before - max_lifetime);
}

template <typename Rows, typename Condition>
std::vector<SessionRow> oldest_first(const Rows& rows, Condition condition) {
  std::vector<SessionRow> found;
  for (const auto& [id, row] : rows) {
    if (condition(row)) found.push_back(row);
  }
  std::ranges::sort(found, is_older_login);
  return found;
}

/// Deletes at most `limit` entries of a map and returns how many went.
template <typename Map, typename Condition>
std::size_t erase_some(Map& map, std::size_t limit, Condition condition) {
  std::size_t erased = 0;
  for (auto entry = map.begin(); entry != map.end() && erased < limit;) {
    const bool goes = condition(entry->second);
    entry = goes ? map.erase(entry) : std::next(entry);
    erased += goes ? 1 : 0;
  }
  return erased;
}

using Columns = std::set<std::string>;
using Attributes = std::map<std::string, std::string>;

bool are_columns(const Attributes& attributes, const Columns& columns) {
  return std::ranges::all_of(attributes, [&](const auto& entry) { return columns.contains(entry.first); });
}

void fill_in(Attributes& attributes, const Columns& columns) {
  for (const std::string& column : columns) attributes.try_emplace(column);
}

/// Keeps what a key table has columns for.
auth::Key without_primary(auth::Key key) {
  key.primary = false;
  return key;
}

}  // namespace

MemoryStore::MemoryStore(std::set<std::string> user_columns, std::set<std::string> session_columns)
    : user_columns_(std::move(user_columns)), session_columns_(std::move(session_columns)) {}

// ── sessions
// ──────────────────────────────────────────────────────────────────────────────────────────────────────────

std::optional<auth::SessionAndUser> MemoryStore::with_user(const auth::SessionId& id) const {
  const auto session = sessions_.find(id);
  if (session == sessions_.end()) return std::nullopt;
  const auto user = users_.find(session->second.user_id);
  if (user == users_.end()) return std::nullopt;
  return auth::SessionAndUser{session->second, user->second};
}

Result<std::optional<auth::SessionAndUser>> MemoryStore::find_session(const auth::SessionId& id) {
  const std::scoped_lock lock(mutex_);
  return with_user(id);
}

Result<std::vector<auth::SessionAndUser>> MemoryStore::find_sessions(std::span<const auth::SessionId> ids) {
  const std::scoped_lock lock(mutex_);
  std::vector<auth::SessionAndUser> found;
  for (const auth::SessionId& id : std::set<auth::SessionId>(ids.begin(), ids.end())) {
    if (auto session = with_user(id)) found.push_back(std::move(*session));
  }
  return found;
}

Result<std::optional<auth::RotatedRow>> MemoryStore::find_rotated(const auth::SessionId& id) {
  const std::scoped_lock lock(mutex_);
  const auto row = rotated_.find(id);
  if (row == rotated_.end()) return std::nullopt;
  return row->second;
}

Result<std::vector<SessionRow>> MemoryStore::sessions_of_user(const std::string& user_id) {
  const std::scoped_lock lock(mutex_);
  return oldest_first(sessions_, [&](const SessionRow& row) { return row.user_id == user_id; });
}

Result<std::vector<SessionRow>> MemoryStore::all_sessions() {
  const std::scoped_lock lock(mutex_);
  return oldest_first(sessions_, [](const SessionRow&) { return true; });
}

void MemoryStore::end_oldest_others(const SessionRow& newest, std::size_t keep) {
  const auto others = oldest_first(
      sessions_, [&](const SessionRow& row) { return row.user_id == newest.user_id && row.id != newest.id; });
  std::set<auth::SessionId> ending;
  std::set<std::string> families;
  for (std::size_t i = 0; i + keep < others.size(); ++i) {
    ending.insert(others[i].id);
    families.insert(others[i].family);
  }
  std::erase_if(sessions_, [&](const auto& entry) { return ending.contains(entry.first); });
  std::erase_if(rotated_, [&](const auto& entry) { return families.contains(entry.second.family); });
}

Result<void> MemoryStore::insert(const SessionRow& row, std::size_t max_per_user) {
  if (!users_.contains(row.user_id)) return fail(ErrorCode::invalid_user_id);
  if (!are_columns(row.attributes, session_columns_)) return fail(ErrorCode::invalid_attribute);
  const auto [entry, is_new] = sessions_.emplace(row.id, row);
  if (!is_new) return fail(ErrorCode::duplicate_session_id);
  fill_in(entry->second.attributes, session_columns_);
  if (max_per_user > 0) end_oldest_others(row, max_per_user - 1);
  return {};
}

Result<void> MemoryStore::create_session(const SessionRow& row, std::size_t max_per_user) {
  const std::scoped_lock lock(mutex_);
  return insert(row, max_per_user);
}

Result<void> MemoryStore::replace_family(const std::string& family, const SessionRow& row, std::size_t max_per_user) {
  const std::scoped_lock lock(mutex_);
  if (!users_.contains(row.user_id)) return fail(ErrorCode::invalid_user_id);
  if (!are_columns(row.attributes, session_columns_)) return fail(ErrorCode::invalid_attribute);
  const auto same_id = sessions_.find(row.id);
  if (same_id != sessions_.end() && same_id->second.family != family) return fail(ErrorCode::duplicate_session_id);
  end_family(family);
  return insert(row, max_per_user);
}

Result<auth::RotationOutcome> MemoryStore::rotate(const auth::Rotation& rotation,
                                                  const std::optional<auth::Presentation>& first) {
  const std::scoped_lock lock(mutex_);
  if (rotated_.contains(rotation.old_id)) return auth::RotationOutcome::already_rotated;
  const auto old = sessions_.find(rotation.old_id);
  if (old == sessions_.end()) return auth::RotationOutcome::gone;
  if (sessions_.contains(rotation.successor.id)) return fail(ErrorCode::duplicate_session_id);
  if (first) note_presentation(*first);
  rotated_.emplace(rotation.old_id, auth::RotatedRow{rotation.old_id, rotation.successor.family, rotation.nonce,
                                                     old->second.idle_expires, rotation.rotated_at, std::nullopt});
  sessions_.erase(old);
  sessions_.emplace(rotation.successor.id, rotation.successor);
  return auth::RotationOutcome::rotated;
}

Result<bool> MemoryStore::extend(const auth::SessionId& id, auth::Timestamp old_active, auth::Timestamp new_active,
                                 auth::Timestamp new_idle, auth::Timestamp now,
                                 const std::optional<auth::Presentation>& first) {
  const std::scoped_lock lock(mutex_);
  const auto entry = sessions_.find(id);
  if (entry == sessions_.end()) return false;
  SessionRow& row = entry->second;
  if (row.active_expires != old_active || now > row.idle_expires) return false;
  row.active_expires = new_active;
  row.idle_expires = new_idle;
  row.last_used_at = now;
  if (first) note_presentation(*first);
  return true;
}

void MemoryStore::note_presentation(const auth::Presentation& first) {
  if (const auto parent = rotated_.find(first.parent); parent != rotated_.end()) {
    if (!parent->second.successor_seen_at) parent->second.successor_seen_at = first.seen_at;
  }
  if (const auto row = sessions_.find(first.id); row != sessions_.end()) row->second.parent = std::nullopt;
}

Result<void> MemoryStore::mark_presented(const auth::Presentation& first) {
  const std::scoped_lock lock(mutex_);
  note_presentation(first);
  return {};
}

Result<void> MemoryStore::update_session_attributes(const auth::SessionId& id, const Attributes& attributes) {
  const std::scoped_lock lock(mutex_);
  if (!are_columns(attributes, session_columns_)) return fail(ErrorCode::invalid_attribute);
  const auto row = sessions_.find(id);
  if (row == sessions_.end()) return fail(ErrorCode::invalid_session_id);
  for (const auto& [column, value] : attributes) row->second.attributes[column] = value;
  return {};
}

Result<void> MemoryStore::touch(std::span<const auth::LastUse> uses) {
  const std::scoped_lock lock(mutex_);
  for (const auth::LastUse& use : uses) {
    const auto row = sessions_.find(use.id);
    if (row != sessions_.end()) row->second.last_used_at = std::max(row->second.last_used_at, use.at);
  }
  return {};
}

// ── the ends of sessions
// ──────────────────────────────────────────────────────────────────────────────────────────────

Result<std::size_t> MemoryStore::delete_session(const auth::SessionId& id) {
  const std::scoped_lock lock(mutex_);
  return sessions_.erase(id);
}

template <typename Condition>
std::size_t MemoryStore::end_families_where(Condition condition) {
  std::set<std::string> families;
  for (const auto& [id, row] : sessions_) {
    if (condition(row)) families.insert(row.family);
  }
  std::erase_if(rotated_, [&](const auto& entry) { return families.contains(entry.second.family); });
  return std::erase_if(sessions_, [&](const auto& entry) { return condition(entry.second); });
}

std::size_t MemoryStore::end_family(const std::string& family) {
  std::erase_if(rotated_, [&](const auto& entry) { return entry.second.family == family; });
  return std::erase_if(sessions_, [&](const auto& entry) { return entry.second.family == family; });
}

Result<std::size_t> MemoryStore::delete_family(const std::string& family) {
  const std::scoped_lock lock(mutex_);
  return end_family(family);
}

Result<std::size_t> MemoryStore::delete_sessions_of_user(const std::string& user_id) {
  const std::scoped_lock lock(mutex_);
  return end_families_where([&](const SessionRow& row) { return row.user_id == user_id; });
}

Result<std::size_t> MemoryStore::delete_other_sessions(const std::string& user_id, const std::string& keep_family) {
  const std::scoped_lock lock(mutex_);
  return end_families_where([&](const SessionRow& row) { return row.user_id == user_id && row.family != keep_family; });
}

Result<std::size_t> MemoryStore::delete_all_sessions() {
  const std::scoped_lock lock(mutex_);
  const std::size_t count = sessions_.size();
  sessions_.clear();
  rotated_.clear();
  return count;
}

Result<std::size_t> MemoryStore::delete_dead_sessions_of_user(const std::string& user_id, auth::Timestamp before,
                                                              auth::Milliseconds max_lifetime) {
  const std::scoped_lock lock(mutex_);
  return std::erase_if(sessions_, [&](const auto& entry) {
    return entry.second.user_id == user_id && was_dead(entry.second, before, max_lifetime);
  });
}

Result<std::size_t> MemoryStore::delete_dead(auth::Timestamp before, auth::Milliseconds max_lifetime,
                                             std::size_t limit) {
  const std::scoped_lock lock(mutex_);
  const std::size_t sessions =
      erase_some(sessions_, limit, [&](const SessionRow& row) { return was_dead(row, before, max_lifetime); });
  return sessions +
         erase_some(rotated_, limit - sessions, [&](const auth::RotatedRow& row) { return row.idle_expires < before; });
}

// ── users and keys
// ────────────────────────────────────────────────────────────────────────────────────────────────────

const auth::User* MemoryStore::user_named(const std::string& username) const {
  const auto found = std::ranges::find_if(users_, [&](const auto& entry) { return entry.second.username == username; });
  return found == users_.end() ? nullptr : &found->second;
}

Result<void> MemoryStore::create_user(const auth::NewUser& user) {
  const std::scoped_lock lock(mutex_);
  if (!can_store_roles(user.user.roles) || !are_columns(user.user.attributes, user_columns_)) {
    return fail(ErrorCode::invalid_attribute);
  }
  if (users_.contains(user.user.id) || user_named(user.user.username) != nullptr) {
    return fail(ErrorCode::duplicate_user);
  }
  if (user.key && keys_.contains(user.key->id)) return fail(ErrorCode::duplicate_key_id);
  if (user.key && user.key->user_id != user.user.id && !users_.contains(user.key->user_id)) {
    return fail(ErrorCode::invalid_user_id);
  }
  auth::User& stored = users_.emplace(user.user.id, user.user).first->second;
  fill_in(stored.attributes, user_columns_);
  if (user.key) keys_.emplace(user.key->id, without_primary(*user.key));
  return {};
}

Result<std::optional<auth::User>> MemoryStore::find_user(const std::string& id) {
  const std::scoped_lock lock(mutex_);
  const auto user = users_.find(id);
  if (user == users_.end()) return std::nullopt;
  return user->second;
}

Result<std::optional<auth::User>> MemoryStore::find_user_by_username(const std::string& username) {
  const std::scoped_lock lock(mutex_);
  const auth::User* user = user_named(username);
  if (user == nullptr) return std::nullopt;
  return *user;
}

Result<std::vector<auth::User>> MemoryStore::all_users() {
  const std::scoped_lock lock(mutex_);
  std::vector<auth::User> users;
  users.reserve(users_.size());
  for (const auto& [id, user] : users_) users.push_back(user);
  std::ranges::sort(users, {}, &auth::User::username);
  return users;
}

Result<std::size_t> MemoryStore::update_user(const std::string& id, const auth::UserChange& change) {
  const std::scoped_lock lock(mutex_);
  if (!are_columns(change.attributes, user_columns_) || (change.roles && !can_store_roles(*change.roles))) {
    return fail(ErrorCode::invalid_attribute);
  }
  const auto entry = users_.find(id);
  if (entry == users_.end()) return fail(ErrorCode::invalid_user_id);
  auth::User& user = entry->second;
  if (change.username && *change.username != user.username && user_named(*change.username) != nullptr) {
    return fail(ErrorCode::duplicate_user);
  }
  if (change.username) user.username = *change.username;
  if (change.name) user.name = *change.name;
  if (change.email) user.email = *change.email;
  if (change.roles) user.roles = *change.roles;
  if (change.disabled) user.disabled = *change.disabled;
  for (const auto& [column, value] : change.attributes) user.attributes[column] = value;
  if (!change.disabled.value_or(false)) return 0;
  return end_families_where([&](const SessionRow& row) { return row.user_id == id; });
}

Result<bool> MemoryStore::delete_user(const std::string& id) {
  const std::scoped_lock lock(mutex_);
  if (!users_.contains(id)) return false;
  end_families_where([&](const SessionRow& row) { return row.user_id == id; });
  std::erase_if(keys_, [&](const auto& entry) { return entry.second.user_id == id; });
  users_.erase(id);
  return true;
}

Result<void> MemoryStore::create_key(const auth::Key& key) {
  const std::scoped_lock lock(mutex_);
  if (!users_.contains(key.user_id)) return fail(ErrorCode::invalid_user_id);
  if (!keys_.emplace(key.id, without_primary(key)).second) return fail(ErrorCode::duplicate_key_id);
  return {};
}

Result<std::optional<auth::Key>> MemoryStore::find_key(const std::string& id) {
  const std::scoped_lock lock(mutex_);
  const auto key = keys_.find(id);
  if (key == keys_.end()) return std::nullopt;
  return key->second;
}

Result<std::vector<auth::Key>> MemoryStore::keys_of_user(const std::string& user_id) {
  const std::scoped_lock lock(mutex_);
  std::vector<auth::Key> keys;
  for (const auto& [id, key] : keys_) {
    if (key.user_id == user_id) keys.push_back(key);
  }
  return keys;
}

Result<std::size_t> MemoryStore::update_key_password(const std::string& id,
                                                     const std::optional<std::string>& hashed_password) {
  const std::scoped_lock lock(mutex_);
  const auto key = keys_.find(id);
  if (key == keys_.end()) return fail(ErrorCode::invalid_key_id);
  key->second.hashed_password = hashed_password;
  return end_families_where([&](const SessionRow& row) { return row.user_id == key->second.user_id; });
}

Result<bool> MemoryStore::rehash_key(const auth::Key& key, const std::string& hashed_password) {
  const std::scoped_lock lock(mutex_);
  const auto stored = keys_.find(key.id);
  if (stored == keys_.end() || stored->second.user_id != key.user_id) return false;
  if (stored->second.hashed_password != key.hashed_password) return false;
  stored->second.hashed_password = hashed_password;
  return true;
}

Result<void> MemoryStore::delete_key(const std::string& id) {
  const std::scoped_lock lock(mutex_);
  keys_.erase(id);
  return {};
}

Result<bool> MemoryStore::consume_key(const auth::Key& key) {
  const std::scoped_lock lock(mutex_);
  const auto stored = keys_.find(key.id);
  if (stored == keys_.end() || !key.expires || stored->second != without_primary(key)) return false;
  keys_.erase(stored);
  return true;
}

// ── operations
// ────────────────────────────────────────────────────────────────────────────────────────────────────────

Result<auth::SchemaStatus> MemoryStore::schema_status() {
  return auth::SchemaStatus{kSchemaVersion, kSchemaVersion};
}

Result<auth::SchemaStatus> MemoryStore::migrate() {
  return schema_status();
}

}  // namespace gatehouse::store
