// The commands, each a function of its arguments that returns an exit code.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"

namespace gatehouse::app::cli {

int db_migrate(const config::Config& config);
int db_status(const config::Config& config);

struct NewUserArguments {
  std::string name;
  std::vector<std::string> set;  ///< "key=value"
  bool password_stdin = false;
  bool allow_weak = false;
};
int user_add(const config::Config& config, const NewUserArguments& arguments);
int user_list(const config::Config& config, bool as_json);
int user_password(const config::Config& config, const std::string& name, bool password_stdin, bool allow_weak);
int user_set_disabled(const config::Config& config, const std::string& name, bool disabled);

struct ExplainArguments {
  std::string method;
  std::string url;  ///< a path, or absolute
  std::string user;
  bool as_json = false;
};
/// Says which route decides a request, why, and what the script would be told. Without a user: for nobody.
int explain(const config::Config& config, const ExplainArguments& arguments);

/// Prints web server configuration. `part`: "server" or "application".
int snippet_nginx(const config::Config& config, std::string_view part);

int session_list(const config::Config& config, const std::string& user, bool as_json);
struct RevokeArguments {
  std::string handle;
  std::string user;
  bool all = false;
};
int session_revoke(const config::Config& config, const RevokeArguments& arguments);

}  // namespace gatehouse::app::cli
