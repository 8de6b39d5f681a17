// Where a command's password comes from: asked for twice on a terminal, or one line of stdin. Never an argument.
#pragma once

#include <expected>
#include <string>

namespace gatehouse::app::cli {

/// Why there is no password: `exit_code` is 2 where the call cannot work this way, 1 where the input was wrong.
struct NoPassword {
  int exit_code = 1;
  std::string text;
};

/// With `from_stdin` reads all of stdin and strips one trailing newline; else asks twice on the terminal, without echo.
/// Fails: usage without a terminal and without `from_stdin`; the two inputs differ; more than 4096 bytes.
[[nodiscard]] std::expected<std::string, NoPassword> read_password(bool from_stdin);

}  // namespace gatehouse::app::cli
