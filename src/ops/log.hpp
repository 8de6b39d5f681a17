// The log: one line an event, UTC, key=value or JSON, to stderr. Written through spdlog.
//
// A fact is logged once, where it was seen, with the request id. Tokens, passwords and cookies have no way in: nothing
// here takes one, and every text is escaped, so that no visitor can forge a line (CWE-117).
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

namespace spdlog {
class logger;
}

namespace gatehouse::ops {

enum class LogLevel { debug, info, warn, error };
enum class LogFormat { text, json };

struct Field {
  std::string_view key;
  std::string value;
};

/// Thread-safe. Level and format may change while it is used.
class Log {
 public:
  Log(LogLevel level, LogFormat format);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void configure(LogLevel level, LogFormat format);
  [[nodiscard]] bool is_on(LogLevel level) const;
  /// Writes one line: the event's name and its fields; fields with an empty value are left out.
  void write(LogLevel level, std::string_view event, std::initializer_list<Field> fields);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Renders one line without its end; pure, for tests. `time` is written as it is given.
[[nodiscard]] std::string render_line(LogFormat format, std::string_view time, LogLevel level, std::string_view event,
                                      std::initializer_list<Field> fields);

}  // namespace gatehouse::ops
