// fastcgi_responder SOCKET ANSWER: the bare limit over FastCGI. ANSWER is a file with the records of one answer to
// request 1, END_REQUEST among them.
#include "bench/record.hpp"
#include "bench/responder.hpp"

namespace {

constexpr char kKeepConnection = 1;

// A request ends with the empty record of its STDIN; PARAMS are walked over, not read.
std::optional<bench::RequestEnd> read_request(std::string_view received) {
  bench::RequestEnd request;
  while (const auto record = bench::front_record(received.substr(request.size))) {
    request.size += record->size;
    if (record->type == bench::Type::begin_request) request.closes = (record->content[2] & kKeepConnection) == 0;
    if (record->type == bench::Type::standard_input && record->content.empty()) return request;
  }
  return std::nullopt;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  bench::respond<read_request>(argv[1], bench::read_answer(argv[2]));
}
