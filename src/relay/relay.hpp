// One request through a FastCGI application: parameters and body to it, its answer to the visitor, its STDERR to the
// log, all at once. The body has been taken in before (intake.hpp).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "cgi/outcome.hpp"
#include "cgi/variables.hpp"
#include "fastcgi/client.hpp"
#include "net/exchange.hpp"
#include "net/spool.hpp"

namespace gatehouse::relay {

struct Relayed {
  fastcgi::Client& application;
  cgi::Variables params;        ///< in order, each name once
  net::Spool& body;             ///< all of it
  std::uint64_t body_size = 0;  ///< bytes
  /// Given back as soon as the application is done, while the visitor may still be taking the answer.
  std::shared_ptr<void> place = nullptr;
  bool without_body = false;  ///< the answer to HEAD
  /// The longest time without a byte moving to or from the application while it is waited for. Until the header is
  /// whole only bytes of the body and of STDERR count, and the time begins before the connection.
  std::chrono::milliseconds timeout{60'000};
  std::chrono::milliseconds visitor_stall{60'000};  ///< the longest time without a byte to the visitor
  std::uint64_t most_kept = 0;                      ///< of the answer, for a visitor who reads slowly (AnswerOptions)
};

/// Relays on the calling coroutine's (single-threaded) reactor. A request is sent once, whatever happens. Failed: 431
/// (a parameter longer than a record), 502 (down, broke the protocol, ended without an answer), 503 (no room, or it
/// says so), 504. An answer whose end the application did not mark is broken off, unless its announced length has come.
/// A visitor who leaves aborts the request. An exception of a hook or of the exchange passes through.
[[nodiscard]] net::Task<cgi::RunOutcome> relay(Relayed relayed, net::Exchange& exchange, cgi::HeadHook on_head,
                                               cgi::StderrLine on_stderr);

}  // namespace gatehouse::relay
