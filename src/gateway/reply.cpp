#include "gateway/reply.hpp"

#include <chrono>
#include <nlohmann/json.hpp>

#include "http/negotiation.hpp"

namespace gatehouse::gateway {

namespace {

using namespace std::chrono_literals;

constexpr auto kSendTime = 30s;

struct ErrorText {
  std::string_view word;  // the "error" member of the JSON body
  std::string_view title;
  std::string_view message;
};

ErrorText text_of(int status) {
  switch (status) {
    case 400: return {"bad_request", "Bad request", "The request cannot be understood without guessing."};
    case 401: return {"unauthorized", "Sign in first", "This page is for people who are signed in."};
    case 403: return {"forbidden", "Not allowed", "You may not see this page."};
    case 404: return {"not_found", "Not found", "There is nothing at this address."};
    case 405: return {"method_not_allowed", "Method not allowed", "This address does not answer to that method."};
    case 413: return {"too_large", "Too large", "The request is larger than is allowed here."};
    case 429: return {"throttled", "Too many tries", "Too many tries in a short time. Wait a little, then try again."};
    case 431: return {"headers_too_large", "Headers too large", "The request's headers are larger than is allowed."};
    case 501: return {"not_supported", "Not supported", "This kind of script is not supported."};
    case 502:
      return {"bad_gateway", "The application failed", "The application behind this page gave no valid answer."};
    case 503: return {"unavailable", "Not available now", "The service cannot answer now. Try again in a moment."};
    case 504:
      return {"timeout", "The application is too slow", "The application behind this page did not answer in time."};
    default: return {"internal_error", "Something went wrong", "An error of ours. It has been logged."};
  }
}

std::string content_security_policy(std::string_view nonce, const std::vector<std::string>& form_hosts) {
  std::string policy = "default-src 'none'; style-src 'nonce-" + std::string(nonce) +
                       "'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";
  // form-action also binds the redirect that follows the form.
  for (const std::string& host : form_hosts) policy.append(" https://").append(host).append(" http://").append(host);
  return policy;
}

}  // namespace

http::Response json_reply(int status, std::string body) {
  http::Response response;
  response.head.status = status;
  response.head.headers.add("Content-Type", "application/json");
  response.body = std::move(body);
  return response;
}

http::Response html_reply(int status, std::string body, std::string_view nonce,
                          const std::vector<std::string>& form_hosts) {
  http::Response response;
  response.head.status = status;
  response.head.headers.add("Content-Type", "text/html; charset=utf-8");
  response.head.headers.add("Content-Security-Policy", content_security_policy(nonce, form_hosts));
  response.head.headers.add("X-Frame-Options", "DENY");
  response.head.headers.add("Cross-Origin-Opener-Policy", "same-origin");
  response.body = std::move(body);
  return response;
}

http::Response error_reply(int status, const ErrorAudience& audience) {
  const ErrorText text = text_of(status);
  const std::string id(audience.request_id);
  http::Response response =
      audience.wants_html
          ? html_reply(status,
                       audience.pages.error({status, std::string(text.title), std::string(text.message), id, id}), id)
          : json_reply(
                status,
                nlohmann::ordered_json{{"error", text.word}, {"message", text.message}, {"request_id", id}}.dump());
  if (status == 503) response.head.headers.add("Retry-After", "5");
  return response;
}

http::Response error_reply(int status, const Pages& pages, const http::Request& request) {
  return error_reply(status, {pages, request.id, http::prefers_html(request.header("accept"))});
}

http::Response redirect_reply(const http::Request& request, const std::string& location) {
  http::Response response;
  response.head.status = request.method == "GET" || request.method == "HEAD" ? 302 : 303;
  response.head.headers.add("Location", location);
  return response;
}

net::Task<> send(net::Exchange& exchange, http::Response response, std::string_view request_id, bool is_head,
                 std::vector<std::string> cookies) {
  http::Headers& headers = response.head.headers;
  headers.set("Cache-Control", "no-store");
  headers.set("X-Content-Type-Options", "nosniff");
  headers.set("Referrer-Policy", "same-origin");
  headers.set("X-Request-Id", std::string(request_id));
  headers.set("Content-Length", std::to_string(response.body.size()));
  for (std::string& cookie : cookies) headers.add("Set-Cookie", std::move(cookie));
  const net::Deadline deadline = net::after(kSendTime);
  const auto written = co_await exchange.write_head(response.head, deadline);
  if (!written || is_head || response.body.empty()) co_return;
  std::ignore = co_await exchange.write_body(response.body, deadline);
}

}  // namespace gatehouse::gateway
