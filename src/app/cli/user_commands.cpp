#include <fmt/format.h>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/cli/commands.hpp"
#include "app/cli/output.hpp"
#include "app/cli/password_input.hpp"

namespace gatehouse::app::cli {

namespace {

constexpr std::size_t kMaxNameBytes = 255;

// A name goes into a header, a variable and a key id: what could be read in two ways is refused when it is made.
std::string problem_with_name(std::string_view name) {
  if (name.empty()) return "a user needs a name";
  if (name.size() > kMaxNameBytes) return "a name has at most 255 bytes";
  if (name.front() == ' ' || name.back() == ' ') return "a name neither begins nor ends with a space";
  const bool has_control = std::ranges::any_of(name, [](unsigned char byte) { return byte < 0x20 || byte == 0x7f; });
  return has_control ? "a name has no control bytes" : "";
}

std::string problem_with_password(std::string_view password, std::string_view name, const config::Login& login) {
  const std::size_t length = auth::count_code_points(password);
  if (length < login.min_password) {
    return fmt::format("the password has {} characters; at least {} are wanted (login.min_password), or --allow-weak",
                       length, login.min_password);
  }
  if (password == name) return "the password is the name; choose another, or --allow-weak";
  return "";
}

std::expected<std::string, NoPassword> wanted_password(bool from_stdin, bool allow_weak, std::string_view name,
                                                       const config::Login& login) {
  auto password = read_password(from_stdin);
  if (!password) return password;
  if (password->empty()) return std::unexpected(NoPassword{kFailed, "the password is empty"});
  if (allow_weak) return password;
  if (std::string problem = problem_with_password(*password, name, login); !problem.empty()) {
    return std::unexpected(NoPassword{kFailed, std::move(problem)});
  }
  return password;
}

/// Puts "key=value" into the user; returns what is wrong with it.
std::string apply(auth::User& user, const std::string& setting) {
  const auto equals = setting.find('=');
  if (equals == std::string::npos || equals == 0) return "--set wants key=value, not '" + setting + "'";
  const std::string key = setting.substr(0, equals);
  const std::string value = setting.substr(equals + 1);
  const bool has_control = std::ranges::any_of(value, [](unsigned char byte) { return byte < 0x20 || byte == 0x7f; });
  if (has_control) return "--set " + key + ": a value has no control bytes";
  if (key == "name") {
    user.name = value;
  } else if (key == "email") {
    user.email = value;
  } else if (key == "roles") {
    user.roles = auth::split_roles(value);
  } else if (key == "id" || key == "username" || key == "disabled" || key == "created_at") {
    return "--set " + key + ": not to be set here; allowed: name, email, roles, further columns of the user table";
  } else {
    user.attributes[key] = value;
  }
  return "";
}

auth::Result<auth::User> user_named(auth::Store& store, const std::string& name) {
  auto user = store.find_user_by_username(name);
  if (!user) return std::unexpected(user.error());
  if (!*user) return auth::fail(auth::ErrorCode::invalid_user_id);
  return std::move(**user);
}

nlohmann::ordered_json to_json(const auth::User& user) {
  nlohmann::ordered_json json{{"id", user.id},
                              {"username", user.username},
                              {"name", user.name},
                              {"email", user.email},
                              {"roles", user.roles},
                              {"disabled", user.disabled},
                              {"created_at", user.created_at.time_since_epoch().count()}};
  for (const auto& [name, value] : user.attributes) json[name] = value;
  return json;
}

}  // namespace

int user_add(const config::Config& config, const NewUserArguments& arguments) {
  if (const std::string problem = problem_with_name(arguments.name); !problem.empty())
    return complain(kFailed, problem);
  auth::User user;
  user.username = arguments.name;
  for (const std::string& setting : arguments.set) {
    if (const std::string problem = apply(user, setting); !problem.empty()) return complain(kUsage, problem);
  }
  auto password = wanted_password(arguments.password_stdin, arguments.allow_weak, arguments.name, config.login);
  if (!password) return complain(password.error().exit_code, password.error().text);
  Session session(config);
  auto created = session.auth.create_user(std::move(user), auth::username_key(arguments.name, *password));
  if (!created) return complain(created.error(), "user " + arguments.name);
  fmt::print("{}\n", created->id);
  return kDone;
}

int user_list(const config::Config& config, bool as_json) {
  Session session(config);
  auto users = session.store->all_users();
  if (!users) return complain(users.error(), "user list");
  if (as_json) {
    auto list = nlohmann::ordered_json::array();
    for (const auth::User& user : *users) list.push_back(to_json(user));
    fmt::print("{}\n", list.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
    return kDone;
  }
  for (const auth::User& user : *users) {
    fmt::print("{}\t{}\t{}\t{}\t{}\n", user.username, user.id, user.email, auth::join_roles(user.roles),
               user.disabled ? "disabled" : "enabled");
  }
  return kDone;
}

int user_password(const config::Config& config, const std::string& name, bool password_stdin, bool allow_weak) {
  auto password = wanted_password(password_stdin, allow_weak, name, config.login);
  if (!password) return complain(password.error().exit_code, password.error().text);
  Session session(config);
  auto ended = session.auth.update_key_password(auth::kUsernameProvider, name, *password);
  if (!ended) return complain(ended.error(), "user " + name);
  fmt::print("password changed, {} sessions ended\n", *ended);
  return kDone;
}

int user_set_disabled(const config::Config& config, const std::string& name, bool disabled) {
  Session session(config);
  auto user = user_named(*session.store, name);
  if (!user) return complain(user.error(), "user " + name);
  auto ended = session.auth.set_disabled(user->id, disabled);
  if (!ended) return complain(ended.error(), "user " + name);
  if (disabled) {
    fmt::print("disabled, {} sessions ended\n", *ended);
  } else {
    fmt::print("enabled\n");
  }
  return kDone;
}

}  // namespace gatehouse::app::cli
