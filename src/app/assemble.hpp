// From configuration to objects: the only place that knows both sides.
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <string>

#include "app/event_log.hpp"
#include "auth/auth.hpp"
#include "auth/store.hpp"
#include "config/config.hpp"
#include "gateway/settings.hpp"
#include "ops/log.hpp"
#include "store/mysql/mysql_options.hpp"

namespace gatehouse::app {

/// What outlives every configuration and is shared by all of them.
struct Foundation {
  auth::Store& store;
  const auth::Clock& clock;
  auth::Random& random;
  EventLog& events;
  ops::Log& log;
};

/// `report`: takes what an administrator should read of the database's hosts; empty: nobody listens. Thread-safe.
[[nodiscard]] std::unique_ptr<auth::Store> make_store(const config::Store& store,
                                                      std::function<void(const store::HostNews&)> report = {});
[[nodiscard]] auth::AuthOptions auth_options(const config::Config& config);
/// Fails with a sentence: a template that cannot be read or parsed.
[[nodiscard]] std::expected<std::shared_ptr<const gateway::Settings>, std::string> make_settings(
    const config::Config& config, const Foundation& foundation);

[[nodiscard]] ops::LogLevel log_level(config::LogLevel level);
[[nodiscard]] ops::LogFormat log_format(config::LogFormat format);

}  // namespace gatehouse::app
