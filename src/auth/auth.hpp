// Auth: Lucia's verbs over a store. Users, keys, sessions, and the life cycle that joins them.
//
// A validation has three steps, so that a gateway can decide between them: `find` reads and writes nothing, `renew` is
// for a request that is let in, `settle` for one that is not. AuthRequest runs them for one request; use Auth directly
// for everything that has no request.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "auth/cookie.hpp"
#include "auth/error.hpp"
#include "auth/events.hpp"
#include "auth/password.hpp"
#include "auth/random.hpp"
#include "auth/session.hpp"
#include "auth/store.hpp"
#include "auth/time.hpp"
#include "http/origin.hpp"

namespace gatehouse::auth {

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

/// Where a new session comes from; shown to the user in the list of sessions.
struct SessionSource {
  std::string address;
  std::string device;  ///< cut to 256 bytes
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

  // ── a presented session ────────────────────────────────────────────────────────────────────────────────────────
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

  // ── sessions (Lucia: createSession, invalidateSession, …) ───────────────────────────────────────────────────────
  /// Fails: invalid_user_id, store errors, internal (no randomness).
  [[nodiscard]] Result<Session> create_session(const std::string& user_id, const SessionSource& source);
  /// The same for somebody who presented `old`: its family ends in the same transaction, or nothing is written. Also
  /// for a token that has been rotated, has expired, or that nobody knows.
  [[nodiscard]] Result<Session> replace_session(const SessionToken& old, const std::string& user_id,
                                                const SessionSource& source);
  /// Ends the whole family of a presented token, also one that has been rotated or has expired. Returns how many live
  /// sessions ended; an unknown token ends none.
  [[nodiscard]] Result<std::size_t> invalidate_session(const SessionToken& token);
  [[nodiscard]] Result<std::size_t> invalidate_family(const std::string& family);
  [[nodiscard]] Result<std::size_t> invalidate_all_user_sessions(const std::string& user_id);
  /// The user that a presented token belongs to, dead or rotated too; for "log out everywhere".
  [[nodiscard]] Result<std::optional<std::string>> owner_of(const SessionToken& token) const;

  // ── users and keys (Lucia: createUser, useKey, …) ──────────────────────────────────────────────────────────────────
  /// Creates a user with a username key; without `password` the key has none and nothing fits it. Returns the user.
  /// Fails: duplicate_user, duplicate_key_id, invalid_attribute, store errors.
  [[nodiscard]] Result<User> create_user(User user, const std::optional<std::string>& password);
  /// Checks a password. The work for an unknown, disabled or password-less user is the same as for a wrong password.
  /// Returns the user. Fails: invalid_key_id, invalid_password (the visitor sees one answer), store errors, internal.
  [[nodiscard]] Result<User> use_key(std::string_view provider, std::string_view identifier, std::string_view password);
  /// Sets a new password and ends every session of the user. Returns how many ended. Fails: invalid_key_id.
  [[nodiscard]] Result<std::size_t> update_key_password(std::string_view provider, std::string_view identifier,
                                                        const std::string& password);
  [[nodiscard]] Result<std::optional<User>> get_user(const std::string& user_id) const;
  /// Disables (and ends every session) or enables. Returns how many sessions ended. Fails: invalid_user_id.
  [[nodiscard]] Result<std::size_t> set_disabled(const std::string& user_id, bool disabled);

  // ── cookies ─────────────────────────────────────────────────────────────────────────────────────────────────────
  /// The Set-Cookie value that delivers a session; without one, the value that removes it.
  [[nodiscard]] std::string create_session_cookie(const Session* session) const;

  [[nodiscard]] const AuthOptions& options() const { return options_; }
  [[nodiscard]] Events& events() const { return events_; }

 private:
  [[nodiscard]] Result<Lookup> follow_rotated(SessionToken token, Lookup lookup, Timestamp now) const;
  void accept(const SessionToken& token, const SessionAndUser& row, Timestamp now, Lookup& lookup) const;
  [[nodiscard]] Result<std::optional<SessionUser>> rotate(const Lookup& lookup);
  [[nodiscard]] Result<std::optional<SessionUser>> extend(const Lookup& lookup);
  [[nodiscard]] std::optional<SessionUser> unrenewed(const Lookup& lookup, const Error& error) const;
  void report(EventKind kind, const Lookup& lookup, const SessionId* id, std::string detail = {}) const;
  [[nodiscard]] std::optional<SessionUser> again(const Lookup& lookup) const;
  [[nodiscard]] Result<std::optional<std::string>> family_of(const SessionToken& token) const;
  [[nodiscard]] Result<std::string> dummy_hash();
  void rehash(const Key& key, std::string_view password);
  [[nodiscard]] Result<Session> make_session(const std::string& user_id, const SessionSource& source);

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
