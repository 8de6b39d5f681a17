// A downstream of CGI programs: a folder of scripts, or one fixed program.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "gateway/downstream.hpp"
#include "gateway/slot.hpp"
#include "ops/log.hpp"

namespace gatehouse::gateway {

struct CgiSettings {
  std::string root;  ///< one of root and program
  std::string program;
  std::chrono::milliseconds timeout{30'000};
  std::size_t max_processes = 32;
  std::uint64_t max_body = 0;  ///< bytes; 0 = no limit
  std::map<std::string, std::string> env;
};

class CgiDownstream final : public Downstream {
 public:
  CgiDownstream(CgiSettings settings, ops::Log& log) : settings_(std::move(settings)), log_(log) {}
  [[nodiscard]] std::optional<http::Path> script_path(const http::Path& path) const override;
  [[nodiscard]] net::Task<cgi::RunOutcome> serve(const DownstreamRequest& request, net::Exchange& exchange,
                                                 cgi::HeadHook on_head) override;

 private:
  const CgiSettings settings_;
  ops::Log& log_;
  const Slot::Counter running_ = Slot::make_counter();
};

}  // namespace gatehouse::gateway
