#include "app/cli/cli.hpp"

#include <fmt/format.h>
#include <grp.h>
#include <openssl/crypto.h>
#include <sqlite3.h>
#include <unistd.h>
#include <CLI/CLI.hpp>
#include <boost/version.hpp>

#include <charconv>
#include <cstdlib>
#include <functional>
#include <optional>

#include "app/application.hpp"
#include "app/cgi_application.hpp"
#include "app/cli/commands.hpp"
#include "app/cli/output.hpp"
#include "app/cli/privileges.hpp"
#include "app/version.hpp"
#include "config/load.hpp"
#include "net/listener.hpp"
#include "store/mysql/connection.hpp"

namespace gatehouse::app {

namespace {

using cli::complain;
using cli::kConfigError;
using cli::kDone;
using cli::kFailed;
using cli::kUsage;

/// Everything that the arguments can say.
struct Arguments {
  std::string config_file;
  bool as_json = false;
  cli::NewUserArguments new_user;
  std::string user;
  bool password_stdin = false;
  bool allow_weak = false;
  cli::RevokeArguments revoke;
  cli::ExplainArguments explain;
  cli::SnippetArguments snippet;
};

// ── serving ──────────────────────────────────────────────────────────────────────────────────────────────────────────

std::expected<std::optional<gid_t>, std::string> group_id(const std::string& group) {
  if (group.empty()) return std::optional<gid_t>();
  gid_t number = 0;
  const auto [end, error] = std::from_chars(group.data(), group.data() + group.size(), number);
  if (error == std::errc() && end == group.data() + group.size()) return std::optional<gid_t>(number);
  if (const ::group* entry = getgrnam(group.c_str())) return std::optional<gid_t>(entry->gr_gid);
  return std::unexpected("socket.group: there is no group " + group);
}

// An administrator who adds an address would wait for it in vain: the kind is served, and nothing else tells.
void warn_of_unserved(const std::vector<std::string>& configured, Protocol protocol,
                      const std::vector<Listener>& listeners) {
  for (const std::string& text : configured) {
    const auto is_it = [&](const Listener& listener) {
      const auto address = net::ListenAddress::of(listener.fd);
      return listener.protocol == protocol && address && address->text() == text;
    };
    if (std::ranges::any_of(listeners, is_it)) continue;
    complain(0, fmt::format("warning: {} is configured and not served: sockets of its kind were passed to us, and only "
                            "those are; add a socket unit for it",
                            text));
  }
}

/// Adds the configured sockets of a kind that was not inherited.
std::expected<void, std::string> add_own_listeners(const config::Config& config, Protocol protocol,
                                                   std::vector<Listener>& listeners) {
  const auto& configured = protocol == Protocol::http ? config.listen_http : config.listen;
  if (std::ranges::find(listeners, protocol, &Listener::protocol) != listeners.end()) {
    warn_of_unserved(configured, protocol, listeners);
    return {};
  }
  auto group = group_id(config.socket.group);
  if (!group) return std::unexpected(group.error());
  for (const std::string& text : configured) {
    const auto address = net::ListenAddress::parse(text);
    if (!address) return std::unexpected(text + " is no address");
    auto fd = net::listen_on(*address, {config.socket.mode, *group});
    if (!fd) return std::unexpected(fd.error());
    listeners.push_back({*fd, protocol, text, true});
  }
  return {};
}

std::string name_of(const net::InheritedSocket& socket) {
  const auto address = net::ListenAddress::of(socket.fd);
  return "inherited:" + socket.name + (address ? "=" + address->text() : "");
}

std::expected<std::vector<Listener>, std::string> inherited_listeners() {
  auto sockets = net::take_systemd_sockets();
  if (!sockets) return std::unexpected(sockets.error());
  std::vector<Listener> listeners;
  for (const net::InheritedSocket& socket : *sockets) {
    if (socket.name == "admin") {
      return std::unexpected(
          "systemd passed a socket named admin, which this version does not serve; allowed: http, "
          "and any other name for FastCGI");
    }
    const Protocol protocol = socket.name == "http" ? Protocol::http : Protocol::fastcgi;
    listeners.push_back({socket.fd, protocol, name_of(socket), false});
  }
  if (net::is_listening_socket(STDIN_FILENO)) {
    listeners.push_back({STDIN_FILENO, Protocol::fastcgi, "inherited:fd0", false});
  }
  return listeners;
}

int serve_on(config::Config config, std::vector<Listener> listeners) {
  Application application(std::move(config), std::move(listeners));
  return application.run();
}

/// Leaves root behind where the store says for whom, else says so: a script must not run as root by accident.
std::expected<void, int> leave_root(const config::Config& config) {
  if (auto changed = cli::become_owner_of_store(config.store); !changed) {
    return std::unexpected(complain(cli::kStoreUnavailable, changed.error()));
  }
  if (geteuid() != 0) return {};
  const bool has_folder = config.store.driver == config::Driver::sqlite;
  complain(0, std::string("warning: serving as root, and so are the scripts; ") +
                  (has_folder ? "let a user of its own own the database's folder"
                              : "start it as a user of its own (systemd's User=, spawn-fcgi -u)"));
  return {};
}

int serve(config::Config config) {
  auto listeners = inherited_listeners();
  if (!listeners) return complain(kFailed, listeners.error());
  for (const Protocol protocol : {Protocol::fastcgi, Protocol::http}) {
    if (auto added = add_own_listeners(config, protocol, *listeners); !added) return complain(kFailed, added.error());
  }
  if (listeners->empty()) return complain(kConfigError, "nothing to listen on; see `listen` in " + config.file);
  // After the sockets, which may need root, and before anything is served.
  if (auto left = leave_root(config); !left) return left.error();
  return serve_on(std::move(config), std::move(*listeners));
}

/// Loads the configuration of a process that a web server started, and leaves root behind. What fails is on stderr.
std::expected<config::Config, int> config_of_spawned_process(const std::string& config_file) {
  auto config = cli::load_config(config_file);
  if (!config) return std::unexpected(kConfigError);
  if (auto left = leave_root(*config); !left) return std::unexpected(left.error());
  return std::move(*config);
}

// Spawned by a web server or spawn-fcgi: fd 0 is the one listener, and nothing else is bound.
int serve_on_stdin(const std::string& config_file) {
  auto config = config_of_spawned_process(config_file);
  if (!config) return config.error();
  return serve_on(std::move(*config), {{STDIN_FILENO, Protocol::fastcgi, "inherited:fd0", false}});
}

// Whatever goes wrong, the answer is explicit. Once the process has taken stdout, what is printed here goes nowhere.
int serve_as_cgi() {
  try {
    auto config = config_of_spawned_process("");
    if (config) return serve_cgi_process(std::move(*config));
    refuse_cgi_request(config.error() == kConfigError ? 500 : 503);
    return config.error();
  } catch (...) {
    refuse_cgi_request(500);
    throw;
  }
}

// ── commands ─────────────────────────────────────────────────────────────────────────────────────────────────────────

int check(const std::string& config_file) {
  const auto loaded = config::load(config::default_file(config_file));
  if (!loaded) {
    for (const config::Problem& problem : loaded.error()) fmt::print("{}\n", problem.message());
    return kConfigError;
  }
  for (const std::string& warning : loaded->warnings) fmt::print(stderr, "{}\n", warning);
  fmt::print("ok\n");
  return kDone;
}

int version() {
  fmt::print("gatehouse {}\ncommit {}\nBoost {}\nOpenSSL {}\nSQLite {}\nMySQL Connector/C++ {}\n", kVersion, kCommit,
             BOOST_LIB_VERSION, OpenSSL_version(OPENSSL_VERSION_STRING), sqlite3_libversion(),
             store::mysql::driver_version());
  return kDone;
}

/// Runs a command that needs the configuration and works on the store.
int with_config(const Arguments& arguments, const std::function<int(const config::Config&)>& command) {
  const auto config = cli::load_config(arguments.config_file);
  if (!config) return kConfigError;
  if (auto changed = cli::become_owner_of_store(config->store); !changed) {
    return complain(cli::kStoreUnavailable, changed.error());
  }
  return command(*config);
}

/// A parser and the command that its arguments chose.
class CommandLine {
 public:
  CommandLine() {
    app_.require_subcommand(0, 1);
    app_.fallthrough();
    app_.add_option("-c,--config", arguments_.config_file, "Configuration file")->type_name("FILE");
    app_.set_help_flag("-h,--help", "Show this help");
    add("serve", "Serve FastCGI on the configured or inherited sockets", [this] {
      auto config = cli::load_config(arguments_.config_file);
      return config ? serve(std::move(*config)) : kConfigError;
    });
    add("check", "Check the configuration and print ok or every problem",
        [this] { return check(arguments_.config_file); });
    add("version", "Print version, commit and libraries", [] { return version(); });
    add_explain_command();
    add_snippet_command();
    add_db_commands();
    add_user_commands();
    add_session_commands();
  }

  int run(int argc, char** argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::CallForHelp& help) {
      return app_.exit(help);
    } catch (const CLI::ParseError& error) {
      fmt::print(stderr, "gatehouse: {}\nRun gatehouse --help for the commands.\n", error.what());
      return app_.got_subcommand("snippet") ? cli::refuse_snippet(kUsage, "wrong arguments") : kUsage;
    }
    if (chosen_) return chosen_();
    if (net::is_listening_socket(STDIN_FILENO)) return serve_on_stdin(arguments_.config_file);
    fmt::print(stderr, "{}", app_.help());
    return kUsage;
  }

 private:
  CLI::App* add(const char* name, const char* what, std::function<int()> command) {
    return add_to(app_, name, what, std::move(command));
  }

  CLI::App* add_to(CLI::App& parent, const char* name, const char* what, std::function<int()> command) {
    CLI::App* sub = parent.add_subcommand(name, what);
    sub->fallthrough();
    sub->callback([this, command = std::move(command)] { chosen_ = command; });
    return sub;
  }

  CLI::App* add_group(const char* name, const char* what) {
    CLI::App* group = app_.add_subcommand(name, what);
    group->require_subcommand(1);
    group->fallthrough();
    return group;
  }

  CLI::App* add_with_config(CLI::App& parent, const char* name, const char* what,
                            std::function<int(const config::Config&)> command) {
    return add_to(parent, name, what,
                  [this, command = std::move(command)] { return with_config(arguments_, command); });
  }

  void add_explain_command() {
    CLI::App* explain = add_with_config(app_, "explain", "Say which route decides a request, and why",
                                        [this](const config::Config& config) {
                                          arguments_.explain.user = arguments_.user;
                                          arguments_.explain.as_json = arguments_.as_json;
                                          return cli::explain(config, arguments_.explain);
                                        });
    explain->add_option("method", arguments_.explain.method, "GET, POST, …")->required()->type_name("METHOD");
    explain->add_option("url", arguments_.explain.url, "A path, or a whole URL")->required()->type_name("URL");
    explain->add_option("--user", arguments_.user, "As this user sees it; without: as nobody")->type_name("NAME");
    take_json(*explain);
  }

  void add_snippet_command() {
    CLI::App* snippet = add("snippet", "Print configuration for a web server, made from ours", [this] {
      const auto config = cli::load_config(arguments_.config_file);
      return config ? cli::snippet(*config, arguments_.snippet)
                    : cli::refuse_snippet(kConfigError, "the configuration has problems");
    });
    snippet
        ->add_option("server", arguments_.snippet.server,
                     "nginx (check door), apache, lighttpd (authorizer door), caddy (forward door)")
        ->required()
        ->type_name("SERVER");
    snippet
        ->add_option("--part", arguments_.snippet.part,
                     "nginx: server (block; without), application (beside fastcgi_pass), proxy (beside proxy_pass), "
                     "http (block). "
                     "apache: authorizer (without, where `listen` has an address of the loopback) and provider "
                     "(mod_authnz_fcgi), access-checker (mod_fcgid), gateway (mod_proxy_fcgi; else without), fcgid. "
                     "lighttpd: authorizer (without), gateway, spawned")
        ->type_name("PART");
    snippet->add_option("--over", arguments_.snippet.over, "How it asks; without: fastcgi if `listen` has an address")
        ->check(CLI::IsMember({"fastcgi", "http"}));
  }

  void add_db_commands() {
    CLI::App* db = add_group("db", "The store's tables");
    add_with_config(*db, "migrate", "Create or upgrade the tables", cli::db_migrate);
    add_with_config(*db, "status", "Compare the tables with this version", cli::db_status);
  }

  void add_user_commands() {
    CLI::App* user = add_group("user", "Users and their passwords");
    CLI::App* add = add_with_config(*user, "add", "Create a user", [this](const config::Config& config) {
      arguments_.new_user.name = arguments_.user;
      arguments_.new_user.password_stdin = arguments_.password_stdin;
      arguments_.new_user.allow_weak = arguments_.allow_weak;
      return cli::user_add(config, arguments_.new_user);
    });
    add->add_option("--set", arguments_.new_user.set, "Attribute, may be repeated")
        ->type_name("KEY=VALUE")
        ->allow_extra_args(false);
    take_name(*add);
    take_password(*add);
    take_json(*add_with_config(*user, "list", "List the users",
                               [this](const config::Config& c) { return cli::user_list(c, arguments_.as_json); }));
    CLI::App* password = add_with_config(
        *user, "password", "Set a password and end the user's sessions", [this](const config::Config& c) {
          return cli::user_password(c, arguments_.user, arguments_.password_stdin, arguments_.allow_weak);
        });
    take_name(*password);
    take_password(*password);
    take_name(
        *add_with_config(*user, "disable", "Lock a user out and end the sessions",
                         [this](const config::Config& c) { return cli::user_set_disabled(c, arguments_.user, true); }));
    take_name(*add_with_config(*user, "enable", "Let a disabled user in again", [this](const config::Config& c) {
      return cli::user_set_disabled(c, arguments_.user, false);
    }));
  }

  void add_session_commands() {
    CLI::App* session = add_group("session", "Sessions");
    CLI::App* list = add_with_config(*session, "list", "List sessions", [this](const config::Config& c) {
      return cli::session_list(c, arguments_.user, arguments_.as_json);
    });
    list->add_option("user", arguments_.user, "Only this user's")->type_name("USER");
    take_json(*list);
    CLI::App* revoke = add_with_config(*session, "revoke", "End sessions", [this](const config::Config& c) {
      return cli::session_revoke(c, arguments_.revoke);
    });
    auto* which = revoke->add_option_group("which");
    which->add_option("handle", arguments_.revoke.handle, "The session's handle, as `session list` shows it");
    which->add_option("--user", arguments_.revoke.user, "Every session of this user")->type_name("USER");
    which->add_flag("--all", arguments_.revoke.all, "Every session of everybody");
    which->require_option(1);
  }

  void take_name(CLI::App& command) {
    command.add_option("name", arguments_.user, "The user's name")->required()->type_name("NAME");
  }
  void take_password(CLI::App& command) {
    command.add_flag("--password-stdin", arguments_.password_stdin, "Read the password from stdin");
    command.add_flag("--allow-weak", arguments_.allow_weak, "Take a password shorter than login.min_password");
  }
  void take_json(CLI::App& command) { command.add_flag("--json", arguments_.as_json, "Print JSON"); }

  CLI::App app_{"Gatehouse: an auth gateway for FastCGI and CGI", "gatehouse"};
  Arguments arguments_;
  std::function<int()> chosen_;
};

}  // namespace

int run(int argc, char** argv) {
  if (std::getenv("GATEWAY_INTERFACE") != nullptr) {
    return net::is_listening_socket(STDIN_FILENO) ? serve_on_stdin("") : serve_as_cgi();
  }
  CommandLine command_line;
  return command_line.run(argc, argv);
}

}  // namespace gatehouse::app
