// A request that cannot be read without guessing.
#pragma once

#include <string>

namespace gatehouse::http {

/// What a door says of it. Answered 400 (403 in the check, forward and authorizer doors), never guessed at.
struct Malformed {
  std::string request_id;
  std::string reason;  ///< for the log
  bool wants_html = false;
  int status = 400;       ///< 403 where nobody says which path is asked for
  bool is_check = false;  ///< answered without a body
};

}  // namespace gatehouse::http
