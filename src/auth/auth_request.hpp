// AuthRequest: one request's question "who is this?", asked of the store at most once.
//
// Lucia's AuthRequest with the semantics of 0.11 (validate_user primes validate), one memo for both calls, and failures
// that stay failures. Cookies: untouched where nothing was presented, where what was presented is malformed or doubled,
// where the origin is foreign, and where the store failed; removed for a dead session; re-sent whenever id or expiry
// moved.
#pragma once

#include <mutex>
#include <optional>
#include <vector>

#include "auth/auth.hpp"
#include "auth/context.hpp"
#include "auth/csrf.hpp"

namespace gatehouse::auth {

/// Thread-safe: parallel callers wait for the first and get its answer. References must outlive it.
class AuthRequest {
 public:
  /// `also_own`: origins that count as the request's own besides it (the configuration's endpoints.url).
  AuthRequest(Auth& auth, Context& context, std::vector<http::Origin> also_own = {});

  /// Lucia's validate: finds and renews. nullopt: no valid session. Fails: store errors, the same again at every call.
  /// A cookie that the context does not take any more (it throws) is reported, and changes nothing of the answer.
  [[nodiscard]] Result<std::optional<Session>> validate();
  /// Lucia's validateUser: the same with the user. Both together cost the one read.
  [[nodiscard]] Result<std::optional<SessionUser>> validate_user();

  /// Lucia 2's validateBearerToken, for programs that are no browsers: finds and renews the session whose token stands
  /// in the Authorization header. No cookie is read, set or removed and no origin is looked at, for no browser sends
  /// that header unasked. It extends, whatever options().renewal says: a successor's token could not be delivered. The
  /// answer is remembered as that of validate is, and apart from it; the store is asked once for each.
  /// A token that a browser had rotated leads to its successor, as in `find`.
  [[nodiscard]] Result<std::optional<SessionUser>> validate_bearer_token();

  /// The first half of validate_user: reads, writes nothing. What it finds has not been renewed.
  [[nodiscard]] Result<std::optional<SessionUser>> find();
  /// The second half, for a request that is let in. Calls `find` if nobody has. `how`: see Auth::renew.
  [[nodiscard]] Result<std::optional<SessionUser>> renew(std::optional<Renewal> how = {});
  /// Instead of `renew`, for a request that is refused or that only asks: writes what must be written whatever was
  /// decided, renews nothing. A failure to write a presentation is swallowed; one to end a reused family is returned.
  [[nodiscard]] Result<void> settle();

  /// After `find`: true if `renew` or `settle` would write to the store, and so may wait for it.
  [[nodiscard]] bool owes_write();

  /// Makes `session` the answer from now on and delivers its cookie; nullptr removes the cookie. Never touches the
  /// store. Passes on what the context throws; the answer is changed then too.
  void set_session(const Session* session);
  /// Lucia 2's invalidate: forgets every answer, failures too, so that the next call asks the store again. It asks
  /// about the session that this request has by now: renewed, given to set_session, or as presented.
  void invalidate();

  /// Where the request comes from; a foreign one has no session.
  [[nodiscard]] OriginVerdict origin() const { return origin_; }
  /// The token in the cookie, whether it lives or not; nullopt if none, malformed, doubled, or the origin is foreign.
  [[nodiscard]] const std::optional<SessionToken>& presented() const { return presented_; }

 private:
  using Answer = Result<std::optional<SessionUser>>;
  Answer find_locked();
  Answer renew_locked(std::optional<Renewal> how = {});
  Answer answer_of_set_session();
  [[nodiscard]] Answer failed(Error error) const;
  void deliver(const Session* session);
  [[nodiscard]] Caller caller() const;

  Auth& auth_;
  Context& context_;
  const OriginVerdict origin_;
  const std::optional<SessionToken> presented_;

  std::mutex mutex_;
  // guarded by mutex_
  std::optional<SessionToken> current_;  // what the visitor has, as far as this request knows
  std::optional<Result<Lookup>> lookup_;
  std::optional<Answer> answer_;        // of find; replaced by that of renew or set_session
  bool is_final_ = false;               // renewed, or set by set_session
  std::optional<Session> set_session_;  // given by set_session without its user
  std::optional<Answer> bearer_answer_;
};

}  // namespace gatehouse::auth
