// Caddy's configuration for the forward door, made from ours. Each line that closes a trap says which.
#include <fmt/format.h>

#include <algorithm>

#include "app/cli/snippet.hpp"
#include "http/headers.hpp"

namespace gatehouse::app::cli {

namespace {

// "unix:/run/x.sock" → "unix//run/x.sock"; "tcp:HOST:PORT" without its first part.
std::string caddy_address(const std::string& listen) {
  return listen.starts_with("unix:") ? "unix/" + listen.substr(5) : listen.substr(4);
}

// How Go writes a header's name: a placeholder is found under no other spelling.
std::string go_spelling(std::string_view header) {
  std::string name = http::to_lower(header);
  char before = '-';
  for (char& c : name) {
    if (before == '-' && c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    before = c;
  }
  return name;
}

std::string removed(std::string_view header) {
  return fmt::format("\trequest_header @gatehouse_pages -{}\n", header);
}

std::string taken_from_answer(std::string_view header) {
  return fmt::format("\trequest_header @gatehouse_pages {} {{http.reverse_proxy.header.{}}}\n", header,
                     go_spelling(header));
}

std::string identity_lines(const config::HeaderMap& headers) {
  std::string removals;
  std::string lines;
  for (const std::string_view header : {"X-Gatehouse-User", "X-Gatehouse-User-Id", "X-Gatehouse-Session-State"}) {
    lines += taken_from_answer(header);
  }
  for (const auto& [header, attribute] : headers) {
    // Its other spellings have a '_' and are gone already.
    if (header.contains('_')) {
      std::string alias = header;
      std::ranges::replace(alias, '_', '-');
      removals += removed(alias);
    }
    lines += taken_from_answer(header);
  }
  return removals + lines;
}

std::string endpoint_paths(const config::Config& config) {
  const std::string& prefix = config.endpoints.prefix;
  return (config.login.enabled ? prefix + "/login " : "") + prefix + "/logout " + prefix + "/session";
}

constexpr std::string_view kSite =
    R"(# Made by `gatehouse snippet caddy` from {file}; make it again when that file's `listen_http`,
# `identity`, `endpoints` or `login` change. Import it once at the top of the Caddyfile, below the global options, and
# its `gatehouse` in each site, first, so that no `handle` of the site's own takes the login's pages:
#     import gatehouse.caddy
#     app.example.org {{
#         import gatehouse
#         ...
#     }}
# From then on every page of that site is asked about, and the routes decide. Caddy sorts directives: the question comes
# before `handle`, `handle_path`, `route`, `respond`, `reverse_proxy`, `php_fastcgi` and `file_server`, wherever they
# stand. Applications find the user in the configured headers, and those over FastCGI in REMOTE_USER too (Caddy sends it
# empty, not unset, where it is nobody). Traps that Caddy leaves open:
#   - `redir` answers before anybody is asked, and so does what a global `order` puts before `forward_auth`.
#   - the path that is decided is the one after the site's own `rewrite`, `uri` and `try_files`. What is rewritten
#     later, inside `handle`, `route` or `php_fastcgi`, is served under the rule of the path before. So `php_fastcgi` without
#     `try_files {{path}}` runs /index.php for whatever is not there, under the rule of what is not there.
#   - of several `handle_errors` in a site Caddy runs the first and forgets the others without a word; one of your own
#     that comes first and serves files would serve the page when Gatehouse is down. For error pages of your own, in
#     place of `import gatehouse`:
#         import gatehouse_door
#         handle_errors {{
#             import gatehouse_errors
#             ...
#         }}
#   - a `handle_response` of your own, or a second `forward_auth`, may put its answer's cookie in the place of a renewed
#     session's; the next request renews again.

(gatehouse_door) {{
	@gatehouse_endpoints path {endpoints}
	@gatehouse_reserved {{
		path {prefix} {prefix}/*
		not path {endpoints}
	}}
	@gatehouse_pages not path {prefix} {prefix}/*

	# The question itself is no page: from outside it is 404, and so is what nothing stands for.
	forward_auth @gatehouse_reserved "{address}" {{
		uri {prefix}/-?
		transport http {{
			dial_timeout 1s
			response_header_timeout 3s
		}}
	}}

	# Anything but 2xx goes to the visitor as it is. X-Forwarded-For, -Host and -Proto are Caddy's own: what a visitor
	# sends under these names is dropped.
	forward_auth @gatehouse_pages "{address}" {{
		uri {prefix}/forward?
		header_up X-Forwarded-Method {{method}}
		header_up X-Forwarded-Uri {{uri}}
		header_up X-Gatehouse-Cookies 1
		header_up -X-Original-*
		# The question has no body.
		header_up -Content-Type
		transport http {{
			dial_timeout 1s
			response_header_timeout 3s
		}}
	}}

	# What a visitor sends with a '_' would be another header's twin to CGI, FastCGI and WSGI.
	request_header @gatehouse_pages -*_*
	request_header @gatehouse_pages -Proxy
	request_header @gatehouse_pages -Authorization
	request_header @gatehouse_pages -X-Gatehouse-Cookies
	# Each takes the place of what the visitor sent, also where it is empty.
{identity}
	# php_fastcgi's REMOTE_USER, and the access log's user_id.
	map {{http.reverse_proxy.header.X-Gatehouse-User}} {{http.auth.user.id}} {{
		default {{http.reverse_proxy.header.X-Gatehouse-User}}
	}}

	# A renewed session's cookie, beside the page's own, and then no cache may keep the page. Where there is none, what is
	# added is removed again: Caddy would send an empty one.
	map {{http.reverse_proxy.header.Set-Cookie}} {{gatehouse_cookie}} {{gatehouse_cache_control}} {{
		"" X-Gatehouse-Nothing X-Gatehouse-Nothing
		default Set-Cookie Cache-Control
	}}
	header {{
		+{{gatehouse_cookie}} {{http.reverse_proxy.header.Set-Cookie}}
		+{{gatehouse_cache_control}} no-store
		-X-Gatehouse-Nothing
		defer
	}}

	# Login, logout and what else Gatehouse shows by itself.
	handle {prefix}/* {{
		reverse_proxy @gatehouse_endpoints "{address}" {{
			header_up -X-Original-*
			header_up -X-Gatehouse-Cookies
			transport http {{
				dial_timeout 1s
				response_header_timeout 30s
			}}
		}}
	}}
}}

(gatehouse_errors) {{
	# An error page forgets what was to be added to the page.
	header +{{gatehouse_cookie}} {{http.reverse_proxy.header.Set-Cookie}}
	header +{{gatehouse_cache_control}} no-store
	header -X-Gatehouse-Nothing

	# Nobody answered, as against an application that failed after the answer.
	map {{http.reverse_proxy.status_code}} {{gatehouse_answered}} {{
		"" no
		default yes
	}}
	@gatehouse_down {{
		vars {{http.error.status_code}} 502 503 504
		not vars {{gatehouse_answered}} yes
	}}
	handle @gatehouse_down {{
		header Retry-After 5
		header Cache-Control no-store
		respond "The sign-in service cannot be reached. Please try again in a moment." 503
	}}
}}

# The last, since Caddy 2.6 loses what follows the import of a snippet that ends further down in the same file.
(gatehouse) {{
	import gatehouse_door
	handle_errors {{
		import gatehouse_errors
	}}
}}
)";

}  // namespace

std::expected<std::string, std::string> caddy_site_part(const config::Config& config) {
  const auto socket = http_socket_to_ask(config);
  if (!socket) return socket;
  return fmt::format(kSite, fmt::arg("file", config.file), fmt::arg("prefix", config.endpoints.prefix),
                     fmt::arg("address", caddy_address(*socket)), fmt::arg("endpoints", endpoint_paths(config)),
                     fmt::arg("identity", identity_lines(config.identity.headers)));
}

}  // namespace gatehouse::app::cli
