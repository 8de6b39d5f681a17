// Takes a request's body in before an application is occupied with it: an application of a few processes must not wait
// for a visitor who sends slowly.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>

#include "cgi/outcome.hpp"
#include "net/exchange.hpp"
#include "net/spool.hpp"

namespace gatehouse::relay {

struct IntakeBounds {
  std::uint64_t max_body = 0;                        ///< bytes; 0 = no limit
  std::optional<std::uint64_t> content_length = {};  ///< exactly so many are read
  std::chrono::milliseconds visitor_stall{60'000};
};

/// Reads the body into `body` and returns its length in bytes. Fails: Failed with 400 (malformed, or shorter than
/// announced), 413, 503 (no room to keep it); BrokenOff (the visitor went away).
[[nodiscard]] net::Task<std::expected<std::uint64_t, cgi::RunOutcome>> take_in(net::Exchange& exchange,
                                                                               IntakeBounds bounds, net::Spool& body);

}  // namespace gatehouse::relay
