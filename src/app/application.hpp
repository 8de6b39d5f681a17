// The serving process: reactors, pools, gateway and listener, from start to drained. Builds everything, finds nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "config/config.hpp"

namespace gatehouse::app {

enum class Protocol : std::uint8_t { fastcgi, http };

/// A listening descriptor, and the path that is removed at the end if we made it.
struct Listener {
  int fd = -1;
  Protocol protocol = Protocol::fastcgi;
  std::string address;  ///< as in the configuration; for the log. "inherited" if it came from elsewhere
  bool is_ours = false;
};

/// One serving process. Blocks TERM, INT and HUP in every thread but the caller's, which waits for them.
class Application {
 public:
  /// Requires that no other thread runs yet. `listeners` are owned from here on.
  Application(config::Config config, std::vector<Listener> listeners);
  ~Application();
  Application(const Application&) = delete;
  Application& operator=(const Application&) = delete;

  /// Serves until TERM or INT has come and what ran has ended. HUP reads the configuration again.
  /// Returns the process's exit code: 0, or 78 if a template cannot be used.
  [[nodiscard]] int run();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gatehouse::app
