// What answers behind us, as a port: CGI programs, a FastCGI application.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <tuple>

#include "cgi/environment.hpp"
#include "cgi/outcome.hpp"
#include "cgi/script_finder.hpp"
#include "http/request.hpp"
#include "net/exchange.hpp"
#include "ops/log.hpp"

namespace gatehouse::gateway {

/// Asks again about a request whose body took its time: who has been let in may have been signed out meanwhile.
class Confirmation {
 public:
  virtual ~Confirmation() = default;
  /// Returns 0 if the request may go on; 401 if its session has ended, 503 if nobody can tell.
  [[nodiscard]] virtual net::Task<int> ask() = 0;
};

/// One request on its way downstream: already decided, already stripped of every name we own.
struct DownstreamRequest {
  const http::Request& request;
  const cgi::Identity& identity;
  std::string literal_prefix;  ///< of the route's pattern: SCRIPT_NAME of a fixed program
  bool has_body = true;        ///< false: a local redirect, whose body was the first script's
  Confirmation& confirmation;
};

/// Thread-safe: reactors serve requests through it at the same time.
class Downstream {
 public:
  virtual ~Downstream() = default;
  /// Returns the path of the script that a path would run, where it is another one (shorter by a PATH_INFO, longer by
  /// an index page); nullopt if it is not, or if the routes alone say what runs.
  [[nodiscard]] virtual std::optional<http::Path> script_path(const http::Path& path) const {
    std::ignore = path;
    return std::nullopt;
  }
  /// True if the web server may be told by headers what to send in the answer's place (X-Accel-Redirect, X-Sendfile).
  [[nodiscard]] virtual bool may_steer_web_server() const { return false; }
  /// Gives back what was kept for a next request that did not come. Called every few seconds, on any thread.
  virtual void tidy() {}
  /// Another configuration has taken its place: requests under way end, and nothing is kept for further ones.
  virtual void retire() {}
  /// Serves the request. `on_head` sees the head before it goes out. A cgi::Failed has written nothing: the caller
  /// answers with its status.
  [[nodiscard]] virtual net::Task<cgi::RunOutcome> serve(const DownstreamRequest& request, net::Exchange& exchange,
                                                         cgi::HeadHook on_head) = 0;
};

// ---- What every kind of downstream needs ----

/// Returns the path of a script that was found, if it is another one than `path`: Downstream::script_path.
[[nodiscard]] std::optional<http::Path> other_script(const std::expected<cgi::Script, cgi::NoScript>& script,
                                                     const http::Path& path);
/// Returns what writes a script's STDERR to the log. The log outlives it.
[[nodiscard]] cgi::StderrLine log_of_script(ops::Log& log, std::string request_id, std::string script);

}  // namespace gatehouse::gateway
