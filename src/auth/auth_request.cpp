#include "auth/auth_request.hpp"

#include <exception>
#include <utility>

namespace gatehouse::auth {

AuthRequest::AuthRequest(Auth& auth, Context& context, std::vector<http::Origin> also_own)
    : auth_(auth),
      context_(context),
      origin_(auth.validate_request_origin(context.request(), std::move(also_own)).value_or(OriginVerdict::foreign)),
      presented_(origin_ == OriginVerdict::foreign ? std::nullopt
                                                   : auth.read_session_cookie(context.request().cookie, caller())),
      current_(presented_) {}

Caller AuthRequest::caller() const {
  return {context_.request().id, context_.request().address};
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

Result<std::optional<SessionUser>> AuthRequest::validate_bearer_token() {
  const std::scoped_lock lock(mutex_);
  if (bearer_answer_) return *bearer_answer_;
  const auto& header = context_.request().authorization;
  const auto token = header ? auth_.read_bearer_token(*header) : std::nullopt;
  if (!token) return bearer_answer_.emplace(std::nullopt);
  auto lookup = auth_.find(*token, caller());
  if (!lookup) return bearer_answer_.emplace(failed(std::move(lookup.error())));
  auto renewed = auth_.renew(*lookup, Renewal::extend);
  return bearer_answer_.emplace(renewed ? std::move(renewed) : failed(std::move(renewed.error())));
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
  if (set_session_) answer_ = answer_of_set_session();
  if (answer_) return *answer_;
  if (!current_) {
    answer_ = std::optional<SessionUser>();
    return *answer_;
  }
  lookup_ = auth_.find(*current_, caller());
  if (!*lookup_) {
    answer_ = failed(lookup_->error());
    return *answer_;
  }
  answer_ = (*lookup_)->found;
  if (!(*lookup_)->found && !(*lookup_)->keeps_cookie) deliver(nullptr);
  return *answer_;
}

// The session was given without its user: the one read that is left.
AuthRequest::Answer AuthRequest::answer_of_set_session() {
  const Session session = *std::exchange(set_session_, std::nullopt);
  auto user = auth_.get_user(session.row.user_id);
  if (user && !user->disabled) return SessionUser{session, std::move(*user)};
  if (user || user.error().code == ErrorCode::invalid_user_id) return std::nullopt;
  return failed(std::move(user.error()));
}

// Once a request, for it is remembered.
AuthRequest::Answer AuthRequest::failed(Error error) const {
  const Caller who = caller();
  auth_.events().report({EventKind::store_failed, "", "", who.request_id, who.address, error.detail});
  return std::unexpected(std::move(error));
}

AuthRequest::Answer AuthRequest::renew_locked(std::optional<Renewal> how) {
  std::ignore = find_locked();
  if (is_final_ || !lookup_ || !*lookup_) return *answer_;
  is_final_ = true;
  answer_ = auth_.renew(**lookup_, how);
  if (!*answer_) {
    answer_ = failed(answer_->error());
    return *answer_;
  }
  if (!**answer_) {
    if ((*lookup_)->found) deliver(nullptr);
    return *answer_;
  }
  const Session& session = (**answer_)->session;
  if (session.fresh || session.token != *current_) deliver(&session);
  current_ = session.token;
  return *answer_;
}

void AuthRequest::set_session(const Session* session) {
  const std::scoped_lock lock(mutex_);
  lookup_.reset();
  is_final_ = true;
  answer_ = std::optional<SessionUser>();
  set_session_ = session == nullptr ? std::nullopt : std::optional(*session);
  current_ = session == nullptr ? std::nullopt : std::optional(session->token);
  context_.set_session_cookie(auth_.create_session_cookie(session));
}

void AuthRequest::invalidate() {
  const std::scoped_lock lock(mutex_);
  lookup_.reset();
  answer_.reset();
  is_final_ = false;
  set_session_.reset();
  bearer_answer_.reset();
}

// An answer that has begun carries no cookie any more; who asks is still who they are.
void AuthRequest::deliver(const Session* session) {
  try {
    context_.set_session_cookie(auth_.create_session_cookie(session));
  } catch (const std::exception& error) {
    const Caller who = caller();
    auth_.events().report({EventKind::cookie_not_sent, session == nullptr ? "" : session->row.user_id,
                           session == nullptr ? "" : session_handle(session->row.id), who.request_id, who.address,
                           error.what()});
  }
}

}  // namespace gatehouse::auth
