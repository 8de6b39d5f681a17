// What systemd is told (sd_notify). Without NOTIFY_SOCKET every call does nothing.
#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace gatehouse::app::service_manager {

void ready();
void reloading();
void stopping();
void feed_watchdog();
/// Returns how often systemd wants to hear of us; nullopt if it does not. Feed at half of it.
[[nodiscard]] std::optional<std::chrono::microseconds> watchdog_interval();

}  // namespace gatehouse::app::service_manager
