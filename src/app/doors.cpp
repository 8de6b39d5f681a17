#include "app/doors.hpp"

#include <fmt/format.h>
#include <exception>
#include <random>
#include <utility>

#include "fastcgi/server.hpp"
#include "httpd/read_request.hpp"
#include "httpd/server.hpp"

namespace gatehouse::app {

namespace {

// Names a request in logs and error pages. Unique enough, not secret, so no CSPRNG is asked for it.
std::string new_request_id() {
  thread_local std::mt19937_64 generator{std::random_device{}()};
  return fmt::format("{:016x}", generator());
}

cgi::ReadOptions read_options(const gateway::Gateway& gateway, bool is_mounted) {
  return {.request_id = new_request_id(),
          .check_path = gateway.settings()->endpoint_prefix + "/check",
          .is_mounted = is_mounted};
}

net::Task<> dispatch(gateway::Gateway& gateway, const cgi::Variables& variables, const cgi::ReadOptions& options,
                     net::Exchange& exchange) {
  auto parsed = cgi::read_request(variables, options);
  if (parsed) {
    co_await gateway.serve(std::move(*parsed), exchange);
  } else {
    co_await gateway.serve_malformed(std::move(parsed.error()), exchange);
  }
}

// The request loop's last resort: a bug in one request is a 500 for it and a line in the log, never a pass. An answer
// that has begun is broken off.
net::Task<> survive(gateway::Gateway& gateway, ops::Log& log, std::string id, net::Exchange& exchange,
                    net::Task<> answer) {
  std::string bug;
  try {
    co_await std::move(answer);
  } catch (const std::exception& error) {
    bug = error.what();
  } catch (...) {
    bug = "an exception without a name";
  }
  if (bug.empty()) co_return;
  log.write(ops::LogLevel::error, "bug", {{"request", id}, {"what", bug}});
  if (exchange.head_written()) {
    exchange.break_off();
  } else {
    co_await gateway.refuse(std::move(id), 500, "an exception reached the door", exchange);
  }
}

// mod_authnz_fcgi names its phases as mod_fcgid names its hooks, but says the role besides.
gateway::Asker asker_of(const fastcgi::Params& params) {
  const std::string_view phase = cgi::last_value(params, "FCGI_APACHE_ROLE");
  if (phase == "ACCESS_CHECKER") return gateway::Asker::access_checker;
  const bool is_hook = phase == "AUTHENTICATOR" || phase == "AUTHORIZER";
  const bool says_role = cgi::last_value(params, "FCGI_ROLE") == "AUTHORIZER";
  return is_hook && !says_role ? gateway::Asker::basic_hook : gateway::Asker::server;
}

net::Task<> dispatch_authorizer(gateway::Gateway& gateway, const fastcgi::ServerRequest& request,
                                const cgi::ReadOptions& options, net::Exchange& exchange) {
  const gateway::Asker asker = asker_of(request.params());
  auto parsed = cgi::read_request(request.params(), options);
  if (parsed) {
    co_await gateway.serve_authorizer(std::move(*parsed), asker, exchange);
  } else {
    parsed.error().is_check = asker != gateway::Asker::server;  // a page would stand beside Apache's own
    co_await gateway.serve_malformed(std::move(parsed.error()), exchange);
  }
}

net::Task<> serve_fastcgi(gateway::Gateway& gateway, ops::Log& log, fastcgi::ServerRequest& request) {
  cgi::ReadOptions options = read_options(gateway, false);
  options.is_authorizer = request.role() == fastcgi::Role::authorizer;
  net::Task<> answer = options.is_authorizer ? dispatch_authorizer(gateway, request, options, request)
                                             : dispatch(gateway, request.params(), options, request);
  co_await survive(gateway, log, options.request_id, request, std::move(answer));
}

net::Task<> dispatch_http(gateway::Gateway& gateway, const httpd::ServerRequest& request,
                          const httpd::ReadOptions& options, net::Exchange& exchange) {
  auto parsed = httpd::read_request(request.head(), request.peer(), options);
  if (parsed) {
    co_await gateway.serve_endpoints(std::move(*parsed), exchange);
  } else {
    co_await gateway.serve_malformed(std::move(parsed.error()), exchange);
  }
}

net::Task<> serve_http(gateway::Gateway& gateway, ops::Log& log, httpd::ServerRequest& request) {
  const auto settings = gateway.settings();
  const httpd::ReadOptions options{new_request_id(), settings->endpoint_prefix, &settings->trusted_proxies};
  net::Task<> answer = dispatch_http(gateway, request, options, request);
  co_await survive(gateway, log, options.request_id, request, std::move(answer));
}

net::Task<> refuse_http(gateway::Gateway& gateway, ops::Log& log, httpd::ServerRequest& request,
                        httpd::ParseProblem problem) {
  const std::string id = new_request_id();
  http::Malformed malformed{
      .request_id = id, .reason = std::string(problem.reason), .wants_html = false, .status = problem.status};
  // As far as it was understood, it asks whether somebody may pass.
  const auto settings = gateway.settings();  // a reload may drop them meanwhile
  const std::string& prefix = settings->endpoint_prefix;
  malformed.is_check = request.head().target.starts_with(prefix + "/check");
  if (malformed.is_check || request.head().target.starts_with(prefix + "/forward")) malformed.status = 403;
  net::Task<> answer = gateway.serve_malformed(std::move(malformed), request);
  co_await survive(gateway, log, id, request, std::move(answer));
}

}  // namespace

net::ConnectionFactory fastcgi_door(gateway::Gateway& gateway, ops::Log& log) {
  return fastcgi::connections(
      [&gateway, &log](fastcgi::ServerRequest& request) { return serve_fastcgi(gateway, log, request); });
}

net::ConnectionFactory http_door(gateway::Gateway& gateway, ops::Log& log) {
  return httpd::connections(
      [&gateway, &log](httpd::ServerRequest& request) { return serve_http(gateway, log, request); },
      [&gateway, &log](httpd::ServerRequest& request, httpd::ParseProblem problem) {
        return refuse_http(gateway, log, request, problem);
      });
}

net::Task<> serve_cgi(gateway::Gateway& gateway, ops::Log& log, const cgi::Variables& variables,
                      net::Exchange& exchange) {
  const cgi::ReadOptions options = read_options(gateway, true);
  net::Task<> answer = dispatch(gateway, variables, options, exchange);
  co_await survive(gateway, log, options.request_id, exchange, std::move(answer));
}

}  // namespace gatehouse::app
