// The application behind us, as a port: a CGI program now, a FastCGI application later.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <tuple>
#include <variant>

#include "cgi/environment.hpp"
#include "cgi/runner.hpp"
#include "http/request.hpp"
#include "net/exchange.hpp"

namespace gatehouse::gateway {

/// One request on its way downstream: already decided, already stripped of every name we own.
struct DownstreamRequest {
  const http::Request& request;
  const cgi::Identity& identity;
  std::string literal_prefix;  ///< of the route's pattern: SCRIPT_NAME of a fixed program
  bool has_body = true;        ///< false: a local redirect, whose body was the first script's
};

/// Thread-safe: reactors serve requests through it at the same time.
class Downstream {
 public:
  virtual ~Downstream() = default;
  /// Returns the path of the script that a path would run, where it is shorter than the path; nullopt if it is not, or
  /// if the routes alone say what runs.
  [[nodiscard]] virtual std::optional<http::Path> script_path(const http::Path& path) const {
    std::ignore = path;
    return std::nullopt;
  }
  /// Serves the request. `on_head` sees the head before it goes out. A cgi::Failed has written nothing: the caller
  /// answers with its status.
  [[nodiscard]] virtual net::Task<cgi::RunOutcome> serve(const DownstreamRequest& request, net::Exchange& exchange,
                                                         cgi::HeadHook on_head) = 0;
};

}  // namespace gatehouse::gateway
