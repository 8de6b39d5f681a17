// A presented session in its steps: what a token leads to, renewal, and the headers that a token travels in.
#include "auth/auth.hpp"

#include <algorithm>
#include <utility>

#include "auth/auth_request.hpp"

namespace gatehouse::auth {

namespace {

// A chain of rotations is as long as the idle periods that fit into one rotated id's remaining life: a handful. The
// bound only keeps a broken table from holding a request for ever.
constexpr int kMaxHops = 64;
constexpr std::size_t kHandleLength = 12;
constexpr std::string_view kBearer = "Bearer ";

bool is_grace_over(const RotatedRow& row, Milliseconds grace, Timestamp now) {
  return row.successor_seen_at && now > *row.successor_seen_at + grace;
}

}  // namespace

AuthOptions lucia_options() {
  AuthOptions options;
  options.cookie.name = "auth_session";
  options.periods.max_lifetime = Milliseconds(0);
  options.renewal = Renewal::extend;
  options.token_storage = TokenStorage::plain;
  options.token_alphabet = TokenAlphabet::base62;
  options.new_hashes = HashScheme::lucia_scrypt;
  options.rehash_on_login = false;
  return options;
}

std::string session_handle(const SessionId& id) {
  return sha256_hex(id.text()).substr(0, kHandleLength);
}

Auth::Auth(AuthOptions options, Store& store, const Clock& clock, Random& random, Events& events)
    : options_(std::move(options)), store_(store), clock_(clock), random_(random), events_(events) {}

AuthRequest Auth::handle_request(Context& context, std::vector<http::Origin> also_own) {
  return {*this, context, std::move(also_own)};
}

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
  auto renewed = renew_now(lookup, how.value_or(options_.renewal));
  if (renewed) return renewed;
  // The session was found alive: what cannot be written refuses nobody.
  report(EventKind::renewal_not_written, lookup, &lookup.found->session.row.id, renewed.error().detail);
  return lookup.found;
}

Result<std::optional<SessionUser>> Auth::renew_now(const Lookup& lookup, Renewal how) {
  return how == Renewal::rotate ? rotate(lookup) : extend(lookup);
}

Result<std::optional<SessionUser>> Auth::rotate(const Lookup& lookup) {
  const SessionUser& old = *lookup.found;
  Rotation rotation{old.session.row.id, {}, old.session.row, clock_.now()};
  if (auto filled = random_.fill(rotation.nonce); !filled) return std::unexpected(filled.error());

  const SessionToken token = old.session.token.successor(rotation.nonce);
  SessionRow& successor = rotation.successor;
  successor.id = token.id(options_.token_storage);
  successor.parent = rotation.old_id;
  successor.active_expires = rotation.rotated_at + options_.periods.active;
  successor.idle_expires = successor.active_expires + options_.periods.idle;
  successor.last_used_at = rotation.rotated_at;

  auto outcome = store_.rotate(rotation, lookup.first_presentation);
  if (!outcome) return std::unexpected(outcome.error());
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
  if (!moved) return std::unexpected(moved.error());
  if (!*moved) return again(lookup);
  renewed.session.state = SessionState::active;
  renewed.session.fresh = true;
  return renewed;
}

// Somebody else renewed it first, or ended it: look once more and take what is there.
Result<std::optional<SessionUser>> Auth::again(const Lookup& lookup) const {
  auto second = find(lookup.found->session.token, lookup.caller);
  if (!second) return std::unexpected(second.error());
  if (!second->found) return std::nullopt;
  const SessionRow& before = lookup.found->session.row;
  const SessionRow& after = second->found->session.row;
  second->found->session.fresh = after.id != before.id || after.idle_expires != before.idle_expires;
  return second->found;
}

// ── where a token leads, dead or alive ───────────────────────────────────────────────────────────────────────────────

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

// ── headers and cookies ──────────────────────────────────────────────────────────────────────────────────────────────

Result<OriginVerdict> Auth::validate_request_origin(const RequestView& request,
                                                    std::vector<http::Origin> also_own) const {
  also_own.insert(also_own.end(), options_.allowed_origins.begin(), options_.allowed_origins.end());
  const OriginVerdict verdict =
      judge_origin({request.method, request.origin, request.sec_fetch_site},
                   http::Origin::of_request(request.scheme, request.host, request.server_port), also_own);
  if (verdict == OriginVerdict::foreign) return fail(ErrorCode::invalid_request, "a foreign origin");
  return verdict;
}

std::optional<SessionToken> Auth::read_session_cookie(std::string_view cookie_header, const Caller& caller) const {
  const auto values = cookie_values(cookie_header, options_.cookie.name);
  if (values.empty()) return std::nullopt;
  if (std::ranges::any_of(values, [&](const std::string& value) { return value != values.front(); })) {
    events_.report({EventKind::doubled_cookie, {}, {}, caller.request_id, caller.address, {}});
    return std::nullopt;
  }
  return SessionToken::parse(values.front(), options_.token_alphabet);
}

std::optional<SessionToken> Auth::read_bearer_token(std::string_view authorization_header) const {
  if (!authorization_header.starts_with(kBearer)) return std::nullopt;
  return SessionToken::parse(authorization_header.substr(kBearer.size()), options_.token_alphabet);
}

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
