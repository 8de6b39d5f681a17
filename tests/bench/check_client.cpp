// check_client fastcgi|http ADDRESS REQUEST SECONDS [CONNECTIONS] [kept|new]: the load. Each of CONNECTIONS (16) has
// one request under way, always the one that the file REQUEST holds; the connections are kept, or each request gets a
// new one. ADDRESS is unix:PATH or tcp:PORT. Prints one line of JSON; ends 1 if any answer was not 200.
#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <vector>

#include "bench/record.hpp"
#include "bench/sockets.hpp"

namespace {

using Clock = std::chrono::steady_clock;

/// An answer at the front of what was received.
struct Answer {
  std::size_t size = 0;
  bool is_ok = false;
};
/// Returns nullopt if the answer is not all there.
using ReadAnswer = std::optional<Answer> (*)(std::string_view received);

// The house names the status first, also where it is 200.
std::optional<Answer> read_fastcgi(std::string_view received) {
  Answer answer;
  while (const auto record = bench::front_record(received.substr(answer.size))) {
    answer.size += record->size;
    if (record->type == bench::Type::standard_output && record->content.starts_with("Status: 200 "))
      answer.is_ok = true;
    if (record->type == bench::Type::end_request) return answer;
  }
  return std::nullopt;
}

std::optional<Answer> read_http(std::string_view received) {
  constexpr std::string_view kLength = "\r\ncontent-length: ";
  const std::size_t end = received.find("\r\n\r\n");
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view head = received.substr(0, end + 2);
  const auto length = std::ranges::search(head, kLength, {}, [](char c) { return c >= 'A' && c <= 'Z' ? c | 32 : c; });
  if (length.empty()) return Answer{end + 4, false};
  const std::size_t size = end + 4 + std::strtoul(length.end(), nullptr, 10);
  if (received.size() < size) return std::nullopt;
  return Answer{size, head.starts_with("HTTP/1.1 200 ")};
}

struct Options {
  ReadAnswer read_answer = read_http;
  std::string address;
  std::string request;
  std::chrono::duration<double> time{};
  std::size_t connections = 16;
  bool is_kept = true;
};

struct Result {
  std::vector<double> microseconds;  // of each answer
  std::size_t failures = 0;
  double seconds = 0;
};

class Load {
 public:
  explicit Load(const Options& options) : options_(options), connections_(options.connections) {}

  Result run() {
    begin_ = Clock::now();
    for (Connection& connection : connections_) ask(connection);
    while (open_ > 0) {
      const auto events = poll_.wait(kSilence);
      if (events.empty()) bench::fail("no answer came for 10 s");
      for (const epoll_event& event : events) take(*static_cast<Connection*>(event.data.ptr));
    }
    result_.seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
    return std::move(result_);
  }

 private:
  static constexpr std::chrono::seconds kSilence{10};
  struct Connection {
    bench::Socket socket;
    std::string received;
    Clock::time_point asked;
  };

  void ask(Connection& connection) {
    connection.asked = Clock::now();
    if (connection.socket.fd() < 0) {
      connection.socket = bench::connect_to(options_.address);
      poll_.add(connection.socket, &connection);
      ++open_;
    }
    if (!connection.socket.send(options_.request)) bench::fail("the server closed a connection");
  }

  void close(Connection& connection) {
    connection.socket = bench::Socket();
    --open_;
  }

  void take(Connection& connection) {
    if (!connection.socket.receive(connection.received)) bench::fail("the server closed a connection");
    const auto answer = options_.read_answer(connection.received);
    if (!answer) return;
    const auto now = Clock::now();
    result_.microseconds.push_back(std::chrono::duration<double, std::micro>(now - connection.asked).count());
    if (!answer->is_ok) ++result_.failures;
    connection.received.erase(0, answer->size);
    const bool is_over = now - begin_ >= options_.time;
    if (is_over || !options_.is_kept) close(connection);
    if (!is_over) ask(connection);
  }

  const Options& options_;
  bench::Poll poll_;
  std::vector<Connection> connections_;
  std::size_t open_ = 0;
  Clock::time_point begin_;
  Result result_;
};

double percentile(std::vector<double>& values, double part) {
  const auto at = static_cast<std::ptrdiff_t>(part * static_cast<double>(values.size() - 1));
  std::ranges::nth_element(values, values.begin() + at);
  return values[static_cast<std::size_t>(at)];
}

std::string read_file(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) return 2;
  Options options;
  options.read_answer = std::string_view(argv[1]) == "fastcgi" ? read_fastcgi : read_http;
  options.address = argv[2];
  options.request = read_file(argv[3]);
  options.time = std::chrono::duration<double>(std::strtod(argv[4], nullptr));
  if (argc > 5) options.connections = std::strtoul(argv[5], nullptr, 10);
  if (argc > 6) options.is_kept = std::string_view(argv[6]) == "kept";

  Result result = Load(options).run();
  auto& times = result.microseconds;
  fmt::print(R"({{"requests": {}, "failures": {}, "rate": {:.1f}, "p50": {:.1f}, "p99": {:.1f}}})", times.size(),
             result.failures, static_cast<double>(times.size()) / result.seconds, percentile(times, 0.5),
             percentile(times, 0.99));
  return result.failures == 0 ? 0 : 1;
}
