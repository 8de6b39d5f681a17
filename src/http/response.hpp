// An answer of ours, whole in memory: pages, redirects, refusals. What a script answers is streamed and
// has only a ResponseHead.
#pragma once

#include <string>

#include "http/headers.hpp"

namespace gatehouse::http {

/// What stands before a body. `reason` is empty unless a script gave one of its own.
struct ResponseHead {
  int status = 500;
  std::string reason;
  Headers headers;
};

struct Response {
  ResponseHead head;
  std::string body;
};

/// Returns the reason phrase of RFC 9110 for a status, "Unknown" for one it does not name.
[[nodiscard]] std::string_view reason_phrase(int status);

}  // namespace gatehouse::http
