// The command that prints configuration of web servers: which text, and for which way of asking.
#include "app/cli/snippet.hpp"

#include <fmt/format.h>

#include <algorithm>

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

// What a shell has redirected is empty by now. An empty file would be taken, and the site be open: this one is not.
int print(const Text& text) {
  if (!text) {
    fmt::print("gatehouse_snippet_failed; # {}\n", text.error());
    return complain(kFailed, text.error());
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

int snippet(const config::Config& config, const SnippetArguments& arguments) {
  if (arguments.server == "nginx") return print(nginx_part(config, arguments.part, arguments.over));
  if (arguments.server != "caddy") {
    return complain(kUsage, "snippet: there is none for " + arguments.server + " yet; allowed: nginx, caddy");
  }
  if (arguments.over == "fastcgi") return complain(kUsage, "snippet: Caddy asks over HTTP only");
  if (!arguments.part.empty()) return complain(kUsage, "snippet: --part is nginx's; Caddy's is one text");
  return print(caddy_site_part(config));
}

}  // namespace gatehouse::app::cli
