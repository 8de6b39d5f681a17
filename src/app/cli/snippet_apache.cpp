// Apache's configuration, made from ours: for the authorizer door (mod_authnz_fcgi, mod_fcgid's FcgidAccessChecker) and
// for the gateway door (mod_proxy_fcgi, mod_fcgid). Each line that closes a trap says which.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "app/cli/snippet.hpp"
#include "http/headers.hpp"
#include "policy/route.hpp"

namespace gatehouse::app::cli {

namespace {

using Text = std::expected<std::string, std::string>;

bool is_tcp(const std::string& listen) {
  return listen.starts_with("tcp:");
}

bool is_loopback(const std::string& listen) {
  return listen.starts_with("tcp:127.") || listen.starts_with("tcp:localhost:") || listen.starts_with("tcp:[::1]:");
}

// "tcp:HOST:PORT" → "fcgi://HOST:PORT"; "unix:PATH" → "unix:PATH|fcgi://gatehouse", where the host is a name only.
std::string proxied(const std::string& listen) {
  return is_tcp(listen) ? "fcgi://" + listen.substr(4) : listen + "|fcgi://gatehouse";
}

Text address_to_proxy_to(const config::Config& config) {
  if (config.listen.empty()) return std::unexpected("listen: there is no FastCGI socket that Apache could reach");
  const auto socket = std::ranges::find_if_not(config.listen, is_tcp);
  return proxied(socket == config.listen.end() ? config.listen.front() : *socket);
}

Text provider_address(const config::Config& config) {
  auto socket = std::ranges::find_if(config.listen, is_loopback);
  if (socket == config.listen.end()) socket = std::ranges::find_if(config.listen, is_tcp);
  if (socket != config.listen.end()) return "fcgi://" + socket->substr(4) + "/";
  return std::unexpected(
      "listen: mod_authnz_fcgi speaks TCP only; add an address of the loopback, such as listen: tcp:127.0.0.1:9100, or "
      "take --part access-checker or --part gateway");
}

// ── headers ──────────────────────────────────────────────────────────────────────────────────────────────────────────

bool is_configured(const config::Config& config, std::string_view header) {
  return std::ranges::any_of(config.identity.headers,
                             [&](const auto& each) { return http::equals_ignoring_case(each.first, header); });
}

std::string variable_of(std::string_view header) {
  std::string name = "HTTP_" + std::string(header);
  std::ranges::transform(name, name.begin(), [](char c) {
    if (c >= 'a' && c <= 'z') return static_cast<char>(c - 'a' + 'A');
    return c == '-' ? '_' : c;
  });
  return name;
}

std::string unset(std::string_view header) {
  std::string lines = fmt::format("RequestHeader unset {} early\n", header);
  for (const std::string& spelling : other_spellings(header)) {
    lines += fmt::format("RequestHeader unset {} early\n", spelling);
  }
  return lines;
}

std::string unset_headers(const config::Config& config) {
  static constexpr std::array kAlwaysOwned{
      "Authorization",  "Proxy", "Remote-User", "X-Gatehouse-User", "X-Gatehouse-User-Id", "X-Gatehouse-Session-State",
      "Redirect-Status"};
  std::string lines;
  for (const std::string_view header : kAlwaysOwned) {
    if (!is_configured(config, header)) lines += unset(header);
  }
  for (const auto& [header, attribute] : config.identity.headers) lines += unset(header);
  return lines;
}

std::string set_headers(const config::Config& config) {
  std::string lines;
  for (const auto& [header, attribute] : config.identity.headers) {
    lines += fmt::format("    RequestHeader set {} \"expr=%{{reqenv:{}}}\"\n", header, variable_of(header));
  }
  return lines;
}

// Of the bytes that a prefix or a header's name may hold, these mean something else in a regular expression.
std::string as_pattern(std::string_view text) {
  std::string pattern;
  for (const char c : text) {
    if (std::string_view(R"(.*+^$|?()[]{}\)").contains(c)) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

// A ',' in their place, so that what stands around one makes no other.
std::string unname_headers(const config::Config& config) {
  if (config.identity.headers.empty()) return {};
  std::vector<std::string> names;
  for (const auto& [header, attribute] : config.identity.headers) names.push_back(as_pattern(header));
  return fmt::format(
      "# Nor does he tell mod_proxy, which leaves out headers that `Connection` names, to leave out ours.\n"
      "RequestHeader edit* Connection \"(?i){}\" \",\" early\n",
      fmt::join(names, "|"));
}

// `line` has a place for the name.
std::string for_each_variable(const config::Config& config, fmt::format_string<std::string> line) {
  std::string lines;
  for (const char* name : {"REMOTE_USER", "AUTH_TYPE", "GATEHOUSE_USER_ID", "GATEHOUSE_SESSION_STATE"}) {
    lines += fmt::format(line, std::string(name));
  }
  for (const auto& [header, attribute] : config.identity.headers) lines += fmt::format(line, variable_of(header));
  return lines;
}

// ── what is asked ────────────────────────────────────────────────────────────────────────────────────────────────────

constexpr std::string_view kAsked =
    R"conf(# A method that answers before anybody is asked.
TraceEnable Off

# What a visitor calls himself is gone before anybody is asked, also as a name with a '_', which applications behind
# ProxyPass would read as the same.
{unset}{unname}
# mod_cache would answer before anybody is asked.
<IfModule mod_cache.c>
    CacheQuickHandler off
</IfModule>

# The path that is decided is the one that Apache serves, in subrequests and internal redirects too. Nothing else that
# names it is set there: SetEnvIf is for requests of a visitor's only.
<LocationMatch "^{not_the_question}(?<GATEHOUSE_PATH>(?s).*)$">
    SetEnvIf Request_Method "^(.*)$" GATEHOUSE_METHOD=$1
    # Cookies of an answer about an internal redirect would come twice.
    SetEnvIfExpr "-z reqenv('REDIRECT_STATUS')" GATEHOUSE_COOKIES=1
</LocationMatch>
)conf";

std::string asked(const config::Config& config, std::string_view not_the_question) {
  return fmt::format(kAsked, fmt::arg("unset", unset_headers(config)), fmt::arg("unname", unname_headers(config)),
                     fmt::arg("not_the_question", not_the_question));
}

constexpr std::string_view kTraps =
    R"conf(# Traps that Apache leaves open:
#   - other virtual hosts are not asked about: Debian's 000-default, and serve-cgi-bin in every one.
#   - a <Location> further down with a `Require` or an <If> of its own takes the place of the one here and may open its
#     pages to everybody: write `AuthMerging And` beside it. That is why the include is the last line.
#   - `Redirect` and `RewriteRule ... [R]` of the virtual host answer before anybody is asked. What its rules without
#     [PT] lead to, and those of a folder (.htaccess) with [P], is decided by the path before the rule: by
#     `^/public/x$ /admin/page.html` everybody gets that page. And all rules have to leave {prefix}/ alone:
#     else nobody signs in and, by mod_authnz_fcgi, the public pages are an error, 500, for who has not.
#   - an <If> of the site's that is nested more than three deep is merged after the one here.
#   - an `ErrorDocument` that is a page of a protected folder: name a file that the routes make public. It comes with
#     status 200 for who is let in, whatever the error was; of a page that is refused Apache's own text is shown.
#   - `Dav On`: a folder is copied and moved with all that is in it, by the rule for the folder; and who may write .htaccess
#     may open the folder. Neither where a rule below is stricter, nor with AllowOverride.
#   - SSI has to include other folders' files by `virtual=`: by `file=` Apache tells no path, and they are refused.
#   - a page that a script makes for one visitor and calls cacheable is given by mod_cache to all who may see it:
#     `CacheDisable` its path.
#   - routes with `hosts` are for who names one of these. Who names none (HTTP/1.0) gets the pages of the first virtual
#     host by the routes after them: let it be one that serves nothing.
)conf";

bool has_public_route(const config::Config& config) {
  return std::ranges::any_of(config.routes, [](const auto& route) { return route.access == policy::Access::public_; });
}

// How our lines are the last word.
constexpr std::string_view kDeep =
    R"conf(    # An <If> is merged after all else, one within another after that, and the last one last: without these, one of the
    # site's would take our place.
    <If "true">
    <If "true">
    <If "true">
)conf";
constexpr std::string_view kEnd = "    </If>\n    </If>\n    </If>\n";

std::string traps(const config::Config& config) {
  return fmt::format(kTraps, fmt::arg("prefix", config.endpoints.prefix));
}

// ── mod_authnz_fcgi ──────────────────────────────────────────────────────────────────────────────────────────────────

constexpr std::string_view kProviderPart =
    R"conf(# Made by `gatehouse snippet apache --part provider` from {file}; make it again when that file's `listen` changes.
# Include it once, outside of every <VirtualHost>: Apache takes this line nowhere else.
AuthnzFcgiDefineProvider authnz Gatehouse {address}
)conf";

constexpr std::string_view kAuthorizerPart =
    R"conf(# Made by `gatehouse snippet apache --part authorizer` from {file}; make it again when that file's `listen`,
# `identity`, `endpoints` or `login` change, or when a first route becomes public. Include it as the last line of a
# <VirtualHost>, and what `--part provider` prints outside of it:
#     a2enmod authnz_fcgi headers setenvif proxy_fcgi allowmethods
# From then on Apache asks over FastCGI about every page of that virtual host before it serves it, and the routes decide.
# Scripts, whoever runs them, find the user in REMOTE_USER and the configured headers.
{traps}
# Where the sections of two pages are the same, Apache would not ask about the one that it comes to from the other (a
# rewritten path, an index page, SSI, an error's page). Where mod_allowmethods is loaded it does.
<IfModule !mod_allowmethods.c>
    Error "a2enmod allowmethods: without it Gatehouse is not asked about every page"
</IfModule>

{asked}
# Every page, and what has no path (a file of SSI's).
<LocationMatch "^">
    # Each takes the place of what the visitor sent, also where it is empty.
{set}{deep}        # What other sections forbid (.htaccess, <Files>) stays forbidden. `Satisfy Any` would let one of the two do.
        AuthMerging And
        <IfModule mod_access_compat.c>
            Satisfy All
        </IfModule>
        # Nobody is asked for a Basic name and password.
        AuthType None
        AuthnzFcgiCheckAuthnProvider Gatehouse Authoritative On RequireBasicAuth Off UserExpr "%{{reqenv:REMOTE_USER}}"
{require}{end}</LocationMatch>

# Login, logout and what else Gatehouse shows by itself.
<Location "{prefix}/">
    ProxyPass "{endpoints}{prefix}/" connectiontimeout=2 timeout=60 retry=0
{deep}        AuthMerging Off
        AuthnzFcgiCheckAuthnProvider None
        # Not a page, or another server, that a RewriteRule leads to from here.
        Require expr "%{{HANDLER}} == 'proxy-server' && %{{REQUEST_FILENAME}} =~ m#^proxy:(unix:[^|]*\|)?{endpoints_pattern}/#"
{end}</Location>
{question})conf";

constexpr std::string_view kRequire = "        Require Gatehouse\n";

constexpr std::string_view kRequireOrNobody =
    R"conf(        # mod_authnz_fcgi lets in nobody without a name. So on every page Apache first asks itself, by the subrequest
        # of -U, whether it is public and the visitor has none. The site's rules may rewrite a subrequest, too: a yes to
        # the second question, to which there is none, shows that it is not the question that was answered.
        <RequireAll>
            # What a rule makes of a question answers none.
            Require expr "-z reqenv('MATCH_GATEHOUSE_QUESTION')"
            <RequireAny>
                Require expr "-U '{prefix}/-?1' && ! -U '{prefix}/-?0'"
                Require Gatehouse
            </RequireAny>
        </RequireAll>
)conf";

constexpr std::string_view kQuestion =
    R"conf(
# The subrequest. Gatehouse, which sees that it is one, renews no session for it and redirects nobody.
<LocationMatch "^(?<GATEHOUSE_QUESTION>{pattern}/-)$">
    # A "no" is none for the log.
    LogLevel core:crit authz_core:crit
{deep}        # -U takes every status below 400 for a yes. Authoritative Off makes an error, 500, of whatever is not 200: then
        # nobody has said who it is.
        AuthnzFcgiCheckAuthnProvider Gatehouse Authoritative Off RequireBasicAuth Off UserExpr nobody
        <RequireAll>
            Require expr "%{{IS_SUBREQ}} == 'true' && %{{QUERY_STRING}} == '1'"
            Require expr "-z reqenv('REMOTE_USER')"
            Require Gatehouse
        </RequireAll>
{end}</LocationMatch>
)conf";

std::string with_prefix(std::string_view text, const std::string& prefix) {
  return fmt::format(fmt::runtime(text), fmt::arg("prefix", prefix), fmt::arg("pattern", as_pattern(prefix)),
                     fmt::arg("deep", kDeep), fmt::arg("end", kEnd));
}

std::string file_of(const config::Config& config) {
  return std::filesystem::absolute(config.file).lexically_normal().string();
}

// ── mod_fcgid ────────────────────────────────────────────────────────────────────────────────────────────────────────

constexpr std::string_view kAccessCheckerPart =
    R"conf(# Made by `gatehouse snippet apache --part access-checker` from {file}; make it again when that file's
# `identity`, `endpoints` or `login` change. Include it as the last line of a <VirtualHost>:
#     a2enmod fcgid headers setenvif
# From then on Apache asks processes of Gatehouse, which it starts and ends by itself, about every page of that virtual
# host before it serves it, and the routes decide. They run as Apache's user, to whom the configuration and the database
# have to be open. Scripts, whoever runs them, find the user in REMOTE_USER and the configured headers.
{traps}#   - %u of the access log is empty; the name is in %{{REMOTE_USER}}e.
#   - on redirects and error pages that Apache makes by itself (the slash of a folder, 404) it leaves `Variable-...` lines
#     that tell the visitor who he is.

{asked}
# What mod_fcgid has answered with is still there after an internal redirect, and would be doubled.
{early}
# Without IOTimeout a visitor would wait 40 seconds for a process that hangs, whatever FcgidIOTimeout is.
FcgidCmdOptions "{program}" InitialEnv "GATEHOUSE_CONFIG={file}" IOTimeout 10
# The longest upload that the login stands in for; mod_fcgid's default is 128 KiB.
FcgidMaxRequestLen 104857600

# The pages.
<LocationMatch "^(?!{endpoints}$)">
{deep}        <IfModule mod_access_compat.c>
            # With `Satisfy Any` a mere `Require all granted` would do.
            Satisfy All
        </IfModule>
        FcgidAccessChecker "{program}"
        FcgidAccessCheckerAuthoritative On
{end}{on_401}    # Each takes the place of what the visitor sent, also where it is empty.
{set}    # What mod_fcgid leaves in the answer to the visitor.
{variables}</LocationMatch>

# Login, logout and what else Gatehouse shows by itself. A whole path each, which ends in the program: what follows it
# would be a path that Apache looks up, and asks about.
AliasMatch "^{endpoints}$" "{program}"
<LocationMatch "^{endpoints}$">
    AuthMerging Off
    Require all granted
    Options +ExecCGI
    SetHandler fcgid-script
    FcgidWrapper "{program}" virtual
</LocationMatch>
)conf";

std::string endpoints_pattern(const config::Config& config) {
  return fmt::format("{}/({}logout|session)", as_pattern(config.endpoints.prefix),
                     config.login.enabled ? "login|" : "");
}

std::string on_401(const config::Config& config) {
  if (!config.login.enabled) return {};
  return fmt::format(
      "    # Who has no session sees the login form in the place of the page.\n    ErrorDocument 401 {}/login\n",
      config.endpoints.prefix);
}

constexpr std::string_view kFcgidPart =
    R"conf(# Made by `gatehouse snippet apache --part fcgid` from {file}. Include it in a <VirtualHost>:
#     a2enmod fcgid alias env
# Every request of that virtual host goes to processes of Gatehouse, which Apache starts and ends by itself; Gatehouse
# runs the scripts. They run as Apache's user, to whom the configuration and the database have to be open. For a part of
# the site: Alias "/app" "{program}", without the slash at the end, and <Location "/app">.
TraceEnable Off
FcgidCmdOptions "{program}" InitialEnv "GATEHOUSE_CONFIG={file}" IOTimeout 75
# The longest upload; mod_fcgid's default is 128 KiB.
FcgidMaxRequestLen 104857600

# mod_cache would hand out pages without asking Gatehouse.
<IfModule mod_cache.c>
    CacheDisable "/"
</IfModule>

Alias "/" "{program}/"
<Location "/">
    # Gatehouse decides who gets in. Nothing here may ask for a name and a password of its own.
    AuthMerging Off
    Require all granted
    Options +ExecCGI
    SetHandler fcgid-script
    FcgidWrapper "{program}" virtual
    # The path is what follows the program's.
    SetEnv GATEHOUSE_MOUNT 1
</Location>
)conf";

// ── mod_proxy_fcgi ───────────────────────────────────────────────────────────────────────────────────────────────────

constexpr std::string_view kGatewayPart =
    R"conf(# Made by `gatehouse snippet apache --part gateway` from {file}; make it again when that file's `listen` changes.
# Include it in a <VirtualHost>:
#     a2enmod proxy_fcgi setenvif
# Every request of that virtual host goes to Gatehouse, which runs the scripts.
TraceEnable Off

# mod_cache would hand out pages without asking Gatehouse.
<IfModule mod_cache.c>
    CacheDisable "/"
</IfModule>

<Location "/">
    # Gatehouse decides who gets in. Nothing here may ask for a name and a password of its own.
    AuthMerging Off
    Require all granted
    # The path that Apache decoded, and rewrote where it was told to.
    SetEnvIfExpr "%{{REQUEST_URI}} =~ m#^((?s).*)$#" GATEHOUSE_PATH=$1
    # `timeout` is longer than the longest of a downstream (30s; 60s of FastCGI), so that a visitor gets Gatehouse's 504 with its request id.
    # Kept connections are used again for less time than Gatehouse keeps idle ones.
    ProxyPass "{address}/" enablereuse=on ttl=20 connectiontimeout=2 timeout=75 retry=0
</Location>
)conf";

}  // namespace

std::expected<std::string, std::string> apache_provider_part(const config::Config& config) {
  const Text address = provider_address(config);
  if (!address) return address;
  return fmt::format(kProviderPart, fmt::arg("file", file_of(config)), fmt::arg("address", *address));
}

std::expected<std::string, std::string> apache_authorizer_part(const config::Config& config) {
  if (const Text provider = provider_address(config); !provider) return provider;
  const Text endpoints = address_to_proxy_to(config);
  if (!endpoints) return endpoints;
  const std::string& prefix = config.endpoints.prefix;
  const bool asks_about_nobody = has_public_route(config);
  const std::string not_the_question = asks_about_nobody ? fmt::format("(?!{}/-$)", as_pattern(prefix)) : "";
  return fmt::format(kAuthorizerPart, fmt::arg("file", file_of(config)), fmt::arg("traps", traps(config)),
                     fmt::arg("asked", asked(config, not_the_question)), fmt::arg("prefix", prefix),
                     fmt::arg("require", with_prefix(asks_about_nobody ? kRequireOrNobody : kRequire, prefix)),
                     fmt::arg("set", set_headers(config)), fmt::arg("endpoints", *endpoints),
                     fmt::arg("endpoints_pattern", as_pattern(endpoints->substr(endpoints->find("fcgi://")) + prefix)),
                     fmt::arg("deep", kDeep), fmt::arg("end", kEnd),
                     fmt::arg("question", asks_about_nobody ? with_prefix(kQuestion, prefix) : ""));
}

std::string apache_access_checker_part(const config::Config& config, const std::string& program) {
  return fmt::format(kAccessCheckerPart, fmt::arg("file", file_of(config)), fmt::arg("traps", traps(config)),
                     fmt::arg("asked", asked(config, "")), fmt::arg("program", program),
                     fmt::arg("endpoints", endpoints_pattern(config)), fmt::arg("on_401", on_401(config)),
                     fmt::arg("set", set_headers(config)), fmt::arg("deep", kDeep), fmt::arg("end", kEnd),
                     fmt::arg("early", for_each_variable(config, "Header always unset Variable-{} early\n")),
                     fmt::arg("variables", for_each_variable(config, "    Header always unset Variable-{}\n")));
}

std::expected<std::string, std::string> apache_gateway_part(const config::Config& config) {
  const Text address = address_to_proxy_to(config);
  if (!address) return address;
  return fmt::format(kGatewayPart, fmt::arg("file", file_of(config)), fmt::arg("address", *address));
}

std::string apache_fcgid_part(const config::Config& config, const std::string& program) {
  return fmt::format(kFcgidPart, fmt::arg("file", file_of(config)), fmt::arg("program", program));
}

std::string_view apache_default_part(const config::Config& config) {
  return std::ranges::any_of(config.listen, is_loopback) ? "authorizer" : "gateway";
}

}  // namespace gatehouse::app::cli
