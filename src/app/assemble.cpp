#include "app/assemble.hpp"

#include <utility>

#include "gateway/cgi_downstream.hpp"
#include "gateway/fastcgi_downstream.hpp"
#include "store/open.hpp"

namespace gatehouse::app {

namespace {

constexpr const char* kSystemAuthorities = "/etc/ssl/certs/ca-certificates.crt";

// Fails with a sentence.
using Made = std::expected<std::shared_ptr<gateway::Downstream>, std::string>;

Made make_downstream(const config::CgiDownstream& cgi, ops::Log& log) {
  gateway::CgiSettings settings{cgi.root, cgi.program, cgi.timeout, cgi.max_processes, cgi.max_body, cgi.env};
  return std::make_shared<gateway::CgiDownstream>(std::move(settings), log);
}

Made make_downstream(const config::FastCgiDownstream& fastcgi, ops::Log& log) {
  auto address = net::ConnectAddress::parse(fastcgi.address);
  if (!address) return std::unexpected("is no address");
  // As nginx does with the names of its fastcgi_pass: at the start, and at each reload.
  if (auto found = address->look_up(); !found) return std::unexpected(found.error());
  gateway::FastCgiSettings settings;
  settings.address = std::move(*address);
  settings.root = fastcgi.root;
  settings.program = fastcgi.program;
  settings.rules = {.is_program = false, .index = fastcgi.index, .extensions = fastcgi.extensions};
  settings.timeout = fastcgi.timeout;
  settings.max_connections = fastcgi.max_connections;
  settings.keep_connections = fastcgi.keep_connections;
  settings.max_body = fastcgi.max_body;
  settings.answer_buffer = fastcgi.answer_buffer;
  settings.allow_x_accel = fastcgi.allow_x_accel;
  settings.env = fastcgi.env;
  return std::make_shared<gateway::FastCgiDownstream>(std::move(settings), log);
}

std::vector<http::Origin> origins(const std::vector<std::string>& texts) {
  std::vector<http::Origin> out;
  for (const std::string& text : texts) {
    if (auto origin = http::Origin::parse(text)) out.push_back(std::move(*origin));
  }
  return out;
}

store::TableSchema table_schema(config::Schema schema) {
  switch (schema) {
    case config::Schema::native: return store::TableSchema::native;
    case config::Schema::lucia_v1: return store::TableSchema::lucia_v1;
    case config::Schema::lucia_v2: return store::TableSchema::lucia_v2;
  }
  std::unreachable();
}

store::MySqlOptions mysql_options(const config::Store& store, const store::TableNames& tables,
                                  std::function<void(const store::HostNews&)> report) {
  store::MySqlOptions options;
  options.hosts = store.mysql.hosts;
  options.schema = table_schema(store.schema);
  options.tables = tables;
  options.database = store.mysql.database;
  options.user = store.mysql.user;
  options.password = store.mysql.password;
  if (store.mysql.tls == config::TlsMode::verify) {
    options.tls_ca_file = store.mysql.tls_ca_file.empty() ? kSystemAuthorities : store.mysql.tls_ca_file;
  }
  options.max_connections = store.mysql.pool_max;
  options.acquire_timeout = store.mysql.acquire_timeout;
  options.timeout = store.mysql.timeout;
  options.report = std::move(report);
  return options;
}

}  // namespace

std::unique_ptr<auth::Store> make_store(const config::Store& store,
                                        std::function<void(const store::HostNews&)> report) {
  const store::TableNames tables{store.user_table, store.key_table, store.session_table};
  if (store.driver == config::Driver::mysql) {
    return store::open_store(mysql_options(store, tables, std::move(report)));
  }
  store::SqliteOptions options;
  options.path = store.sqlite_path;
  options.tables = tables;
  options.schema = table_schema(store.schema);
  return store::open_store(std::move(options));
}

auth::AuthOptions auth_options(const config::Config& config) {
  auth::AuthOptions options;
  options.periods = config.session.periods;
  options.renewal = config.session.renewal;
  options.token_storage = config.session.token_storage;
  options.token_alphabet = config.session.token_alphabet;
  options.cookie = config.session.cookie;
  options.persistent_cookie = config.login.remember;
  options.max_per_user = config.session.max_per_user;
  options.allowed_origins = origins(config.csrf_allowed_origins);
  options.new_hashes = config.session.hash_scheme;
  options.rehash_on_login = config.session.rehash_on_login;
  return options;
}

std::expected<std::shared_ptr<const gateway::Settings>, std::string> make_settings(const config::Config& config,
                                                                                   const Foundation& foundation) {
  auto pages = gateway::Pages::load(config.login.templates);
  if (!pages) return std::unexpected(pages.error());
  auto settings = std::make_shared<gateway::Settings>();
  settings->routes = config.routes;
  for (const auto& [name, downstream] : config.downstreams) {
    auto made =
        std::visit([&foundation](const auto& kind) { return make_downstream(kind, foundation.log); }, downstream);
    if (!made) return std::unexpected("downstreams." + name + ": " + made.error());
    settings->downstreams[name] = std::move(*made);
  }
  settings->identity = {config.identity.headers, config.identity.encoding == config::Encoding::percent,
                        config.identity.hide_session_cookie};
  settings->endpoint_prefix = config.endpoints.prefix;
  if (!config.endpoints.url.empty()) settings->endpoint_origin = http::Origin::parse(config.endpoints.url);
  settings->login = {config.login.enabled, config.login.url, config.login.allowed_return_hosts, config.login.throttle};
  settings->logout_redirect = config.logout_redirect;
  settings->trusted_proxies = http::Networks(config.trusted_proxies);
  settings->auth = std::make_shared<auth::Auth>(auth_options(config), foundation.store, foundation.clock,
                                                foundation.random, foundation.events);
  settings->pages = std::move(*pages);
  return settings;
}

ops::LogLevel log_level(config::LogLevel level) {
  switch (level) {
    case config::LogLevel::debug: return ops::LogLevel::debug;
    case config::LogLevel::info: return ops::LogLevel::info;
    case config::LogLevel::warn: return ops::LogLevel::warn;
    case config::LogLevel::error: return ops::LogLevel::error;
  }
  std::unreachable();
}

ops::LogFormat log_format(config::LogFormat format) {
  return format == config::LogFormat::json ? ops::LogFormat::json : ops::LogFormat::text;
}

}  // namespace gatehouse::app
