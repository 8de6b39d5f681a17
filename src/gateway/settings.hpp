// What one configuration means to the gateway: plain values and the parts made of them. Built by app/ at start and at
// every SIGHUP, taken once per request, never changed.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "auth/auth.hpp"
#include "gateway/downstream.hpp"
#include "gateway/pages.hpp"
#include "http/networks.hpp"
#include "http/origin.hpp"
#include "policy/route.hpp"

namespace gatehouse::gateway {

/// How a user becomes headers.
struct IdentitySettings {
  std::vector<std::pair<std::string, std::string>> headers;  ///< header name → attribute ("Remote-User" → "username")
  bool percent_encode = false;
  bool hide_session_cookie = true;
};

struct LoginSettings {
  bool enabled = true;
  std::string url;  ///< an external login page; empty: ours
  std::vector<std::string> allowed_return_hosts;
  bool throttle = true;
};

struct Settings {
  std::vector<policy::Route> routes;
  std::map<std::string, std::shared_ptr<Downstream>> downstreams;
  IdentitySettings identity;
  std::string endpoint_prefix = "/auth";
  std::optional<http::Origin> endpoint_origin;  ///< of endpoints.url
  LoginSettings login;
  std::string logout_redirect = "/";
  http::Networks trusted_proxies;  ///< peers over TCP whose forwarded headers count
  std::shared_ptr<auth::Auth> auth;
  std::shared_ptr<const Pages> pages;
};

}  // namespace gatehouse::gateway
