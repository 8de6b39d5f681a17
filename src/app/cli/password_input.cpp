#include "app/cli/password_input.hpp"

#include <termios.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <optional>
#include <tuple>

#include "app/cli/output.hpp"
#include "auth/password.hpp"

namespace gatehouse::app::cli {

namespace {

extern "C" void do_nothing(int) {}

/// Echo off for as long as it lives, and an interrupt key that ends the reading and not the program: the terminal must
/// get its echo back.
class Silence {
 public:
  Silence() {
    if (tcgetattr(STDIN_FILENO, &saved_) != 0) return;
    struct sigaction wakes{};
    wakes.sa_handler = do_nothing;  // and without SA_RESTART, so that read() returns
    sigaction(SIGINT, &wakes, &saved_action_);
    termios quiet = saved_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    is_quiet_ = tcsetattr(STDIN_FILENO, TCSADRAIN, &quiet) == 0;
  }
  ~Silence() {
    if (!is_quiet_) return;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &saved_);
    sigaction(SIGINT, &saved_action_, nullptr);
  }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;

 private:
  termios saved_{};
  struct sigaction saved_action_{};
  bool is_quiet_ = false;
};

// The terminal hands out one line at a time; nullopt: interrupted, or its end.
std::optional<std::string> read_line() {
  std::string line;
  char c = 0;
  while (::read(STDIN_FILENO, &c, 1) == 1) {
    if (c == '\n') return line;
    line += c;
  }
  return std::nullopt;
}

std::optional<std::string> ask(const char* prompt) {
  std::ignore = std::fputs(prompt, stderr);
  auto line = read_line();
  std::ignore = std::fputc('\n', stderr);
  return line;
}

std::expected<std::string, NoPassword> ask_twice() {
  const Silence silence;
  const auto first = ask("Password: ");
  const auto second = first ? ask("Again: ") : std::nullopt;
  if (!second) return std::unexpected(NoPassword{kFailed, "no password was given"});
  if (*first != *second) return std::unexpected(NoPassword{kFailed, "the two passwords differ"});
  return *first;
}

std::string all_of_stdin() {
  std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

}  // namespace

std::expected<std::string, NoPassword> read_password(bool from_stdin) {
  if (!from_stdin && isatty(STDIN_FILENO) == 0) {
    return std::unexpected(NoPassword{kUsage, "no terminal to ask for a password on; use --password-stdin"});
  }
  auto password = from_stdin ? std::expected<std::string, NoPassword>(all_of_stdin()) : ask_twice();
  if (password && password->size() > auth::kMaxPasswordBytes) {
    return std::unexpected(NoPassword{kFailed, "the password is longer than 4096 bytes"});
  }
  return password;
}

}  // namespace gatehouse::app::cli
