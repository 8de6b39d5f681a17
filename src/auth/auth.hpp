// Auth: Lucia's verbs over a store. Users, keys, sessions, and the life cycle that joins them.
//
// A validation has three steps, so that a gateway can decide between them: `find` reads and writes nothing, `renew` is
// for a request that is let in, `settle` for one that is not. AuthRequest runs them for one request; the verbs below do
// the same for whoever has a token and no request.
//
// Names and errors are Lucia's (createUser is create_user, AUTH_INVALID_KEY_ID is invalid_key_id). Where Lucia throws
// "invalid", these verbs fail with that code; every verb fails with the store's errors besides those that it lists.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "auth/context.hpp"
#include "auth/cookie.hpp"
#include "auth/csrf.hpp"
#include "auth/error.hpp"
#include "auth/events.hpp"
#include "auth/password.hpp"
#include "auth/random.hpp"
#include "auth/session.hpp"
#include "auth/store.hpp"
#include "auth/time.hpp"
#include "http/origin.hpp"

namespace gatehouse::auth {

class AuthRequest;

struct AuthOptions {
  SessionPeriods periods;
  Renewal renewal = Renewal::rotate;
  TokenStorage token_storage = TokenStorage::sha256;
  TokenAlphabet token_alphabet = TokenAlphabet::base36;
  CookieProfile cookie;
  bool persistent_cookie = true;              ///< Expires on the cookie; false: it ends with the browser
  std::size_t max_per_user = 0;               ///< live sessions of one user; 0 = no limit, else the oldest end
  std::vector<http::Origin> allowed_origins;  ///< besides the request's own
  HashScheme new_hashes = HashScheme::argon2id;
  bool rehash_on_login = true;
};

/// The options that Lucia's tables want (`session.profile: lucia` in gatehouse.yaml): cookie auth_session, plain tokens
/// in base 62, extension in place without an absolute limit, s2: hashes and no other ones at login, which a Node
/// program beside us could not verify.
[[nodiscard]] AuthOptions lucia_options();

/// A session to be made: where it comes from, as the list of a user's sessions shows it, and what is kept with it.
struct NewSession {
  std::string address;
  std::string device;  ///< cut to 256 bytes
  /// Further columns of the session table; one that is not there: invalid_attribute.
  std::map<std::string, std::string> attributes = {};
  /// A lifetime of its own, more than 0: the session ends exactly then (or at max_lifetime, if that is sooner). It is
  /// never idle, and so never renewed. nullopt: the configured periods.
  std::optional<Milliseconds> lifetime = {};
};

/// A key to be made: how a user proves who they are at some provider.
struct NewKey {
  std::string provider_id;              ///< "username", "email", "github"; not empty, no colon
  std::string provider_user_id;         ///< who they are there; may hold colons
  std::optional<std::string> password;  ///< nullopt: a key without one, which no password fits; "" is refused
};
/// The key of the login form.
[[nodiscard]] NewKey username_key(std::string username, std::optional<std::string> password);

/// What a key has proved.
struct KeyUser {
  Key key;
  User user;
};

/// A session in the list of a user's: the store knows its row, but not its token.
struct ListedSession {
  SessionRow row;
  SessionState state = SessionState::dead;  ///< active or idle
};

/// On whose behalf a token is looked up; only told in events.
struct Caller {
  std::string request_id;
  std::string address;
};

/// What a presented token leads to.
struct Lookup {
  Caller caller;
  /// The live session and its user. For a rotated id within its grace: the successor, unrenewed.
  std::optional<SessionUser> found;
  bool via_rotated_id = false;
  /// Nothing was found, yet nothing is known to be wrong with the cookie: it is left alone.
  bool keeps_cookie = false;
  /// Writes that are owed whatever is decided: the successor's first presentation, the end of a reused family.
  std::optional<Presentation> first_presentation;
  std::optional<std::string> reused_family;

  /// True if `renew` or `settle` will write to the store.
  [[nodiscard]] bool owes_write() const {
    const bool is_idle = found && !via_rotated_id && found->session.state == SessionState::idle;
    return is_idle || first_presentation || reused_family;
  }
};

/// Thread-safe; holds references that must outlive it.
class Auth {
 public:
  Auth(AuthOptions options, Store& store, const Clock& clock, Random& random, Events& events);

  // ── a request ───────────────────────────────────────────────────────────────────────────────────────────────────
  /// Lucia's handleRequest: the object that answers for one request who it comes from. Include auth/auth_request.hpp.
  /// `also_own`: origins that count as the request's own besides it. `context` must outlive the answer.
  [[nodiscard]] AuthRequest handle_request(Context& context, std::vector<http::Origin> also_own = {});

  // ── a presented session, in steps (auth.cpp) ──────────────────────────────────────────────────────────────────────
  /// Looks a token up: one read for a live session; for one that is not live, the rotated ids besides. Writes nothing.
  [[nodiscard]] Result<Lookup> find(const SessionToken& token, Caller caller = {}) const;
  /// Renews an idle session (rotate or extend) and writes what `lookup` owes. Call it for a request that is let in.
  /// Returns the session as it is now; nullopt if it was logged out meanwhile: a renewal never brings it back.
  /// A write that cannot be made refuses nobody: the session is returned unrenewed (fresh = false).
  /// `how` instead of options().renewal: a door that cannot deliver a cookie extends.
  /// Fails only where the end of a reused family could not be written.
  [[nodiscard]] Result<std::optional<SessionUser>> renew(const Lookup& lookup, std::optional<Renewal> how = {});
  /// Writes what `lookup` owes and nothing else. Call it for a request that is refused or only asks who it is.
  [[nodiscard]] Result<void> settle(const Lookup& lookup);

  // ── sessions (auth_sessions.cpp) ──────────────────────────────────────────────────────────────────────────────────
  /// Fails: invalid_user_id, invalid_attribute, invalid_argument (a lifetime that is none), internal (no randomness).
  [[nodiscard]] Result<Session> create_session(const std::string& user_id, const NewSession& made);
  /// The same for somebody who presented `old`: its family ends in the same transaction, or nothing is written. Also
  /// for a token that has been rotated, has expired, or that nobody knows.
  [[nodiscard]] Result<Session> replace_session(const SessionToken& old, const std::string& user_id,
                                                const NewSession& made);
  /// Returns the session of a token without renewing it: an idle one stays idle. For a rotated id within its grace: its
  /// successor. Fails: invalid_session_id (unknown, dead, its user disabled).
  [[nodiscard]] Result<Session> get_session(const SessionToken& token, Caller caller = {});
  [[nodiscard]] Result<SessionUser> get_session_user(const SessionToken& token, Caller caller = {});
  /// `find` and `renew`: the caller delivers the session's token, which may be a new one, where it is fresh.
  /// Fails: invalid_session_id, also for a session that was logged out in the same moment.
  [[nodiscard]] Result<Session> validate_session(const SessionToken& token, Caller caller = {});
  [[nodiscard]] Result<SessionUser> validate_session_user(const SessionToken& token, Caller caller = {});
  /// Renews now, an active session too (Lucia 1.x), and unlike a validation fails where that cannot be written. Neither
  /// the successor that a rotated id leads to is renewed nor a session with a lifetime of its own: both come back as
  /// they are (fresh = false). Fails: invalid_session_id.
  [[nodiscard]] Result<Session> renew_session(const SessionToken& token, Caller caller = {});
  /// Returns a user's live sessions, oldest login first; a disabled user has none. Fails: invalid_user_id.
  [[nodiscard]] Result<std::vector<ListedSession>> get_all_user_sessions(const std::string& user_id) const;
  /// Writes further columns of a session and returns it with them, unrenewed. A renewal by somebody else in the same
  /// moment may carry the older values over. Fails: invalid_session_id, invalid_attribute.
  [[nodiscard]] Result<Session> update_session_attributes(const SessionToken& token,
                                                          const std::map<std::string, std::string>& attributes);

  /// Ends the whole family of a presented token, also one that has been rotated or has expired. Returns how many live
  /// sessions ended; an unknown token ends none.
  [[nodiscard]] Result<std::size_t> invalidate_session(const SessionToken& token);
  /// `family`: of a row that the store gave; Lucia's tables have none to keep one in.
  [[nodiscard]] Result<std::size_t> invalidate_family(const std::string& family);
  [[nodiscard]] Result<std::size_t> invalidate_all_user_sessions(const std::string& user_id);
  /// Ends every session of a user but that of `keep`. Returns how many ended. Fails: invalid_session_id if `keep` is no
  /// live session of this user; nothing ends then.
  [[nodiscard]] Result<std::size_t> invalidate_other_sessions(const std::string& user_id, const SessionToken& keep);
  /// Deletes the rows of a user's dead sessions. Returns how many.
  [[nodiscard]] Result<std::size_t> delete_dead_user_sessions(const std::string& user_id);
  /// Deletes at most `limit` rows that have been dead for longer than `grace`, everybody's. Returns how many went; call
  /// it again while that is `limit`.
  [[nodiscard]] Result<std::size_t> sweep(std::size_t limit, Milliseconds grace);
  /// The user that a presented token belongs to, dead or rotated too; for "log out everywhere".
  [[nodiscard]] Result<std::optional<std::string>> owner_of(const SessionToken& token) const;

  // ── users and keys (auth_users.cpp) ─────────────────────────────────────────────────────────────────────────────

  // Every verb that takes a provider id fails with invalid_argument if that is empty or holds a colon; every one that
  // takes a new password, if that is "", and with invalid_password if it is longer than kMaxPasswordBytes.

  /// Creates a user, with their first key or without, both or neither. An empty `user.id` is drawn (15 characters),
  /// created_at is now. Returns the user as written.
  /// Fails: duplicate_user (id or another unique column), duplicate_key_id, invalid_attribute.
  [[nodiscard]] Result<User> create_user(User user, const std::optional<NewKey>& key);
  /// Fails: invalid_user_id.
  [[nodiscard]] Result<User> get_user(const std::string& user_id) const;
  /// Changes columns and returns the user as it is then. Keys stay as they are, that of a changed username too.
  /// Fails: invalid_user_id, duplicate_user, invalid_attribute.
  [[nodiscard]] Result<User> update_user_attributes(const std::string& user_id, const UserChange& change);
  /// Disables a user and ends every session, or enables. Returns how many sessions ended. Fails: invalid_user_id.
  [[nodiscard]] Result<std::size_t> set_disabled(const std::string& user_id, bool disabled);
  /// Deletes a user with all keys and sessions. Returns false if there was none.
  [[nodiscard]] Result<bool> delete_user(const std::string& user_id);

  /// `expires_in`, more than 0: a single-use key, until then. Fails: invalid_user_id, duplicate_key_id,
  /// invalid_argument, invalid_attribute (a single-use key where the tables have none).
  [[nodiscard]] Result<Key> create_key(const std::string& user_id, const NewKey& key,
                                       std::optional<Milliseconds> expires_in = {});
  /// Returns a key, an expired one too. Fails: invalid_key_id.
  [[nodiscard]] Result<Key> get_key(std::string_view provider_id, std::string_view provider_user_id) const;
  /// Fails: invalid_user_id.
  [[nodiscard]] Result<std::vector<Key>> get_all_user_keys(const std::string& user_id) const;
  /// Proves a user by a key. The work for a key that is unknown, or whose user is disabled, is that of a wrong
  /// password. A password fits only a hash that it was made of, never one that is missing, empty or garbage; nullopt
  /// fits only a key without one; "" fits nothing. A single-use key is gone afterwards; of any number of callers at
  /// once, one uses it. A wrong password leaves it. Fails, the first that applies: invalid_key_id (unknown, or its user
  /// disabled), invalid_password, expired_key (and deletes it), invalid_key_id (somebody else used it first). The
  /// visitor sees one answer for all. Source: Lucia 1.3 to 1.8 useKey for the order, 2.6 for keys without a password.
  /// The key returned is as it is stored by then, its hash renewed or not: for confirm_key.
  [[nodiscard]] Result<KeyUser> use_key(std::string_view provider_id, std::string_view provider_user_id,
                                        std::optional<std::string_view> password);
  /// Call it after the session of a login is written, with the key of use_key; on false, or a failure, nobody is given
  /// the session. True if the key still has that password and its user is not disabled: a change of either ends the
  /// sessions that are there, and one that is written in the same moment would outlive it. Waits for a change of the
  /// password under way; for a key without one it only looks. A single-use key is gone, and so beyond change.
  [[nodiscard]] Result<bool> confirm_key(const Key& key);
  /// Sets a new password, or none, and ends every session of the user (ours; Lucia 0.5 and later leaves them alive).
  /// Returns how many ended. Fails: invalid_key_id.
  [[nodiscard]] Result<std::size_t> update_key_password(std::string_view provider_id, std::string_view provider_user_id,
                                                        const std::optional<std::string>& password);
  /// Deletes a key; one that is not there is no error. A primary key of Lucia 1.x stays, silently.
  [[nodiscard]] Result<void> delete_key(std::string_view provider_id, std::string_view provider_user_id);

  // ── headers and cookies ─────────────────────────────────────────────────────────────────────────────────────────
  /// Judges where a request comes from. Fails: invalid_request (a foreign origin).
  [[nodiscard]] Result<OriginVerdict> validate_request_origin(const RequestView& request,
                                                              std::vector<http::Origin> also_own = {}) const;
  /// The token in a Cookie header, whether its session lives or not. nullopt: none, malformed, or two that differ (an
  /// event: one of them was planted, and nobody can say which).
  [[nodiscard]] std::optional<SessionToken> read_session_cookie(std::string_view cookie_header,
                                                                const Caller& caller = {}) const;
  /// The token in an Authorization header: exactly "Bearer", one space, the token and nothing else.
  [[nodiscard]] std::optional<SessionToken> read_bearer_token(std::string_view authorization_header) const;
  /// The Set-Cookie value that delivers a session; without one, the value that removes it.
  [[nodiscard]] std::string create_session_cookie(const Session* session) const;

  [[nodiscard]] const AuthOptions& options() const { return options_; }
  [[nodiscard]] Events& events() const { return events_; }

 private:
  [[nodiscard]] Result<Lookup> follow_rotated(SessionToken token, Lookup lookup, Timestamp now) const;
  void accept(const SessionToken& token, const SessionAndUser& row, Timestamp now, Lookup& lookup) const;
  [[nodiscard]] Result<std::optional<SessionUser>> renew_now(const Lookup& lookup, Renewal how);
  [[nodiscard]] Result<std::optional<SessionUser>> rotate(const Lookup& lookup);
  [[nodiscard]] Result<std::optional<SessionUser>> extend(const Lookup& lookup);
  [[nodiscard]] Result<std::optional<SessionUser>> again(const Lookup& lookup) const;
  void report(EventKind kind, const Lookup& lookup, const SessionId* id, std::string detail = {}) const;

  [[nodiscard]] Result<Session> make_session(const std::string& user_id, const NewSession& made);
  [[nodiscard]] Result<std::optional<std::string>> family_of(const SessionToken& token) const;

  [[nodiscard]] Result<std::optional<std::string>> hash_new(const std::optional<std::string>& password);
  [[nodiscard]] Result<Key> make_key(const std::string& user_id, const NewKey& key);
  [[nodiscard]] Result<std::string> dummy_hash();
  [[nodiscard]] Result<PasswordCheck> check_password(const Key* key, std::optional<std::string_view> password);
  [[nodiscard]] Result<void> consume(const Key& key);
  [[nodiscard]] Result<Key> rehash(Key key, std::string_view password);
  [[nodiscard]] Result<Key> read_again(const Key& key, std::string_view password);
  [[nodiscard]] Result<bool> is_unchanged(const Key& key);

  const AuthOptions options_;
  Store& store_;
  const Clock& clock_;
  Random& random_;
  Events& events_;

  std::mutex dummy_mutex_;
  std::optional<std::string> dummy_hash_;  // guarded by dummy_mutex_
};

/// A session's short name for people and logs: the first 12 hex digits of the SHA-256 of its stored id. Not a secret.
[[nodiscard]] std::string session_handle(const SessionId& id);

}  // namespace gatehouse::auth
