// A downstream that is a FastCGI application: php-fpm and its scripts, or a program on libfcgi or a language's library.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include "cgi/script_finder.hpp"
#include "fastcgi/client.hpp"
#include "gateway/downstream.hpp"
#include "gateway/slot.hpp"
#include "net/spool.hpp"
#include "ops/log.hpp"

namespace gatehouse::gateway {

struct FastCgiSettings {
  net::ConnectAddress address;
  std::string root;        ///< a folder of scripts; with `program` its DOCUMENT_ROOT only
  std::string program;     ///< one script for every path; neither: the application is no file
  cgi::ScriptRules rules;  ///< of the scripts below `root`
  std::chrono::milliseconds timeout{60'000};
  std::size_t max_connections = 64;
  std::size_t keep_connections = 0;
  std::uint64_t max_body = 0;                              ///< bytes; 0 = no limit
  std::uint64_t answer_buffer = std::uint64_t{64} << 20U;  ///< bytes
  bool allow_x_accel = false;
  std::map<std::string, std::string> env;
};

class FastCgiDownstream final : public Downstream {
 public:
  FastCgiDownstream(FastCgiSettings settings, ops::Log& log)
      : settings_(std::move(settings)), log_(log), client_(settings_.address, settings_.keep_connections) {}

  [[nodiscard]] std::optional<http::Path> script_path(const http::Path& path) const override;
  [[nodiscard]] bool may_steer_web_server() const override { return settings_.allow_x_accel; }
  void tidy() override { client_.close_idle(); }
  void retire() override { client_.retire(); }
  [[nodiscard]] net::Task<cgi::RunOutcome> serve(const DownstreamRequest& request, net::Exchange& exchange,
                                                 cgi::HeadHook on_head) override;

 private:
  [[nodiscard]] std::expected<cgi::Script, cgi::NoScript> script_of(const http::Path& path,
                                                                    std::string_view literal_prefix) const;
  void name_front_controller(cgi::Script& script) const;
  [[nodiscard]] net::Task<cgi::RunOutcome> run(const DownstreamRequest& request, const cgi::Script& script,
                                               net::Spool& body, std::uint64_t body_size, net::Exchange& exchange,
                                               cgi::HeadHook on_head);

  const FastCgiSettings settings_;
  ops::Log& log_;
  const Slot::Counter running_ = Slot::make_counter();
  fastcgi::Client client_;
};

}  // namespace gatehouse::gateway
