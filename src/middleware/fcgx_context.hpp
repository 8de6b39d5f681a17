// One request that FCGX_Accept_r has accepted (libfcgi). Written for libfcgi 2.4, with its traps in mind: it hands out
// a request whose parameters were cut off as a complete one, and takes what is left of a body on a kept connection for
// the next request.
#pragma once

#include "middleware/program_context.hpp"

struct FCGX_Request;

namespace gatehouse::middleware {

/// A request whose parameters were cut off looks like one with none at all, so that there is nobody signed in, and gets
/// no answer: its connection is closed.
///
/// Reading the body waits ten seconds at most, writing the answer as long for every piece.
class FcgxContext final : public ProgramContext {
 public:
  /// Requires a request that FCGX_Accept_r has just accepted and that outlives this context.
  explicit FcgxContext(FCGX_Request& request);
  /// Ends the request, unless FCGX_Finish_r has. One that got no answer is broken off, so that the web server says 500
  /// or 502: an empty answer is 200 on some, and lets a visitor in where it is an authorizer's. The connection is kept
  /// only if the web server wants that and nothing of a body is left on it.
  ~FcgxContext() override;

 private:
  [[nodiscard]] std::optional<std::size_t> read_some(std::span<char> into, Deadline deadline) override;
  void write_answer(std::string_view bytes) override;
  [[nodiscard]] bool is_read_to_its_end();

  FCGX_Request& request_;
  const bool is_cut_off_;
};

}  // namespace gatehouse::middleware
