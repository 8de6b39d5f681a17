// Answers of our own: built whole, sent with the headers every one of them carries.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gateway/pages.hpp"
#include "http/request.hpp"
#include "http/response.hpp"
#include "net/exchange.hpp"

namespace gatehouse::gateway {

/// What an error page or its JSON twin is made for.
struct ErrorAudience {
  const Pages& pages;
  std::string_view request_id;
  bool wants_html = false;
};

/// Makes the answer for a status of PRODUCT.md section 6: a page or {"error":…,"message":…,"request_id":…}. 503 and 429
/// carry Retry-After. Says nothing of causes: those are in the log under the same request id.
[[nodiscard]] http::Response error_reply(int status, const ErrorAudience& audience);
[[nodiscard]] http::Response error_reply(int status, const Pages& pages, const http::Request& request);

/// 302 after GET and HEAD, 303 otherwise. `location` must be safe already.
[[nodiscard]] http::Response redirect_reply(const http::Request& request, const std::string& location);

/// Makes an HTML answer; the style nonce goes into the Content-Security-Policy. `form_hosts`: where a form of it may
/// lead to.
[[nodiscard]] http::Response html_reply(int status, std::string body, std::string_view nonce,
                                        const std::vector<std::string>& form_hosts = {});
[[nodiscard]] http::Response json_reply(int status, std::string body);

/// Adds what every answer of ours carries (no-store, nosniff, referrer policy, request id, length) and the cookies, and
/// sends it; the body is left out for HEAD. A visitor who is gone is nobody's error.
[[nodiscard]] net::Task<> send(net::Exchange& exchange, http::Response response, std::string_view request_id,
                               bool is_head, std::vector<std::string> cookies);

}  // namespace gatehouse::gateway
