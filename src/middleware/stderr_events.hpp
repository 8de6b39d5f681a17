// What an administrator must be able to read afterwards, a line each on standard error: the web server's error log.
#pragma once

#include "auth/events.hpp"

namespace gatehouse::middleware {

/// Thread-safe. Bytes that are not printable ASCII are written as '?': a terminal must not obey a visitor.
class StderrEvents final : public auth::Events {
 public:
  void report(const auth::Event& event) override;
};

/// The line of an event: "gatehouse: rotated_reuse user="…" session="…"", without what is not known. No line end.
[[nodiscard]] std::string event_line(const auth::Event& event);

}  // namespace gatehouse::middleware
