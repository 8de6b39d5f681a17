// Auth's verbs for users and their keys, and the check of a password.
#include <utility>

#include "auth/auth.hpp"

namespace gatehouse::auth {

namespace {

constexpr std::size_t kUserIdLength = 15;

// The first colon of a key's id divides it, so a provider with one would be taken for another.
Result<std::string> checked_key_id(std::string_view provider_id, std::string_view provider_user_id) {
  if (provider_id.empty()) return fail(ErrorCode::invalid_argument, "a provider id is not empty");
  if (provider_id.contains(':')) return fail(ErrorCode::invalid_argument, "a provider id has no colon");
  return key_id(provider_id, provider_user_id);
}

}  // namespace

NewKey username_key(std::string username, std::optional<std::string> password) {
  return {kUsernameProvider, std::move(username), std::move(password)};
}

// ── users ────────────────────────────────────────────────────────────────────────────────────────────────────────────

Result<User> Auth::create_user(User user, const std::optional<NewKey>& key) {
  if (user.id.empty()) {
    auto id = random_text(random_, kBase36, kUserIdLength);
    if (!id) return std::unexpected(std::move(id.error()));
    user.id = std::move(*id);
  }
  user.created_at = clock_.now();
  NewUser made{user, std::nullopt};
  if (key) {
    auto first = make_key(user.id, *key);
    if (!first) return std::unexpected(std::move(first.error()));
    first->primary = true;
    made.key = std::move(*first);
  }
  if (auto written = store_.create_user(made); !written) return std::unexpected(std::move(written.error()));
  return user;
}

Result<User> Auth::get_user(const std::string& user_id) const {
  auto user = store_.find_user(user_id);
  if (!user) return std::unexpected(std::move(user.error()));
  if (!*user) return fail(ErrorCode::invalid_user_id);
  return std::move(**user);
}

Result<User> Auth::update_user_attributes(const std::string& user_id, const UserChange& change) {
  if (auto written = store_.update_user(user_id, change); !written) return std::unexpected(std::move(written.error()));
  return get_user(user_id);
}

Result<std::size_t> Auth::set_disabled(const std::string& user_id, bool disabled) {
  UserChange change;
  change.disabled = disabled;
  return store_.update_user(user_id, change);
}

Result<bool> Auth::delete_user(const std::string& user_id) {
  return store_.delete_user(user_id);
}

// ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

Result<std::optional<std::string>> Auth::hash_new(const std::optional<std::string>& password) {
  if (!password) return std::nullopt;
  if (password->empty()) return fail(ErrorCode::invalid_argument, "a password is not empty");
  return hash_password(*password, options_.new_hashes, random_);
}

Result<Key> Auth::make_key(const std::string& user_id, const NewKey& key) {
  auto id = checked_key_id(key.provider_id, key.provider_user_id);
  if (!id) return std::unexpected(std::move(id.error()));
  auto hashed = hash_new(key.password);
  if (!hashed) return std::unexpected(std::move(hashed.error()));
  return Key{std::move(*id), user_id, std::move(*hashed)};
}

Result<Key> Auth::create_key(const std::string& user_id, const NewKey& key, std::optional<Milliseconds> expires_in) {
  if (expires_in && expires_in->count() <= 0) return fail(ErrorCode::invalid_argument, "no time to use the key in");
  auto made = make_key(user_id, key);
  if (!made) return made;
  if (expires_in) made->expires = later_by(clock_.now(), *expires_in);
  if (auto written = store_.create_key(*made); !written) return std::unexpected(std::move(written.error()));
  return made;
}

Result<Key> Auth::get_key(std::string_view provider_id, std::string_view provider_user_id) const {
  auto id = checked_key_id(provider_id, provider_user_id);
  if (!id) return std::unexpected(std::move(id.error()));
  auto key = store_.find_key(*id);
  if (!key) return std::unexpected(std::move(key.error()));
  if (!*key) return fail(ErrorCode::invalid_key_id);
  return std::move(**key);
}

Result<std::vector<Key>> Auth::get_all_user_keys(const std::string& user_id) const {
  if (auto user = get_user(user_id); !user) return std::unexpected(std::move(user.error()));
  return store_.keys_of_user(user_id);
}

Result<std::size_t> Auth::update_key_password(std::string_view provider_id, std::string_view provider_user_id,
                                              const std::optional<std::string>& password) {
  auto key = get_key(provider_id, provider_user_id);
  if (!key) return std::unexpected(std::move(key.error()));
  auto hashed = hash_new(password);
  if (!hashed) return std::unexpected(std::move(hashed.error()));
  return store_.update_key_password(key->id, *hashed);
}

Result<void> Auth::delete_key(std::string_view provider_id, std::string_view provider_user_id) {
  auto id = checked_key_id(provider_id, provider_user_id);
  if (!id) return std::unexpected(std::move(id.error()));
  return store_.delete_key(*id);
}

// ── a key that is used ───────────────────────────────────────────────────────────────────────────────────────────────

// A name that does not exist must cost what a wrong password costs, else the time tells which names exist.
Result<std::string> Auth::dummy_hash() {
  const std::scoped_lock lock(dummy_mutex_);
  if (!dummy_hash_) {
    auto made = hash_password("no password is this one", options_.new_hashes, random_);
    if (!made) return std::unexpected(made.error());
    dummy_hash_ = std::move(*made);
  }
  return *dummy_hash_;
}

// `key`: nullptr for nobody's, which costs the same and is wrong.
Result<PasswordCheck> Auth::check_password(const Key* key, std::optional<std::string_view> password) {
  if (!password) {
    return key != nullptr && !key->hashed_password ? PasswordCheck::correct : PasswordCheck::wrong;
  }
  auto dummy = dummy_hash();
  if (!dummy) return std::unexpected(std::move(dummy.error()));
  const bool has_hash = key != nullptr && key->hashed_password && is_verifiable(*key->hashed_password);
  auto check = verify_password(*password, has_hash ? *key->hashed_password : *dummy);
  if (!check) return check;
  return has_hash && !password->empty() ? *check : PasswordCheck::wrong;
}

Result<KeyUser> Auth::use_key(std::string_view provider_id, std::string_view provider_user_id,
                              std::optional<std::string_view> password) {
  if (password && password->size() > kMaxPasswordBytes) return fail(ErrorCode::invalid_password, "too long");
  auto id = checked_key_id(provider_id, provider_user_id);
  if (!id) return std::unexpected(std::move(id.error()));
  auto key = store_.find_key(*id);
  if (!key) return std::unexpected(std::move(key.error()));
  std::optional<User> user;
  if (*key) {
    auto found = store_.find_user((*key)->user_id);
    if (!found) return std::unexpected(std::move(found.error()));
    user = std::move(*found);
  }
  const bool may_pass = user && !user->disabled;
  auto check = check_password(may_pass ? &**key : nullptr, password);
  if (!check) return std::unexpected(std::move(check.error()));
  if (!may_pass) return fail(ErrorCode::invalid_key_id);
  if (*check != PasswordCheck::correct) return fail(ErrorCode::invalid_password);
  if ((*key)->expires) {
    if (auto consumed = consume(**key); !consumed) return std::unexpected(std::move(consumed.error()));
  } else if (password) {
    auto stored = rehash(std::move(**key), *password);
    if (!stored) return std::unexpected(std::move(stored.error()));
    *key = std::move(*stored);
  }
  return KeyUser{std::move(**key), std::move(*user)};
}

// Of any number of callers the store lets one delete it, and that one has used it.
Result<void> Auth::consume(const Key& key) {
  const bool is_expired = key.is_expired(clock_.now());
  auto taken = store_.consume_key(key);
  if (!taken) return std::unexpected(std::move(taken.error()));
  if (is_expired) return fail(ErrorCode::expired_key);
  if (!*taken) return fail(ErrorCode::invalid_key_id, "somebody else used it first");
  return {};
}

// Returns the key as it is stored then.
Result<Key> Auth::rehash(Key key, std::string_view password) {
  if (!options_.rehash_on_login || !needs_rehash(*key.hashed_password, options_.new_hashes)) return key;
  auto hashed = hash_password(password, options_.new_hashes, random_);
  if (!hashed) return key;
  // Hashing took a while, and a password that was changed meanwhile must not be changed back: only if it is as it was.
  // The old hash still verifies: a store that cannot write now is asked again at the next login.
  const auto written = store_.rehash_key(key, *hashed);
  if (!written) return key;
  if (!*written) return read_again(key, password);
  key.hashed_password = std::move(*hashed);
  return key;
}

// A key that changed under our hands: another login hashed the same password anew, or it is another password.
Result<Key> Auth::read_again(const Key& key, std::string_view password) {
  auto stored = store_.find_key(key.id);
  if (!stored) return std::unexpected(std::move(stored.error()));
  const bool is_same_key = *stored && (*stored)->user_id == key.user_id && !(*stored)->expires;
  if (!is_same_key) return fail(ErrorCode::invalid_key_id, "somebody else replaced it");
  auto check = check_password(&**stored, password);
  if (!check) return std::unexpected(std::move(check.error()));
  if (*check != PasswordCheck::correct) return fail(ErrorCode::invalid_password);
  return std::move(**stored);
}

// A write, for a read would not wait for a change that is being committed, and would miss it.
Result<bool> Auth::is_unchanged(const Key& key) {
  if (key.expires) return true;
  if (key.hashed_password) return store_.rehash_key(key, *key.hashed_password);
  auto stored = store_.find_key(key.id);
  if (!stored) return std::unexpected(std::move(stored.error()));
  return *stored == key;
}

Result<bool> Auth::confirm_key(const Key& key) {
  auto unchanged = is_unchanged(key);
  if (!unchanged || !*unchanged) return unchanged;
  auto user = store_.find_user(key.user_id);
  if (!user) return std::unexpected(std::move(user.error()));
  return *user && !(*user)->disabled;
}

}  // namespace gatehouse::auth
