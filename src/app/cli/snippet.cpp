// The command that prints configuration of web servers: which text, and for which way of asking.
#include "app/cli/snippet.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <vector>

#include "app/cli/commands.hpp"
#include "app/cli/output.hpp"

namespace gatehouse::app::cli {

namespace {

using Text = std::expected<std::string, std::string>;

Over over_of(const config::Config& config, std::string_view name) {
  if (name.empty()) return config.listen.empty() ? Over::http : Over::fastcgi;
  return name == "http" ? Over::http : Over::fastcgi;
}

Text nginx_part(const config::Config& config, std::string_view part, std::string_view over) {
  if (part == "application") return nginx_application_part(config);
  if (part == "proxy") return nginx_proxy_part(config);
  if (part == "http") return nginx_http_part(config);
  return nginx_server_part(config, over_of(config, over));
}

std::string own_program() {
  return std::filesystem::read_symlink("/proc/self/exe").string();
}

Text lighttpd_part(const config::Config& config, std::string_view part) {
  if (part == "gateway") return lighttpd_gateway_part(config);
  if (part == "spawned") return lighttpd_spawned_part(config, own_program());
  return lighttpd_authorizer_part(config);
}

Text apache_part(const config::Config& config, std::string_view part) {
  if (part.empty()) part = apache_default_part(config);
  if (part == "authorizer") return apache_authorizer_part(config);
  if (part == "provider") return apache_provider_part(config);
  if (part == "gateway") return apache_gateway_part(config);
  if (part == "fcgid") return apache_fcgid_part(config, own_program());
  return apache_access_checker_part(config, own_program());
}

/// A web server that there is configuration for.
struct Server {
  std::string_view name;
  std::vector<std::string_view>
      parts;  ///< what --part may say; without it the first, of Apache's the one that suits. None: it is one text
  std::vector<std::string_view> ways;  ///< what --over may say
};

const std::array kServers{
    Server{"nginx", {"server", "application", "proxy", "http"}, {"fastcgi", "http"}},
    Server{"apache", {"authorizer", "provider", "access-checker", "gateway", "fcgid"}, {"fastcgi"}},
    Server{"caddy", {}, {"http"}},
    Server{"lighttpd", {"authorizer", "gateway", "spawned"}, {"fastcgi"}},
};

bool is_allowed(std::string_view option, const std::vector<std::string_view>& allowed) {
  return option.empty() || std::ranges::find(allowed, option) != allowed.end();
}

// Returns what is wrong; empty: nothing.
std::string complaint_about(const SnippetArguments& arguments) {
  const auto server = std::ranges::find(kServers, arguments.server, &Server::name);
  if (server == kServers.end()) {
    std::vector<std::string_view> names;
    std::ranges::transform(kServers, std::back_inserter(names), &Server::name);
    return fmt::format("snippet: there is none for {}; allowed: {}", arguments.server, fmt::join(names, ", "));
  }
  if (!is_allowed(arguments.part, server->parts)) {
    if (server->parts.empty()) return fmt::format("snippet: for {} it is one text, without --part", server->name);
    return fmt::format("snippet: --part of {}: {}", server->name, fmt::join(server->parts, ", "));
  }
  if (!is_allowed(arguments.over, server->ways)) {
    return fmt::format("snippet: {} asks over {} only", server->name, fmt::join(server->ways, ", "));
  }
  return {};
}

int print(const Text& text) {
  if (!text) {
    complain(0, text.error());
    return refuse_snippet(kFailed, text.error());
  }
  fmt::print("{}", *text);
  return kDone;
}

}  // namespace

std::expected<std::string, std::string> http_socket_to_ask(const config::Config& config) {
  const auto is_unix = [](const std::string& listen) { return listen.starts_with("unix:"); };
  const auto found = std::ranges::find_if(config.listen_http, is_unix);
  if (found != config.listen_http.end()) return *found;
  if (config.listen_http.empty()) {
    return std::unexpected(
        "listen_http: there is no HTTP socket that the web server could reach; add one, such as "
        "listen_http: unix:/run/gatehouse/http.sock");
  }
  if (!config.trusted_proxies.empty()) return config.listen_http.front();
  return std::unexpected("trusted_proxies: empty, so that over TCP nothing that the web server says would be believed");
}

std::vector<std::string> other_spellings(std::string_view header) {
  std::vector<std::string> spellings{std::string(header)};
  for (std::size_t at = 0; at < header.size() && spellings.size() < 64; ++at) {
    if (header[at] != '-' && header[at] != '_') continue;
    for (std::size_t i = 0, count = spellings.size(); i < count; ++i) {
      spellings.push_back(spellings[i]);
      spellings.back()[at] = header[at] == '-' ? '_' : '-';
    }
  }
  spellings.erase(spellings.begin());
  return spellings;
}

int refuse_snippet(int exit_code, std::string_view why) {
  fmt::print("gatehouse_snippet_failed; # {}\n", why);
  return exit_code;
}

int snippet(const config::Config& config, const SnippetArguments& arguments) {
  if (const std::string complaint = complaint_about(arguments); !complaint.empty()) {
    complain(0, complaint);
    return refuse_snippet(kUsage, complaint);
  }
  if (arguments.server == "nginx") return print(nginx_part(config, arguments.part, arguments.over));
  if (arguments.server == "apache") return print(apache_part(config, arguments.part));
  if (arguments.server == "lighttpd") return print(lighttpd_part(config, arguments.part));
  return print(caddy_site_part(config));
}

}  // namespace gatehouse::app::cli
