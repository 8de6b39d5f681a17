#include "gateway/cgi_downstream.hpp"

#include <filesystem>
#include <memory>

#include "cgi/script_finder.hpp"

namespace gatehouse::gateway {

namespace {

// A place among the running processes, given back on every path out.
class Slot {
 public:
  Slot(std::atomic<std::size_t>& running, std::size_t max) : running_(running) {
    is_taken_ = running_.fetch_add(1) < max;
    if (!is_taken_) running_.fetch_sub(1);
  }
  ~Slot() {
    if (is_taken_) running_.fetch_sub(1);
  }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;
  [[nodiscard]] bool is_taken() const { return is_taken_; }

 private:
  std::atomic<std::size_t>& running_;
  bool is_taken_ = false;
};

}  // namespace

std::optional<http::Path> CgiDownstream::script_path(const http::Path& path) const {
  if (settings_.root.empty()) return std::nullopt;
  const auto script = cgi::find_script(settings_.root, path);
  if (!script || script->path_info.empty()) return std::nullopt;
  auto name = http::Path::from_decoded(script->script_name);
  if (!name) return std::nullopt;
  return std::move(*name);
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
  cgi::StderrLine on_stderr = [this, &asked, &script](std::string_view line) {
    log_.write(ops::LogLevel::warn, "script_stderr",
               {{"request", asked.id}, {"script", script->filename}, {"line", std::string(line)}});
  };
  const bool is_head = asked.method == "HEAD";
  auto outcome = co_await cgi::run(std::move(program), exchange, is_head, std::move(on_head), std::move(on_stderr));
  co_return outcome;
}

}  // namespace gatehouse::gateway
