// A gateway without sockets: an exchange that keeps what is written, a downstream that answers what it was asked.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <memory>
#include <string>
#include <vector>

#include "contract/failing_store.hpp"
#include "gateway/gateway.hpp"
#include "unit/auth/fakes.hpp"

namespace gatehouse::gateway::testing {

class FakeExchange final : public net::Exchange {
 public:
  std::string body;  ///< of the request
  http::ResponseHead head;
  std::string written;
  bool has_head = false;
  bool is_broken_off = false;

  net::Task<net::IoResult<std::size_t>> read_body(std::span<char> into, net::Deadline) override {
    const std::size_t size = std::min(into.size(), body.size() - at_);
    std::copy_n(body.begin() + static_cast<std::ptrdiff_t>(at_), size, into.begin());
    at_ += size;
    co_return size;
  }
  net::Task<net::IoResult<void>> write_head(const http::ResponseHead& given, net::Deadline) override {
    head = given;
    has_head = true;
    co_return net::IoResult<void>();
  }
  net::Task<net::IoResult<void>> write_body(std::string_view bytes, net::Deadline) override {
    written += bytes;
    co_return net::IoResult<void>();
  }
  void on_abort(std::function<void()>) override {}
  [[nodiscard]] bool head_written() const override { return has_head; }
  void break_off() override { is_broken_off = true; }

  [[nodiscard]] std::vector<std::string> all(std::string_view name) const {
    std::vector<std::string> values;
    for (const http::Header& header : head.headers.fields()) {
      if (http::equals_ignoring_case(header.name, name)) values.push_back(header.value);
    }
    return values;
  }
  [[nodiscard]] std::string first(std::string_view name) const {
    return std::string(head.headers.get(name).value_or(""));
  }

 private:
  std::size_t at_ = 0;
};

/// Answers 200 "ran" and keeps what it was given; or what it is told to.
class FakeDownstream final : public Downstream {
 public:
  std::vector<http::Request> requests;
  std::vector<cgi::Identity> identities;
  std::string script;  ///< if not empty: what runs, whatever comes behind it in a path
  std::string index;   ///< if not empty: what a path that ends in a slash runs below it
  bool may_steer = false;
  std::vector<cgi::RunOutcome> outcomes;  ///< taken from the front; none left: deliver
  http::Headers headers{{"Content-Type", "text/plain"}};

  [[nodiscard]] bool may_steer_web_server() const override { return may_steer; }
  [[nodiscard]] std::optional<http::Path> script_path(const http::Path& path) const override {
    if (!index.empty() && path.text().ends_with('/')) return *http::Path::parse(path.text() + index);
    if (script.empty() || !path.text().starts_with(script + "/")) return std::nullopt;
    return *http::Path::parse(script);
  }
  net::Task<cgi::RunOutcome> serve(const DownstreamRequest& request, net::Exchange& exchange,
                                   cgi::HeadHook on_head) override {
    requests.push_back(request.request);
    identities.push_back(request.identity);
    if (!outcomes.empty()) {
      cgi::RunOutcome next = outcomes.front();
      outcomes.erase(outcomes.begin());
      co_return next;
    }
    http::ResponseHead head{200, "", headers};
    on_head(head);
    std::ignore = co_await exchange.write_head(head, net::Deadline::max());
    std::ignore = co_await exchange.write_body("ran", net::Deadline::max());
    co_return cgi::Delivered{200, 0};
  }
};

inline policy::Route route(std::string_view path, policy::Access access,
                           std::map<std::string, std::vector<std::string>> require = {}) {
  return {*policy::PathPattern::parse(path),          {}, {}, access, std::move(require),
          access == policy::Access::deny ? "" : "app"};
}

/// The hash of "correct horse battery", made once: it is slow, as it must be.
inline const std::string& hash_of_alice() {
  static const std::string hash = [] {
    auth::testing::FakeRandom random;
    return *auth::hash_password("correct horse battery", auth::HashScheme::argon2id, random);
  }();
  return hash;
}

/// Alice, three kinds of routes, one downstream.
struct Site {
  explicit Site(auth::AuthOptions options = auth::testing::World::options())
      : auth(std::make_shared<auth::Auth>(std::move(options), failing, clock, random, events)) {
    auth::User alice;
    alice.id = "u1";
    alice.username = "alice";
    alice.email = "alice@example.org";
    alice.roles = {"staff"};
    std::ignore = store.inner.create_user({alice, auth::Key{"username:alice", "u1", hash_of_alice()}});
    settings = std::make_shared<Settings>();
    settings->routes = {route("/public/**", policy::Access::public_), route("/closed/**", policy::Access::deny),
                        route("/admin/**", policy::Access::authenticated, {{"roles", {"admin"}}}),
                        route("/app/**", policy::Access::authenticated)};
    settings->downstreams["app"] = app;
    settings->identity.headers = {{"Remote-User", "username"}, {"Remote-Groups", "roles"}};
    settings->auth = auth;
    settings->pages = *Pages::load("");
  }

  http::Request request(std::string method, std::string_view path) {
    http::Request request;
    request.id = "0123456789abcdef";
    request.method = std::move(method);
    request.path = *http::Path::parse(path);
    request.endpoint_path = request.path.text();
    request.scheme = "https";
    request.host = "app.example.org";
    request.server_port = 443;
    request.remote_addr = "192.0.2.7";
    if (!cookie.empty()) request.headers.set("cookie", cookie);
    return request;
  }
  http::Request navigation(std::string_view path) {
    http::Request asked = request("GET", path);
    asked.headers.set("accept", "text/html,application/xhtml+xml");
    asked.headers.set("sec-fetch-mode", "navigate");
    return asked;
  }
  http::Request post(std::string_view path, std::string body) {
    http::Request asked = request("POST", path);
    asked.headers.set("origin", "https://app.example.org");
    asked.content_type = "application/x-www-form-urlencoded";
    asked.content_length = body.size();
    next_body = std::move(body);
    return asked;
  }

  FakeExchange serve(http::Request request) {
    return run([&](Gateway& gateway, FakeExchange& exchange) { return gateway.serve(std::move(request), exchange); });
  }
  FakeExchange ask_over_http(http::Request request) {
    return run([&](Gateway& gateway, FakeExchange& exchange) {
      return gateway.serve_endpoints(std::move(request), exchange);
    });
  }
  FakeExchange authorize(http::Request request, Asker asker = Asker::server) {
    return run([&](Gateway& gateway, FakeExchange& exchange) {
      return gateway.serve_authorizer(std::move(request), asker, exchange);
    });
  }
  template <typename Work>
  FakeExchange run(Work work) {
    FakeExchange exchange;
    exchange.body = std::exchange(next_body, "");
    net::asio::io_context reactor;  // before the pools, whose threads still know it when they end
    net::WorkerPool read_pool(1, 16);
    net::WorkerPool write_pool(1, max_pending_writes);
    net::WorkerPool hash_pool(1, 16);
    Gateway gateway({log, read_pool, write_pool, hash_pool, throttle, last_uses, random, store_failures}, settings);
    net::asio::co_spawn(reactor, work(gateway, exchange), net::asio::detached);
    reactor.run();
    return exchange;
  }

  auth::Session sign_in() {
    auth::Session session = *auth->create_session("u1", {});
    cookie = "__Host-session=" + session.token.reveal();
    return session;
  }

  auth::testing::WatchedStore store;
  contract::FailingStore failing{store};  ///< between Auth and `store`; fails nothing unless told to
  auth::testing::FakeClock clock;
  auth::testing::FakeRandom random;
  auth::testing::KeptEvents events;
  ops::Log log{ops::LogLevel::error, ops::LogFormat::text};
  Throttle throttle;
  LastUses last_uses;
  ops::Sparse store_failures;
  std::shared_ptr<auth::Auth> auth;
  std::shared_ptr<FakeDownstream> app = std::make_shared<FakeDownstream>();
  std::shared_ptr<Settings> settings;
  std::string cookie;
  std::string next_body;
  std::size_t max_pending_writes = 16;
};

}  // namespace gatehouse::gateway::testing
