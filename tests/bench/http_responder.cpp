// http_responder SOCKET ANSWER: the bare limit over HTTP/1.1. ANSWER is a file with one whole answer, Content-Length
// among its fields. Requests have no body, as those of a check.
#include "bench/responder.hpp"

namespace {

std::optional<bench::RequestEnd> read_request(std::string_view received) {
  const std::size_t end = received.find("\r\n\r\n");
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view head = received.substr(0, end + 2);
  return bench::RequestEnd{end + 4, head.find("\r\nConnection: close\r\n") != std::string_view::npos};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  bench::respond<read_request>(argv[1], bench::read_answer(argv[2]));
}
