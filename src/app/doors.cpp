#include "app/doors.hpp"

#include <fmt/format.h>
#include <exception>
#include <random>

#include "cgi/environment.hpp"

namespace gatehouse::app {

namespace {

// Names a request in logs and error pages. Unique enough, not secret, so no CSPRNG is asked for it.
std::string new_request_id() {
  thread_local std::mt19937_64 generator{std::random_device{}()};
  return fmt::format("{:016x}", generator());
}

net::Task<> dispatch(gateway::Gateway& gateway, fastcgi::ServerRequest& request, const std::string& id) {
  if (request.role() != fastcgi::Role::responder) {
    co_await gateway.refuse(id, 503, "the authorizer role is not served by this version", request);
    co_return;
  }
  cgi::ReadOptions options;
  options.request_id = id;
  auto parsed = cgi::read_request(request.params(), options);
  if (parsed) {
    co_await gateway.serve(std::move(*parsed), request);
  } else {
    co_await gateway.serve_malformed(std::move(parsed.error()), request);
  }
}

// The request loop's last resort: a bug in one request is a 500 for it and a line in the log, never a pass. An answer
// that has begun is broken off.
net::Task<> serve_request(gateway::Gateway& gateway, ops::Log& log, fastcgi::ServerRequest& request) {
  const std::string id = new_request_id();
  std::string bug;
  try {
    co_await dispatch(gateway, request, id);
  } catch (const std::exception& error) {
    bug = error.what();
  } catch (...) {
    bug = "an exception without a name";
  }
  if (bug.empty()) co_return;
  log.write(ops::LogLevel::error, "bug", {{"request", id}, {"what", bug}});
  if (request.head_written()) {
    request.break_off();
  } else {
    co_await gateway.refuse(id, 500, "an exception reached the door", request);
  }
}

}  // namespace

fastcgi::Handler fastcgi_door(gateway::Gateway& gateway, ops::Log& log) {
  return [&gateway, &log](fastcgi::ServerRequest& request) { return serve_request(gateway, log, request); };
}

}  // namespace gatehouse::app
