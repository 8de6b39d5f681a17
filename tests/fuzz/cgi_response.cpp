// cgi::ResponseParser: what a script says before its body, in pieces of any size; and http/cgi_head, which writes
// such a head for the web server.
// Input: what the script writes; at its end one byte, of which 250 to 255 bring it close to the longest head, and one
// for how it is cut.
#include "cgi/response_parser.hpp"

#include <algorithm>
#include <span>
#include <string>
#include <variant>

#include "fuzz/fuzz.hpp"
#include "http/cgi_head.hpp"

namespace gatehouse::fuzz {
namespace {

using cgi::ResponseParser;

enum class End { need_more, malformed, complete };

struct Answer {
  End end = End::need_more;
  std::string reason;  ///< of malformed
  int status = 0;
  std::string phrase;
  http::Headers headers;
  std::optional<std::string> local_redirect;
  std::string body;

  bool operator==(const Answer&) const = default;
};

Answer answer_of(const ResponseParser::Complete& complete, std::string body) {
  return {.end = End::complete,
          .reason = {},
          .status = complete.head.status,
          .phrase = complete.head.reason,
          .headers = complete.head.headers,
          .local_redirect = complete.local_redirect,
          .body = std::move(body)};
}

Answer read_cut(std::string_view bytes, std::uint8_t how) {
  ResponseParser parser;
  const auto pieces = cut(bytes, how);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const auto step = parser.feed(view(pieces[i]));
    if (const auto* malformed = std::get_if<ResponseParser::Malformed>(&step)) {
      return {.end = End::malformed,
              .reason = malformed->reason,
              .phrase = {},
              .headers = {},
              .local_redirect = {},
              .body = {}};
    }
    if (const auto* complete = std::get_if<ResponseParser::Complete>(&step)) {
      std::string body(complete->rest);
      for (const auto& piece : std::span(pieces).subspan(i + 1)) body += view(piece);
      return answer_of(*complete, std::move(body));
    }
  }
  return {};
}

bool is_control(char byte) {
  const auto value = static_cast<unsigned char>(byte);
  return (value < 0x20 && byte != '\t') || value == 0x7f;
}

bool is_once(std::string_view name, const http::Headers& headers) {
  return std::ranges::count_if(headers.fields(), [name](const http::Header& field) {
           return http::equals_ignoring_case(field.name, name);
         }) <= 1;
}

void check_head(const Answer& answer) {
  require(answer.status >= 200 && answer.status <= 599, "a status is one that a script may send");
  require(std::ranges::none_of(answer.phrase, is_control), "no control byte in the reason");
  require(answer.headers.fields().size() <= ResponseParser::kMaxHeaders, "not more fields than allowed");
  for (const auto& [name, value] : answer.headers.fields()) {
    require(std::ranges::none_of(value, is_control), "no control byte in a value");
    require(value.empty() ||
                (!std::string_view(" \t").contains(value.front()) && !std::string_view(" \t").contains(value.back())),
            "a value is trimmed");
  }
  require(!answer.headers.has("Status"), "the status is no field");
  for (const char* name : {"Location", "Content-Type", "Content-Length"}) {
    require(is_once(name, answer.headers), "what may stand there once stands there once");
  }
  if (answer.local_redirect) {
    require(answer.local_redirect->starts_with('/') && answer.headers.get("Location") == *answer.local_redirect,
            "a local redirect is a Location with a path");
  }
}

// The web server reads what we write as we have read it: no field of the script's becomes a line of its own.
void check_round_trip(const Answer& answer) {
  const http::ResponseHead head{.status = answer.status, .reason = answer.phrase, .headers = answer.headers};
  require(http::is_writable(head), "what was accepted can be written");
  std::string text;
  http::append_cgi_head(text, head);
  if (text.size() > ResponseParser::kMaxHeaderBytes) return;
  const Answer again = read_cut(text + answer.body, 0);
  require(again.end == End::complete && again.status == answer.status && again.headers == answer.headers &&
              again.body == answer.body,
          "a written head is read as the head");
  if (!answer.phrase.empty()) require(again.phrase == answer.phrase, "a reason is kept");
}

void check_limit(std::string_view bytes, const Answer& answer) {
  constexpr std::size_t kMost = ResponseParser::kMaxHeaderBytes;
  if (answer.end == End::complete) require(bytes.size() - answer.body.size() <= kMost, "a head is within its limit");
  if (answer.end == End::need_more) require(bytes.size() <= kMost, "no more is waited for beyond the limit");
}

// A field that brings the head close to its limit: 250 to 255 make it end two bytes before to three behind.
std::string long_field(std::uint8_t choice, std::size_t head) {
  constexpr std::string_view kName = "X-Long: ";
  constexpr std::size_t kRoom = ResponseParser::kMaxHeaderBytes - 2 - kName.size() - 1;
  if (choice < 250 || head > kRoom) return {};
  return std::string(kName) + std::string(kRoom - head + (choice - 250U), 'a') + "\n";
}

}  // namespace
}  // namespace gatehouse::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gatehouse::fuzz;
  Input input(data, size);
  const auto how = input.choice();
  const auto choice = input.choice();
  const std::string bytes = long_field(choice, input.rest().size()) + std::string(input.rest());
  const Answer answer = read_cut(bytes, 0);
  for (const auto each : ways_to_cut(bytes, how)) {
    require(read_cut(bytes, each) == answer, "the answer is the same wherever it is cut");
  }
  check_limit(bytes, answer);
  if (answer.end != End::complete) return 0;
  check_head(answer);
  check_round_trip(answer);
  return 0;
}
