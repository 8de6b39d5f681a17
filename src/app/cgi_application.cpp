#include "app/cgi_application.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include <csignal>
#include <cstdio>
#include <span>
#include <string_view>
#include <tuple>

#include "app/doors.hpp"
#include "app/house.hpp"
#include "cgi/door.hpp"

namespace gatehouse::app {

namespace {

namespace asio = net::asio;

// last_used_at is as exact as in a serving process, which writes it once a minute.
constexpr std::chrono::minutes kLastUseInterval{1};

cgi::Variables variables_of(char** environment) {
  cgi::Variables variables;
  for (char** line = environment; line != nullptr && *line != nullptr; ++line) {
    const std::string_view text(*line);
    const auto equals = text.find('=');
    if (equals != text.npos) variables.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return variables;
}

// Takes a standard stream away to a number of its own and leaves /dev/null in its place: whatever some library prints
// would otherwise stand in the answer, and a database opened later could get the number of a closed one.
int take_standard_stream(int number) {
  int taken = ::fcntl(number, F_DUPFD_CLOEXEC, 3);
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (taken < 0) taken = ::fcntl(null, F_DUPFD_CLOEXEC, 3);  // started with it closed
  if (null >= 0 && null != number) {
    ::dup2(null, number);
    ::close(null);
  }
  return taken;
}

// A server that is itself a program with odd signal settings hands them down.
void reset_signals() {
  std::ignore = std::signal(SIGPIPE, SIG_IGN);
  std::ignore = std::signal(SIGCHLD, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  pthread_sigmask(SIG_SETMASK, &none, nullptr);
}

net::Task<> answer(House& house, const cgi::Variables& variables, cgi::Door& door, bool& is_whole) {
  co_await serve_cgi(house.gateway(), house.log(), variables, door);
  is_whole = co_await door.finish();
}

}  // namespace

int serve_cgi_process(config::Config config) {
  reset_signals();
  House house(std::move(config), PoolSizes());
  if (auto opened = house.open(); !opened) {
    house.log().write(ops::LogLevel::error, "cannot_start", {{"reason", opened.error()}});
    refuse_cgi_request(500);
    return 1;
  }
  const cgi::Variables variables = variables_of(environ);
  const int input = take_standard_stream(STDIN_FILENO);
  const int output = take_standard_stream(STDOUT_FILENO);
  if (input < 0 || output < 0) return 1;

  asio::io_context context(1);
  asio::signal_set ending(context, SIGTERM, SIGINT, SIGHUP);
  cgi::Door door(context.get_executor(), input, output, cgi::body_length(variables));
  ending.async_wait([&door](const boost::system::error_code& error, int) {
    if (!error) door.visitor_left();
  });
  bool is_whole = false;
  asio::co_spawn(context, answer(house, variables, door, is_whole), [&context](const std::exception_ptr& bug) {
    context.stop();
    if (bug) std::rethrow_exception(bug);
  });
  context.run();
  house.stop();
  house.write_last_uses(kLastUseInterval);
  return is_whole ? 0 : 1;
}

void refuse_cgi_request(int status) {
  const std::string_view reason = http::reason_phrase(status);
  const std::string_view retry = status == 503 ? "Retry-After: 5\r\n" : "";
  const std::string text =
      fmt::format("Status: {} {}\r\nContent-Type: text/plain\r\nCache-Control: no-store\r\n{}\r\n{}\n", status, reason,
                  retry, reason);
  std::ignore = std::fputs(text.c_str(), stdout);
  std::ignore = std::fflush(stdout);
}

}  // namespace gatehouse::app
