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

struct SnippetArguments {
  std::string server;  ///< nginx | caddy
  std::string part;    ///< of nginx's: server | application | proxy | http; "": server
  std::string over;    ///< fastcgi | http; "": FastCGI if we listen for it, else HTTP
};
/// Prints configuration for a web server, made from ours.
int snippet(const config::Config& config, const SnippetArguments& arguments);
/// Prints what no web server takes for configuration, and returns `exit_code`. A shell that was told to write into a
/// file has emptied it by now; an empty one would be taken, and the site be open.
int refuse_snippet(int exit_code, std::string_view why);

int session_list(const config::Config& config, const std::string& user, bool as_json);
struct RevokeArguments {
  std::string handle;
  std::string user;
  bool all = false;
};
int session_revoke(const config::Config& config, const RevokeArguments& arguments);

}  // namespace gatehouse::app::cli
