// What every command shares: exit codes, the loaded configuration, the store, and how a failure is told.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "app/event_log.hpp"
#include "auth/auth.hpp"
#include "config/config.hpp"
#include "ops/log.hpp"

namespace gatehouse::app::cli {

inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;
inline constexpr int kStoreUnavailable = 69;  // EX_UNAVAILABLE
inline constexpr int kConfigError = 78;       // EX_CONFIG

/// Writes "gatehouse: TEXT" to stderr and returns `code`.
int complain(int code, const std::string& text);
/// Tells why a use case failed, in a person's words; 69 for what the store is to blame for, else 1.
int complain(const auth::Error& error, const std::string& what);

/// Loads the configuration; prints its warnings to stderr, and on problems every one, and returns nullopt.
[[nodiscard]] std::optional<config::Config> load_config(const std::string& file_argument);

/// A store and an Auth over it, for one command.
struct Session {
  explicit Session(const config::Config& config);

  ops::Log log{ops::LogLevel::error, ops::LogFormat::text};
  EventLog events{log};
  auth::SystemClock clock;
  auth::SystemRandom random;
  std::unique_ptr<auth::Store> store;
  auth::Auth auth;
};

/// UTC, "2026-11-21 19:05:09Z".
[[nodiscard]] std::string readable(auth::Timestamp time);

}  // namespace gatehouse::app::cli
