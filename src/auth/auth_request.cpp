#include "auth/auth_request.hpp"

#include <algorithm>
#include <utility>

namespace gatehouse::auth {

namespace {

OriginVerdict judge(const RequestView& request, std::vector<http::Origin> also_own, const Auth& auth) {
  const auto& configured = auth.options().allowed_origins;
  also_own.insert(also_own.end(), configured.begin(), configured.end());
  return judge_origin({request.method, request.origin, request.sec_fetch_site},
                      http::Origin::of_request(request.scheme, request.host, request.server_port), also_own);
}

}  // namespace

AuthRequest::AuthRequest(Auth& auth, Context& context, std::vector<http::Origin> also_own)
    : auth_(auth), context_(context), origin_(judge(context.request(), std::move(also_own), auth)) {
  if (origin_ != OriginVerdict::foreign) presented_ = read_token();
}

// Two different values under our name: one of them was planted, and nobody can say which.
std::optional<SessionToken> AuthRequest::read_token() const {
  const auto& options = auth_.options();
  const auto values = cookie_values(context_.request().cookie, options.cookie.name);
  if (values.empty()) return std::nullopt;
  if (std::ranges::any_of(values, [&](const std::string& value) { return value != values.front(); })) {
    const RequestView& request = context_.request();
    auth_.events().report({EventKind::doubled_cookie, {}, {}, request.id, request.address, {}});
    return std::nullopt;
  }
  return SessionToken::parse(values.front(), options.token_alphabet);
}

AuthRequest::Answer AuthRequest::find() {
  const std::scoped_lock lock(mutex_);
  return find_locked();
}

AuthRequest::Answer AuthRequest::renew(std::optional<Renewal> how) {
  const std::scoped_lock lock(mutex_);
  return renew_locked(how);
}

Result<std::optional<SessionUser>> AuthRequest::validate_user() {
  const std::scoped_lock lock(mutex_);
  if (set_session_) {
    auto user = auth_.get_user(set_session_->row.user_id);
    if (!user) {
      answer_ = std::unexpected(user.error());
    } else if (*user) {
      answer_ = SessionUser{*set_session_, std::move(**user)};
    } else {
      answer_ = std::optional<SessionUser>();
    }
    set_session_.reset();
  }
  return renew_locked();
}

Result<std::optional<Session>> AuthRequest::validate() {
  const std::scoped_lock lock(mutex_);
  if (set_session_) return set_session_;
  auto both = renew_locked();
  if (!both) return std::unexpected(both.error());
  if (!*both) return std::nullopt;
  return (*both)->session;
}

Result<void> AuthRequest::settle() {
  const std::scoped_lock lock(mutex_);
  std::ignore = find_locked();
  if (is_final_ || !lookup_ || !*lookup_) return {};
  return auth_.settle(**lookup_);
}

bool AuthRequest::owes_write() {
  const std::scoped_lock lock(mutex_);
  return !is_final_ && lookup_ && *lookup_ && (*lookup_)->owes_write();
}

AuthRequest::Answer AuthRequest::find_locked() {
  if (answer_) return *answer_;
  if (!presented_) {
    answer_ = std::optional<SessionUser>();
    return *answer_;
  }
  lookup_ = auth_.find(*presented_, {context_.request().id, context_.request().address});
  if (!*lookup_) {
    answer_ = std::unexpected(lookup_->error());
    return *answer_;
  }
  answer_ = (*lookup_)->found;
  if (!(*lookup_)->found && !(*lookup_)->keeps_cookie) deliver(nullptr);
  return *answer_;
}

AuthRequest::Answer AuthRequest::renew_locked(std::optional<Renewal> how) {
  std::ignore = find_locked();
  if (is_final_ || !lookup_ || !*lookup_) return *answer_;
  is_final_ = true;
  answer_ = auth_.renew(**lookup_, how);
  if (!*answer_) return *answer_;
  if (!**answer_) {
    if ((*lookup_)->found) deliver(nullptr);
    return *answer_;
  }
  const Session& session = (**answer_)->session;
  if (session.fresh || session.token != *presented_) deliver(&session);
  return *answer_;
}

void AuthRequest::set_session(const Session* session) {
  const std::scoped_lock lock(mutex_);
  is_final_ = true;
  set_session_.reset();
  answer_ = std::optional<SessionUser>();
  if (session != nullptr) set_session_ = *session;
  deliver(session);
}

void AuthRequest::deliver(const Session* session) {
  context_.set_session_cookie(auth_.create_session_cookie(session));
}

}  // namespace gatehouse::auth
