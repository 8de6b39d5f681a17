// Everything that belongs to one request while it is served, and the parts of the process it may use.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "auth/auth_request.hpp"
#include "gateway/context.hpp"
#include "gateway/last_uses.hpp"
#include "gateway/reply.hpp"
#include "gateway/settings.hpp"
#include "gateway/throttle.hpp"
#include "http/request.hpp"
#include "net/worker_pool.hpp"
#include "ops/log.hpp"
#include "ops/sparse.hpp"

namespace gatehouse::gateway {

/// Lives as long as the process; owned by app/.
struct World {
  ops::Log& log;
  net::WorkerPool& read_pool;   ///< for calls that read the store
  net::WorkerPool& write_pool;  ///< for calls that write it: who waits for a lock must not hold up who only reads
  net::WorkerPool& hash_pool;   ///< for calls that hash passwords; small, so that logins cannot take the machine
  Throttle& throttle;
  LastUses& last_uses;
  auth::Random& random;
  ops::Sparse& store_failures;
};

/// One request. Confined to its reactor, but for AuthRequest, which locks for itself.
struct Scope {
  /// `is_endpoint`: the origin of endpoints.url counts as our own, for our endpoints only.
  Scope(std::shared_ptr<const Settings> taken, http::Request parsed, bool is_endpoint)
      : settings(std::move(taken)),
        request(std::move(parsed)),
        context(request),
        auth(*settings->auth, context, also_own(*settings, is_endpoint)) {}

  const std::shared_ptr<const Settings> settings;
  const http::Request request;
  RequestContext context;
  auth::AuthRequest auth;

  [[nodiscard]] bool is_head() const { return request.method == "HEAD"; }
  /// A path of ours as the visitor reaches it.
  [[nodiscard]] std::string endpoint(std::string_view name) const {
    return request.mount + settings->endpoint_prefix + "/" + std::string(name);
  }
  /// A local path, as the visitor reaches it. What a script made of its SCRIPT_NAME or REQUEST_URI has our mount in
  /// front already.
  [[nodiscard]] std::string as_reached(std::string path) const {
    const std::string& mount = request.mount;
    const bool begins_with_it = path.starts_with(mount) && std::string_view("/?#").contains((path + "/")[mount.size()]);
    return mount.empty() || begins_with_it ? std::move(path) : mount + path;
  }

 private:
  static std::vector<http::Origin> also_own(const Settings& settings, bool is_endpoint) {
    if (is_endpoint && settings.endpoint_origin) return {*settings.endpoint_origin};
    return {};
  }
};

/// Sends an answer of ours with the session cookie that this request owes, and `cookies` besides.
[[nodiscard]] net::Task<> reply(Scope& scope, net::Exchange& exchange, http::Response response,
                                std::vector<std::string> cookies = {});
/// Sends the page or JSON of a status.
[[nodiscard]] net::Task<> reply_error(Scope& scope, net::Exchange& exchange, int status);
/// Logs a 503 of the store's: the first in a minute as a warning, the others at debug.
void log_store_failure(World& world, const http::Request& request, const std::string& detail);

/// 503 where the store, or a queue before it, could not be asked: logged, and nobody's cookie is touched.
[[nodiscard]] net::Task<> reply_store_failure(World& world, Scope& scope, net::Exchange& exchange,
                                              const auth::Error& error);

/// Writes the line of a refusal or of an answer that went wrong: request id, method, path, address and `fields`.
void log_request(ops::Log& log, ops::LogLevel level, std::string_view event, const http::Request& request, int status,
                 std::string_view reason, std::string_view user = {}, std::string_view downstream = {});

/// Runs `call` on the pool, or at once where `asks_store` is false. Fails: capacity.
template <typename Call>
[[nodiscard]] net::Task<auth::Result<std::invoke_result_t<Call&>>> run_on(net::WorkerPool& pool, bool asks_store,
                                                                          Call call) {
  using Value = std::invoke_result_t<Call&>;
  if (!asks_store) co_return auth::Result<Value>(call());
  auto done = co_await pool.run(std::move(call));
  if (!done) co_return auth::fail(auth::ErrorCode::capacity, "the store's queue is full");
  co_return auth::Result<Value>(std::move(*done));
}

/// Asks who this is without renewing anything: for endpoints. Fails as the store does.
[[nodiscard]] net::Task<auth::Result<std::optional<auth::SessionUser>>> identify(World& world, Scope& scope);

}  // namespace gatehouse::gateway
