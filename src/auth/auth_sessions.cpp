// Auth's verbs for sessions: made, read, renewed and ended by whoever has a token or a user's id.
#include <algorithm>
#include <utility>

#include "auth/auth.hpp"

namespace gatehouse::auth {

namespace {

constexpr std::size_t kFamilyLength = 25;
constexpr std::size_t kMaxDeviceBytes = 256;

std::string cut_to_characters(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return std::string(text);
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0U) == 0x80U) --bytes;
  return std::string(text.substr(0, bytes));
}

struct Expiries {
  Timestamp active;
  Timestamp idle;
};

Expiries expiries_of(const NewSession& made, const SessionPeriods& periods, Timestamp now) {
  if (!made.lifetime) {
    const Timestamp active = later_by(now, periods.active);
    return {active, later_by(active, periods.idle)};
  }
  const bool is_limited = periods.max_lifetime.count() > 0;
  const Timestamp end = later_by(now, is_limited ? std::min(*made.lifetime, periods.max_lifetime) : *made.lifetime);
  return {end, end};
}

// A token that had to be a session's.
Result<SessionUser> required(Result<std::optional<SessionUser>> found) {
  if (!found) return std::unexpected(std::move(found.error()));
  if (!*found) return fail(ErrorCode::invalid_session_id);
  return std::move(**found);
}

Result<Session> session_of(Result<SessionUser> both) {
  if (!both) return std::unexpected(std::move(both.error()));
  return std::move(both->session);
}

}  // namespace

// ── made ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

// A session that has not been written yet.
Result<Session> Auth::make_session(const std::string& user_id, const NewSession& made) {
  if (made.lifetime && made.lifetime->count() <= 0) return fail(ErrorCode::invalid_argument, "no lifetime");
  auto token = SessionToken::generate(random_);
  if (!token) return std::unexpected(token.error());
  auto family = random_text(random_, kBase36, kFamilyLength);
  if (!family) return std::unexpected(family.error());

  const Timestamp now = clock_.now();
  const Expiries expiries = expiries_of(made, options_.periods, now);
  SessionRow row{token->id(options_.token_storage),
                 user_id,
                 expiries.active,
                 expiries.idle,
                 now,
                 std::move(*family),
                 std::nullopt,
                 now,
                 made.address,
                 cut_to_characters(made.device, kMaxDeviceBytes),
                 made.attributes};
  return Session{std::move(*token), std::move(row), SessionState::active, true};
}

Result<Session> Auth::create_session(const std::string& user_id, const NewSession& made) {
  auto session = make_session(user_id, made);
  if (!session) return session;
  if (auto written = store_.create_session(session->row, options_.max_per_user); !written) {
    return std::unexpected(written.error());
  }
  return session;
}

Result<Session> Auth::replace_session(const SessionToken& old, const std::string& user_id, const NewSession& made) {
  auto family = family_of(old);
  if (!family) return std::unexpected(family.error());
  if (!*family) return create_session(user_id, made);
  auto session = make_session(user_id, made);
  if (!session) return session;
  if (auto written = store_.replace_family(**family, session->row, options_.max_per_user); !written) {
    return std::unexpected(written.error());
  }
  return session;
}

// ── read and renewed ─────────────────────────────────────────────────────────────────────────────────────────────────

Result<SessionUser> Auth::get_session_user(const SessionToken& token, Caller caller) {
  auto lookup = find(token, std::move(caller));
  if (!lookup) return std::unexpected(std::move(lookup.error()));
  if (auto settled = settle(*lookup); !settled) return std::unexpected(std::move(settled.error()));
  return required(std::move(lookup->found));
}

Result<Session> Auth::get_session(const SessionToken& token, Caller caller) {
  return session_of(get_session_user(token, std::move(caller)));
}

Result<SessionUser> Auth::validate_session_user(const SessionToken& token, Caller caller) {
  auto lookup = find(token, std::move(caller));
  if (!lookup) return std::unexpected(std::move(lookup.error()));
  return required(renew(*lookup));
}

Result<Session> Auth::validate_session(const SessionToken& token, Caller caller) {
  return session_of(validate_session_user(token, std::move(caller)));
}

Result<Session> Auth::renew_session(const SessionToken& token, Caller caller) {
  auto lookup = find(token, std::move(caller));
  if (!lookup) return std::unexpected(std::move(lookup.error()));
  const bool is_renewable = lookup->found && !lookup->via_rotated_id && !has_own_lifetime(lookup->found->session.row);
  return session_of(required(is_renewable ? renew_now(*lookup, options_.renewal) : renew(*lookup)));
}

Result<std::vector<ListedSession>> Auth::get_all_user_sessions(const std::string& user_id) const {
  auto user = get_user(user_id);
  if (!user) return std::unexpected(std::move(user.error()));
  auto rows = store_.sessions_of_user(user_id);
  if (!rows) return std::unexpected(std::move(rows.error()));
  std::vector<ListedSession> live;
  if (user->disabled) return live;
  const Timestamp now = clock_.now();
  for (SessionRow& row : *rows) {
    const SessionState state = state_at(row, options_.periods, now);
    if (state != SessionState::dead && !has_implausible_expiry(row)) live.push_back({std::move(row), state});
  }
  return live;
}

Result<Session> Auth::update_session_attributes(const SessionToken& token,
                                                const std::map<std::string, std::string>& attributes) {
  constexpr int kAttempts = 2;
  for (int attempt = 1;; ++attempt) {
    auto session = get_session(token);
    if (!session) return session;
    auto written = store_.update_session_attributes(session->row.id, attributes);
    if (written) {
      for (const auto& [column, value] : attributes) session->row.attributes[column] = value;
      return session;
    }
    // Gone since it was read: logged out, or rotated by another request, and then the token leads to the successor.
    const bool may_be_rotated = written.error().code == ErrorCode::invalid_session_id && attempt < kAttempts;
    if (!may_be_rotated) return std::unexpected(std::move(written.error()));
  }
}

// ── ended ────────────────────────────────────────────────────────────────────────────────────────────────────────────

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

Result<std::size_t> Auth::invalidate_other_sessions(const std::string& user_id, const SessionToken& keep) {
  auto kept = get_session(keep);
  if (!kept) return std::unexpected(std::move(kept.error()));
  if (kept->row.user_id != user_id) return fail(ErrorCode::invalid_session_id, "another user's session");
  return store_.delete_other_sessions(user_id, kept->row.family);
}

Result<std::size_t> Auth::delete_dead_user_sessions(const std::string& user_id) {
  return store_.delete_dead_sessions_of_user(user_id, clock_.now(), options_.periods.max_lifetime);
}

Result<std::size_t> Auth::sweep(std::size_t limit, Milliseconds grace) {
  return store_.delete_dead(clock_.now() - grace, options_.periods.max_lifetime, limit);
}

}  // namespace gatehouse::auth
