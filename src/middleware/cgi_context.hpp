// The one request of a plain CGI process (RFC 3875): its environment, its standard input and output.
//
// A program on libfcgi needs this one too: where FCGX_IsCGI() says that it was started as a CGI program, FCGX_Accept_r
// has nothing to accept.
#pragma once

#include <unistd.h>

#include "middleware/program_context.hpp"

namespace gatehouse::middleware {

/// The web server ends a process whose visitor stalls; reading a body has a deadline of its own besides.
class CgiContext final : public ProgramContext {
 public:
  CgiContext() : CgiContext(environ, STDIN_FILENO, STDOUT_FILENO) {}
  /// The descriptors stay the caller's.
  CgiContext(const char* const* environment, int input, int output);

 private:
  [[nodiscard]] std::optional<std::size_t> read_some(std::span<char> into, Deadline deadline) override;
  void write_answer(std::string_view bytes) override;
  void drop_rest_of_body();

  const int input_;
  const int output_;
};

}  // namespace gatehouse::middleware
