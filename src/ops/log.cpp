#include "ops/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <chrono>
#include <nlohmann/json.hpp>
#include <tuple>

namespace gatehouse::ops {

namespace {

std::string_view name(LogLevel level) {
  switch (level) {
    case LogLevel::debug: return "debug";
    case LogLevel::info: return "info";
    case LogLevel::warn: return "warn";
    case LogLevel::error: return "error";
  }
  return "error";
}

bool needs_quotes(std::string_view value) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/:@+,[]*";
  return value.find_first_not_of(kPlain) != std::string_view::npos;
}

// Everything but printable ASCII is escaped in the text form: a terminal must not obey a visitor's user name.
std::string in_quotes(std::string_view value) {
  std::string out = "\"";
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte > 0x7e) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string render_text(std::string_view time, LogLevel level, std::string_view event,
                        std::initializer_list<Field> fields) {
  std::string line = fmt::format("{} {} {}", time, name(level), event);
  for (const Field& field : fields) {
    if (field.value.empty()) continue;
    line += fmt::format(" {}={}", field.key, needs_quotes(field.value) ? in_quotes(field.value) : field.value);
  }
  return line;
}

std::string render_json(std::string_view time, LogLevel level, std::string_view event,
                        std::initializer_list<Field> fields) {
  nlohmann::ordered_json line{{"time", time}, {"level", name(level)}, {"event", event}};
  for (const Field& field : fields) {
    if (!field.value.empty()) line[std::string(field.key)] = field.value;
  }
  return line.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace);
}

std::string utc_now() {
  const auto now = std::chrono::system_clock::now();
  const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  std::tm parts{};
  std::ignore = gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, millis);
}

}  // namespace

struct Log::State {
  std::shared_ptr<spdlog::logger> logger =
      std::make_shared<spdlog::logger>("gatehouse", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  std::atomic<LogLevel> level{LogLevel::info};
  std::atomic<LogFormat> format{LogFormat::text};
};

Log::Log(LogLevel level, LogFormat format) : state_(std::make_unique<State>()) {
  state_->logger->set_pattern("%v");
  state_->logger->set_level(spdlog::level::trace);
  configure(level, format);
}

Log::~Log() = default;

void Log::configure(LogLevel level, LogFormat format) {
  state_->level = level;
  state_->format = format;
}

bool Log::is_on(LogLevel level) const {
  return level >= state_->level.load(std::memory_order_relaxed);
}

void Log::write(LogLevel level, std::string_view event, std::initializer_list<Field> fields) {
  if (!is_on(level)) return;
  state_->logger->log(spdlog::level::info, "{}", render_line(state_->format, utc_now(), level, event, fields));
}

std::string render_line(LogFormat format, std::string_view time, LogLevel level, std::string_view event,
                        std::initializer_list<Field> fields) {
  return format == LogFormat::json ? render_json(time, level, event, fields) : render_text(time, level, event, fields);
}

}  // namespace gatehouse::ops
