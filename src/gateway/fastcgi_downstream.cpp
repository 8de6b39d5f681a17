#include "gateway/fastcgi_downstream.hpp"

#include <filesystem>
#include <memory>
#include <utility>

#include "relay/intake.hpp"
#include "relay/relay.hpp"

namespace gatehouse::gateway {

namespace {

constexpr std::chrono::milliseconds kVisitorStall{60'000};
// A body may come for hours; whoever was signed out since must not have it taken. As long as `max_staleness` holds.
constexpr std::chrono::milliseconds kDecisionHolds{1'000};
constexpr std::size_t kBodyInMemory = std::size_t{64} * 1024;

// The length is known now, whatever the visitor's framing was: php-fpm reads nothing of a body without one.
http::Request with_length(http::Request request, std::uint64_t length) {
  request.content_length = length;
  request.headers.remove("transfer-encoding");
  return request;
}

// As web servers do: the relative links of an index page begin at its folder.
net::Task<cgi::RunOutcome> redirect_to_folder(const http::Request& asked, net::Exchange& exchange,
                                              const cgi::HeadHook& on_head) {
  std::string target = asked.mount + asked.path.escaped() + "/";
  if (!asked.query.empty()) target += "?" + asked.query;
  http::ResponseHead head{.status = 301, .reason = {}, .headers = {}};
  head.headers.add("Location", std::move(target));
  head.headers.add("Content-Length", "0");
  head.headers.add("Cache-Control", "no-store");  // only who may see the folder is told that it is one
  on_head(head);
  const net::Deadline deadline = net::after(kVisitorStall);
  const net::IoResult<void> sent = co_await exchange.write_head(head, deadline);
  if (!sent) co_return cgi::BrokenOff{"the visitor did not take the answer: " + std::string(name(sent.error()))};
  co_return cgi::Delivered{301, 0};
}

}  // namespace

std::expected<cgi::Script, cgi::NoScript> FastCgiDownstream::script_of(const http::Path& path,
                                                                       std::string_view literal_prefix) const {
  if (settings_.program.empty() && !settings_.root.empty()) {
    return cgi::find_script(settings_.root, path, settings_.rules);
  }
  auto script = cgi::fixed_script(settings_.program, literal_prefix, path);
  if (script && !settings_.program.empty()) name_front_controller(*script);
  return script;
}

// As nginx's `try_files $uri /prefix/index.php` has it: front controllers are written for that. They find where they
// are by a SCRIPT_NAME that ends in their file's name, and what is asked for by REQUEST_URI.
void FastCgiDownstream::name_front_controller(cgi::Script& script) const {
  const std::filesystem::path program(settings_.program);
  script.script_name += "/" + program.filename().string();
  script.path_info.clear();
  script.root = settings_.root.empty() ? program.parent_path().string() : settings_.root;
}

std::optional<http::Path> FastCgiDownstream::script_path(const http::Path& path) const {
  if (!settings_.program.empty() || settings_.root.empty()) return std::nullopt;
  return other_script(cgi::find_script(settings_.root, path, settings_.rules), path);
}

net::Task<cgi::RunOutcome> FastCgiDownstream::serve(const DownstreamRequest& request, net::Exchange& exchange,
                                                    cgi::HeadHook on_head) {
  const http::Request& asked = request.request;
  const auto script = script_of(asked.path, request.literal_prefix);
  const bool is_read = asked.method == "GET" || asked.method == "HEAD";
  if (!script && script.error().lacks_slash && is_read) {
    cgi::RunOutcome redirected = co_await redirect_to_folder(asked, exchange, on_head);
    co_return redirected;
  }
  if (!script) co_return cgi::Failed{script.error().status, script.error().reason};

  net::Spool body(kBodyInMemory);
  const relay::IntakeBounds bounds{
      .max_body = settings_.max_body,
      .content_length = request.has_body ? asked.content_length : std::optional<std::uint64_t>(0),
      .visitor_stall = kVisitorStall};
  const auto begun = std::chrono::steady_clock::now();
  const auto taken = co_await relay::take_in(exchange, bounds, body);
  if (!taken) co_return taken.error();
  if (std::chrono::steady_clock::now() - begun > kDecisionHolds) {
    const int status = co_await request.confirmation.ask();
    if (status != 0) co_return cgi::Failed{status, "the session could not be confirmed once the body had come"};
  }
  cgi::RunOutcome outcome = co_await run(request, *script, body, *taken, exchange, std::move(on_head));
  co_return outcome;
}

net::Task<cgi::RunOutcome> FastCgiDownstream::run(const DownstreamRequest& request, const cgi::Script& script,
                                                  net::Spool& body, std::uint64_t body_size, net::Exchange& exchange,
                                                  cgi::HeadHook on_head) {
  const http::Request& asked = request.request;
  auto slot = std::make_shared<Slot>(running_, settings_.max_connections);
  if (!slot->is_taken()) co_return cgi::Failed{503, "max_connections are in use"};
  const bool is_counted = body_size > 0 && !asked.content_length;
  auto params = is_counted
                    ? cgi::script_variables(with_length(asked, body_size), script, request.identity, settings_.env)
                    : cgi::script_variables(asked, script, request.identity, settings_.env);
  relay::Relayed relayed{.application = client_,
                         .params = std::move(params),
                         .body = body,
                         .body_size = body_size,
                         .place = std::move(slot),
                         .without_body = asked.method == "HEAD",
                         .timeout = settings_.timeout,
                         .visitor_stall = kVisitorStall,
                         .most_kept = settings_.answer_buffer};
  auto on_stderr = log_of_script(log_, asked.id, script.filename.empty() ? script.script_name : script.filename);
  auto outcome = co_await relay::relay(std::move(relayed), exchange, std::move(on_head), std::move(on_stderr));
  co_return outcome;
}

}  // namespace gatehouse::gateway
