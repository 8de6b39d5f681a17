#include "app/cli/output.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <ctime>
#include <tuple>

#include "app/assemble.hpp"
#include "config/load.hpp"

namespace gatehouse::app::cli {

namespace {

// A log that cannot be written is no reason to stop: fmt::print would throw.
void tell(const std::string& line) {
  std::ignore = std::fputs((line + "\n").c_str(), stderr);
}

}  // namespace

int complain(int code, const std::string& text) {
  tell("gatehouse: " + text);
  return code;
}

int complain(const auth::Error& error, const std::string& what) {
  const std::string detail = error.detail.empty() ? "" : " (" + error.detail + ")";
  switch (error.code) {
    case auth::ErrorCode::store_not_migrated:
      return complain(kStoreUnavailable,
                      "the tables are not as they must be" + detail +
                          "; run: gatehouse db migrate (Lucia's tables are made by your application)");
    case auth::ErrorCode::store_unavailable:
    case auth::ErrorCode::deadline_exceeded: return complain(kStoreUnavailable, "the store cannot be used" + detail);
    case auth::ErrorCode::store_read_only: return complain(kStoreUnavailable, "the store cannot be written" + detail);
    case auth::ErrorCode::duplicate_user:
      return complain(
          kFailed, what + ": the name, or another value that is unique, exists already; nothing was changed" + detail);
    case auth::ErrorCode::duplicate_key_id: return complain(kFailed, what + ": exists already; nothing was changed");
    case auth::ErrorCode::invalid_user_id:
    case auth::ErrorCode::invalid_key_id: return complain(kFailed, what + ": no such user");
    case auth::ErrorCode::invalid_attribute: return complain(kFailed, what + ": cannot be stored" + detail);
    default: return complain(kFailed, what + ": " + std::string(auth::name(error.code)) + detail);
  }
}

std::optional<config::Config> load_config(const std::string& file_argument) {
  auto loaded = config::load(config::default_file(file_argument));
  if (!loaded) {
    for (const config::Problem& problem : loaded.error()) tell(problem.message());
    return std::nullopt;
  }
  for (const std::string& warning : loaded->warnings) tell(warning);
  return std::move(loaded->config);
}

Session::Session(const config::Config& config)
    : store(make_store(config.store)), auth(auth_options(config), *store, clock, random, events) {}

std::string readable(auth::Timestamp time) {
  if (time == auth::Timestamp{}) return "-";
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  std::ignore = gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}Z", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                     parts.tm_hour, parts.tm_min, parts.tm_sec);
}

}  // namespace gatehouse::app::cli
