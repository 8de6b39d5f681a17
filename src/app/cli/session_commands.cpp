#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>

#include "app/cli/commands.hpp"
#include "app/cli/output.hpp"

namespace gatehouse::app::cli {

namespace {

using Names = std::map<std::string, std::string>;  // user id → username

auth::Result<Names> usernames(auth::Store& store) {
  auto users = store.all_users();
  if (!users) return std::unexpected(users.error());
  Names names;
  for (const auth::User& user : *users) names[user.id] = user.username.empty() ? user.id : user.username;
  return names;
}

auth::Result<std::vector<auth::SessionRow>> rows_of(auth::Store& store, const std::string& username) {
  if (username.empty()) return store.all_sessions();
  auto user = store.find_user_by_username(username);
  if (!user) return std::unexpected(user.error());
  if (!*user) return auth::fail(auth::ErrorCode::invalid_user_id);
  return store.sessions_of_user((*user)->id);
}

nlohmann::ordered_json to_json(const auth::SessionRow& row, const std::string& username, auth::SessionState state) {
  const auto millis = [](auth::Timestamp time) { return time.time_since_epoch().count(); };
  return {{"handle", auth::session_handle(row.id)},
          {"username", username},
          {"user_id", row.user_id},
          {"state", auth::name(state)},
          {"created_at", millis(row.created_at)},
          {"active_expires", millis(row.active_expires)},
          {"idle_expires", millis(row.idle_expires)},
          {"last_used_at", millis(row.last_used_at)},
          {"address", row.address},
          {"device", row.device}};
}

// What a browser sent as its name is printed on a terminal: nothing in it may steer one.
std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    out += byte < 0x20 || byte > 0x7e ? '?' : c;
  }
  return out;
}

void print(const std::vector<auth::SessionRow>& rows, const Names& names, const Session& session) {
  for (const auth::SessionRow& row : rows) {
    const auto name = names.find(row.user_id);
    const auth::SessionState state = auth::state_at(row, session.auth.options().periods, session.clock.now());
    fmt::print("{}\t{}\t{}\t{}\t{}\t{}\t{}\n", auth::session_handle(row.id),
               name == names.end() ? row.user_id : name->second, auth::name(state), readable(row.created_at),
               readable(row.last_used_at), row.address, printable(row.device));
  }
}

void print_json(const std::vector<auth::SessionRow>& rows, const Names& names, const Session& session) {
  auto list = nlohmann::ordered_json::array();
  for (const auth::SessionRow& row : rows) {
    const auto name = names.find(row.user_id);
    const auth::SessionState state = auth::state_at(row, session.auth.options().periods, session.clock.now());
    list.push_back(to_json(row, name == names.end() ? std::string() : name->second, state));
  }
  fmt::print("{}\n", list.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

int report_ended(const auth::Result<std::size_t>& ended, const std::string& what) {
  if (!ended) return complain(ended.error(), what);
  fmt::print("{} sessions ended\n", *ended);
  return kDone;
}

int revoke_handle(Session& session, const std::string& handle) {
  auto rows = session.store->all_sessions();
  if (!rows) return complain(rows.error(), "session revoke");
  for (const auth::SessionRow& row : *rows) {
    if (auth::session_handle(row.id) == handle) {
      return report_ended(session.auth.invalidate_family(row.family), "session revoke");
    }
  }
  return complain(kFailed, "no session has the handle " + handle);
}

}  // namespace

int session_list(const config::Config& config, const std::string& user, bool as_json) {
  Session session(config);
  auto names = usernames(*session.store);
  if (!names) return complain(names.error(), "session list");
  auto rows = rows_of(*session.store, user);
  if (!rows) return complain(rows.error(), "user " + user);
  if (as_json) {
    print_json(*rows, *names, session);
  } else {
    print(*rows, *names, session);
  }
  return kDone;
}

int session_revoke(const config::Config& config, const RevokeArguments& arguments) {
  Session session(config);
  if (arguments.all) return report_ended(session.store->delete_all_sessions(), "session revoke");
  if (arguments.user.empty()) return revoke_handle(session, arguments.handle);
  auto user = session.store->find_user_by_username(arguments.user);
  if (!user) return complain(user.error(), "session revoke");
  if (!*user) return complain(kFailed, "user " + arguments.user + ": no such user");
  return report_ended(session.auth.invalidate_all_user_sessions((*user)->id), "session revoke");
}

}  // namespace gatehouse::app::cli
