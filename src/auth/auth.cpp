#include "auth/auth.hpp"

#include <algorithm>
#include <utility>

namespace gatehouse::auth {

namespace {

// A chain of rotations is as long as the idle periods that fit into one rotated id's remaining life: a handful. The
// bound only keeps a broken table from holding a request for ever.
constexpr int kMaxHops = 64;
constexpr std::size_t kUserIdLength = 15;
constexpr std::size_t kFamilyLength = 25;
constexpr std::size_t kMaxDeviceBytes = 256;
constexpr std::size_t kHandleLength = 12;

bool is_grace_over(const RotatedRow& row, Milliseconds grace, Timestamp now) {
  return row.successor_seen_at && now > *row.successor_seen_at + grace;
}

std::string cut_to_characters(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return std::string(text);
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0U) == 0x80U) --bytes;
  return std::string(text.substr(0, bytes));
}

}  // namespace

std::string session_handle(const SessionId& id) {
  return sha256_hex(id.text()).substr(0, kHandleLength);
}

Auth::Auth(AuthOptions options, Store& store, const Clock& clock, Random& random, Events& events)
    : options_(std::move(options)), store_(store), clock_(clock), random_(random), events_(events) {}

// ── a presented session ──────────────────────────────────────────────────────────────────────────────────────────────

Result<Lookup> Auth::find(const SessionToken& token, Caller caller) const {
  const Timestamp now = clock_.now();
  Lookup lookup;
  lookup.caller = std::move(caller);
  auto row = store_.find_session(token.id(options_.token_storage));
  if (!row) return std::unexpected(row.error());
  if (!*row) return follow_rotated(token, std::move(lookup), now);

  accept(token, **row, now, lookup);
  const SessionRow& session = (*row)->session;
  if (lookup.found && session.parent) lookup.first_presentation = Presentation{session.id, *session.parent, now};
  return lookup;
}

// The row of a live session becomes an answer, or no session: expired, disabled, or with expiries nobody can believe.
void Auth::accept(const SessionToken& token, const SessionAndUser& row, Timestamp now, Lookup& lookup) const {
  if (has_implausible_expiry(row.session)) {
    lookup.keeps_cookie = true;
    report(EventKind::implausible_expiry, lookup, &row.session.id);
    return;
  }
  const SessionState state = state_at(row.session, options_.periods, now);
  if (state == SessionState::dead || row.user.disabled) return;
  lookup.found = SessionUser{Session{token, row.session, state, false}, row.user};
  if (exceeds_policy(row.session, options_.periods, now)) {
    report(EventKind::expiry_beyond_policy, lookup, &row.session.id);
  }
}

// An id that is not live may have a successor: whoever holds the old token can compute it. Computing it is no
// presentation, and the successor is answered with as it is: only presenting it itself renews it.
Result<Lookup> Auth::follow_rotated(SessionToken token, Lookup lookup, Timestamp now) const {
  const SessionId presented = token.id(options_.token_storage);
  for (int hop = 0; hop < kMaxHops; ++hop) {
    auto rotated = store_.find_rotated(token.id(options_.token_storage));
    if (!rotated) return std::unexpected(rotated.error());
    if (!*rotated) {
      if (hop == 0) report(EventKind::unknown_session, lookup, &presented);
      return lookup;
    }
    const RotatedRow& row = **rotated;
    if (now > row.idle_expires) return lookup;
    if (is_grace_over(row, options_.periods.rotation_grace, now)) {
      lookup.reused_family = row.family;
      report(EventKind::rotated_reuse, lookup, &presented, "family " + row.family);
      return lookup;
    }
    token = token.successor(row.nonce);
    auto live = store_.find_session(token.id(options_.token_storage));
    if (!live) return std::unexpected(live.error());
    if (*live) {
      accept(token, **live, now, lookup);
      lookup.via_rotated_id = lookup.found.has_value();
      return lookup;
    }
  }
  return lookup;
}

void Auth::report(EventKind kind, const Lookup& lookup, const SessionId* id, std::string detail) const {
  events_.report({kind, lookup.found ? lookup.found->user.id : "", id == nullptr ? "" : session_handle(*id),
                  lookup.caller.request_id, lookup.caller.address, std::move(detail)});
}

Result<void> Auth::settle(const Lookup& lookup) {
  if (lookup.reused_family) {
    if (auto ended = store_.delete_family(*lookup.reused_family); !ended) return std::unexpected(ended.error());
  }
  if (lookup.first_presentation) {
    // Not written now, it is written at the next presentation; until then the grace has not begun.
    if (auto marked = store_.mark_presented(*lookup.first_presentation); !marked) {
      report(EventKind::renewal_not_written, lookup, &lookup.first_presentation->id, marked.error().detail);
    }
  }
  return {};
}

Result<std::optional<SessionUser>> Auth::renew(const Lookup& lookup, std::optional<Renewal> how) {
  const bool is_idle = lookup.found && lookup.found->session.state == SessionState::idle;
  if (!is_idle || lookup.via_rotated_id) {
    if (auto settled = settle(lookup); !settled) return std::unexpected(settled.error());
    return lookup.found;
  }
  return how.value_or(options_.renewal) == Renewal::rotate ? rotate(lookup) : extend(lookup);
}

Result<std::optional<SessionUser>> Auth::rotate(const Lookup& lookup) {
  const SessionUser& old = *lookup.found;
  Rotation rotation{old.session.row.id, {}, old.session.row, clock_.now()};
  if (auto filled = random_.fill(rotation.nonce); !filled) return unrenewed(lookup, filled.error());

  const SessionToken token = old.session.token.successor(rotation.nonce);
  SessionRow& successor = rotation.successor;
  successor.id = token.id(options_.token_storage);
  successor.parent = rotation.old_id;
  successor.active_expires = rotation.rotated_at + options_.periods.active;
  successor.idle_expires = successor.active_expires + options_.periods.idle;
  successor.last_used_at = rotation.rotated_at;

  auto outcome = store_.rotate(rotation, lookup.first_presentation);
  if (!outcome) return unrenewed(lookup, outcome.error());
  switch (*outcome) {
    case RotationOutcome::rotated: return SessionUser{Session{token, successor, SessionState::active, true}, old.user};
    case RotationOutcome::already_rotated: return again(lookup);
    case RotationOutcome::gone: return std::nullopt;
  }
  std::unreachable();
}

Result<std::optional<SessionUser>> Auth::extend(const Lookup& lookup) {
  SessionUser renewed = *lookup.found;
  SessionRow& row = renewed.session.row;
  const Timestamp now = clock_.now();
  const Timestamp old_active = row.active_expires;
  row.active_expires = now + options_.periods.active;
  row.idle_expires = row.active_expires + options_.periods.idle;
  row.last_used_at = now;
  auto moved = store_.extend(row.id, old_active, row.active_expires, row.idle_expires, now, lookup.first_presentation);
  if (!moved) return unrenewed(lookup, moved.error());
  if (!*moved) return again(lookup);
  renewed.session.state = SessionState::active;
  renewed.session.fresh = true;
  return renewed;
}

// Somebody else renewed it first, or ended it: look once more and take what is there. The first look had found the
// session alive, so a second one that fails refuses nobody.
std::optional<SessionUser> Auth::again(const Lookup& lookup) const {
  auto second = find(lookup.found->session.token, lookup.caller);
  if (!second) return unrenewed(lookup, second.error());
  if (!second->found) return std::nullopt;
  const SessionRow& before = lookup.found->session.row;
  const SessionRow& after = second->found->session.row;
  second->found->session.fresh = after.id != before.id || after.idle_expires != before.idle_expires;
  return second->found;
}

std::optional<SessionUser> Auth::unrenewed(const Lookup& lookup, const Error& error) const {
  report(EventKind::renewal_not_written, lookup, &lookup.found->session.row.id, error.detail);
  return lookup.found;
}

// ── sessions ─────────────────────────────────────────────────────────────────────────────────────────────────────────

// A session that has not been written yet.
Result<Session> Auth::make_session(const std::string& user_id, const SessionSource& source) {
  auto token = SessionToken::generate(random_);
  if (!token) return std::unexpected(token.error());
  auto family = random_text(random_, kBase36, kFamilyLength);
  if (!family) return std::unexpected(family.error());

  const Timestamp now = clock_.now();
  const Timestamp active_expires = now + options_.periods.active;
  SessionRow row{token->id(options_.token_storage),
                 user_id,
                 active_expires,
                 active_expires + options_.periods.idle,
                 now,
                 std::move(*family),
                 std::nullopt,
                 now,
                 source.address,
                 cut_to_characters(source.device, kMaxDeviceBytes)};
  return Session{std::move(*token), std::move(row), SessionState::active, true};
}

Result<Session> Auth::create_session(const std::string& user_id, const SessionSource& source) {
  auto session = make_session(user_id, source);
  if (!session) return session;
  if (auto written = store_.create_session(session->row, options_.max_per_user); !written) {
    return std::unexpected(written.error());
  }
  return session;
}

Result<Session> Auth::replace_session(const SessionToken& old, const std::string& user_id,
                                      const SessionSource& source) {
  auto family = family_of(old);
  if (!family) return std::unexpected(family.error());
  if (!*family) return create_session(user_id, source);
  auto session = make_session(user_id, source);
  if (!session) return session;
  if (auto written = store_.replace_family(**family, session->row, options_.max_per_user); !written) {
    return std::unexpected(written.error());
  }
  return session;
}

Result<std::optional<std::string>> Auth::family_of(const SessionToken& token) const {
  const SessionId id = token.id(options_.token_storage);
  auto live = store_.find_session(id);
  if (!live) return std::unexpected(live.error());
  if (*live) return (*live)->session.family;
  auto rotated = store_.find_rotated(id);
  if (!rotated) return std::unexpected(rotated.error());
  if (*rotated) return (*rotated)->family;
  return std::nullopt;
}

Result<std::size_t> Auth::invalidate_session(const SessionToken& token) {
  auto family = family_of(token);
  if (!family) return std::unexpected(family.error());
  if (!*family) return 0;
  return invalidate_family(**family);
}

Result<std::size_t> Auth::invalidate_family(const std::string& family) {
  return store_.delete_family(family);
}

Result<std::size_t> Auth::invalidate_all_user_sessions(const std::string& user_id) {
  return store_.delete_sessions_of_user(user_id);
}

Result<std::optional<std::string>> Auth::owner_of(const SessionToken& token) const {
  SessionToken current = token;
  for (int hop = 0; hop < kMaxHops; ++hop) {
    const SessionId id = current.id(options_.token_storage);
    auto row = store_.find_session(id);
    if (!row) return std::unexpected(row.error());
    if (*row) return (*row)->user.id;
    auto rotated = store_.find_rotated(id);
    if (!rotated) return std::unexpected(rotated.error());
    if (!*rotated) return std::nullopt;
    current = current.successor((*rotated)->nonce);
  }
  return std::nullopt;
}

// ── users and keys ───────────────────────────────────────────────────────────────────────────────────────────────────

Result<User> Auth::create_user(User user, const std::optional<std::string>& password) {
  if (user.id.empty()) {
    auto id = random_text(random_, kBase36, kUserIdLength);
    if (!id) return std::unexpected(id.error());
    user.id = std::move(*id);
  }
  user.created_at = clock_.now();
  Key key{key_id(kUsernameProvider, user.username), user.id, std::nullopt};
  if (password) {
    auto hashed = hash_password(*password, options_.new_hashes, random_);
    if (!hashed) return std::unexpected(hashed.error());
    key.hashed_password = std::move(*hashed);
  }
  if (auto written = store_.create_user({user, std::move(key)}); !written) return std::unexpected(written.error());
  return user;
}

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

Result<User> Auth::use_key(std::string_view provider, std::string_view identifier, std::string_view password) {
  if (password.size() > kMaxPasswordBytes) return fail(ErrorCode::invalid_password, "longer than any password");
  auto key = store_.find_key(key_id(provider, identifier));
  if (!key) return std::unexpected(key.error());
  std::optional<User> user;
  if (*key) {
    auto found = store_.find_user((*key)->user_id);
    if (!found) return std::unexpected(found.error());
    user = std::move(*found);
  }
  auto dummy = dummy_hash();
  if (!dummy) return std::unexpected(dummy.error());

  const bool may_pass = user && !user->disabled && (*key)->hashed_password && !(*key)->hashed_password->empty();
  auto check = verify_password(password, may_pass ? *(*key)->hashed_password : *dummy);
  if (!check) return std::unexpected(check.error());
  if (!may_pass) return fail(ErrorCode::invalid_key_id);
  if (*check != PasswordCheck::correct) return fail(ErrorCode::invalid_password);
  rehash(**key, password);
  return *user;
}

void Auth::rehash(const Key& key, std::string_view password) {
  if (!options_.rehash_on_login || !needs_rehash(*key.hashed_password, options_.new_hashes)) return;
  auto hashed = hash_password(password, options_.new_hashes, random_);
  if (!hashed) return;
  // The old hash still verifies: a store that cannot write now is asked again at the next login.
  std::ignore = store_.update_key_password(key.id, *hashed);
}

Result<std::size_t> Auth::update_key_password(std::string_view provider, std::string_view identifier,
                                              const std::string& password) {
  const std::string id = key_id(provider, identifier);
  auto key = store_.find_key(id);
  if (!key) return std::unexpected(key.error());
  if (!*key) return fail(ErrorCode::invalid_key_id);
  auto hashed = hash_password(password, options_.new_hashes, random_);
  if (!hashed) return std::unexpected(hashed.error());
  if (auto written = store_.update_key_password(id, *hashed); !written) return std::unexpected(written.error());
  return store_.delete_sessions_of_user((*key)->user_id);
}

Result<std::optional<User>> Auth::get_user(const std::string& user_id) const {
  return store_.find_user(user_id);
}

Result<std::size_t> Auth::set_disabled(const std::string& user_id, bool disabled) {
  UserChange change;
  change.disabled = disabled;
  if (auto written = store_.update_user(user_id, change); !written) return std::unexpected(written.error());
  if (!disabled) return 0;
  return store_.delete_sessions_of_user(user_id);
}

// ── cookies ──────────────────────────────────────────────────────────────────────────────────────────────────────────

std::string Auth::create_session_cookie(const Session* session) const {
  if (session == nullptr) return remove_cookie(options_.cookie);
  std::optional<Timestamp> expires;
  if (options_.persistent_cookie) {
    expires = session->row.idle_expires;
    if (options_.periods.max_lifetime.count() > 0) {
      expires = std::min(*expires, session->row.created_at + options_.periods.max_lifetime);
    }
  }
  return set_cookie(options_.cookie, session->token.reveal(), expires, clock_.now());
}

}  // namespace gatehouse::auth
