// The gateway door: one way through. Endpoint or route; who is it; decide; renew or settle; then a page of ours or the
// downstream. Read this after policy/decide and auth/auth_request.
#pragma once

#include <memory>
#include <mutex>

#include "gateway/authorizer.hpp"
#include "gateway/scope.hpp"
#include "http/malformed.hpp"
#include "http/request.hpp"
#include "net/exchange.hpp"

namespace gatehouse::gateway {

/// Thread-safe: every reactor serves through the same one.
class Gateway {
 public:
  Gateway(World world, std::shared_ptr<const Settings> settings);

  /// Swaps the settings; requests under way keep those they began with.
  void replace(std::shared_ptr<const Settings> settings);
  [[nodiscard]] std::shared_ptr<const Settings> settings() const;

  /// Answers one request. Returns without a head written only if the visitor has gone.
  [[nodiscard]] net::Task<> serve(http::Request request, net::Exchange& exchange);
  /// Answers a request of a web server that runs its scripts itself and asks by HTTP: endpoints, `forward` among them,
  /// and nothing else.
  [[nodiscard]] net::Task<> serve_endpoints(http::Request request, net::Exchange& exchange);
  /// Answers an authorizer request: may the web server serve the page?
  [[nodiscard]] net::Task<> serve_authorizer(http::Request request, Asker asker, net::Exchange& exchange);
  /// Answers a request that could not be read: 400 or 403, logged.
  [[nodiscard]] net::Task<> serve_malformed(http::Malformed malformed, net::Exchange& exchange);
  /// Refuses a request that a bug has left without an answer, explicitly: an empty one would let the visitor in on some
  /// servers.
  [[nodiscard]] net::Task<> refuse(std::string request_id, int status, std::string reason, net::Exchange& exchange);

 private:
  World world_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Settings> settings_;  // guarded by mutex_
};

}  // namespace gatehouse::gateway
