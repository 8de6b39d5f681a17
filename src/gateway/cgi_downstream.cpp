#include "gateway/cgi_downstream.hpp"

#include <filesystem>

#include "cgi/runner.hpp"
#include "cgi/script_finder.hpp"
#include "gateway/slot.hpp"

namespace gatehouse::gateway {

std::optional<http::Path> CgiDownstream::script_path(const http::Path& path) const {
  if (settings_.root.empty()) return std::nullopt;
  return other_script(cgi::find_script(settings_.root, path), path);
}

net::Task<cgi::RunOutcome> CgiDownstream::serve(const DownstreamRequest& request, net::Exchange& exchange,
                                                cgi::HeadHook on_head) {
  const http::Request& asked = request.request;
  const auto script = settings_.program.empty()
                          ? cgi::find_script(settings_.root, asked.path)
                          : cgi::fixed_script(settings_.program, request.literal_prefix, asked.path);
  if (!script) co_return cgi::Failed{script.error().status, script.error().reason};
  const Slot slot(running_, settings_.max_processes);
  if (!slot.is_taken()) co_return cgi::Failed{503, "max_processes are running"};

  cgi::Program program;
  program.filename = script->filename;
  program.directory = std::filesystem::path(script->filename).parent_path().string();
  program.environment = cgi::script_environment(asked, *script, request.identity, settings_.env);
  program.max_body = settings_.max_body;
  program.content_length = request.has_body ? asked.content_length : std::optional<std::uint64_t>(0);
  program.timeout = settings_.timeout;
  cgi::StderrLine on_stderr = log_of_script(log_, asked.id, script->filename);
  const bool is_head = asked.method == "HEAD";
  auto outcome = co_await cgi::run(std::move(program), exchange, is_head, std::move(on_head), std::move(on_stderr));
  co_return outcome;
}

}  // namespace gatehouse::gateway
