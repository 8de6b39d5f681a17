#include "gateway/downstream.hpp"

namespace gatehouse::gateway {

std::optional<http::Path> other_script(const std::expected<cgi::Script, cgi::NoScript>& script,
                                       const http::Path& path) {
  if (!script || script->script_name == path.text()) return std::nullopt;
  auto name = http::Path::from_decoded(script->script_name);
  if (!name) return std::nullopt;
  return std::move(*name);
}

cgi::StderrLine log_of_script(ops::Log& log, std::string request_id, std::string script) {
  return [&log, id = std::move(request_id), script = std::move(script)](std::string_view line) {
    log.write(ops::LogLevel::warn, "script_stderr", {{"request", id}, {"script", script}, {"line", std::string(line)}});
  };
}

}  // namespace gatehouse::gateway
