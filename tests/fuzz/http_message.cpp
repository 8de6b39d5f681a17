// httpd::Parser: requests on a kept connection, in pieces of any size. However they are cut they are the same requests,
// and what is taken for one has no second reading.
// Input: what the peer sends; at its end one byte for how it is cut.
#include <algorithm>
#include <string>
#include <vector>

#include "fuzz/fuzz.hpp"
#include "http/syntax.hpp"
#include "httpd/parser.hpp"

namespace gatehouse::fuzz {
namespace {

using httpd::Parser;
using httpd::RequestHead;

struct Message {
  RequestHead head;
  std::string body;
  bool is_whole = false;
};

struct Conversation {
  std::vector<Message> messages;
  int refused = 0;  ///< the status; 0: none was
};

bool is_same(const Message& a, const Message& b) {
  return a.head.method == b.head.method && a.head.target == b.head.target && a.head.fields == b.head.fields &&
         a.head.is_chunked == b.head.is_chunked && a.head.content_length == b.head.content_length &&
         a.is_whole == b.is_whole && (a.body == b.body || !a.is_whole);
}

bool is_cut_off(const Conversation& conversation) {
  return !conversation.messages.empty() && !conversation.messages.back().is_whole;
}

// Within a body that does not end, a refusal may come sooner or later (Beast waits for the end of a quoted extension).
bool is_same(const Conversation& a, const Conversation& b) {
  return (a.refused == b.refused || (is_cut_off(a) && is_cut_off(b))) &&
         std::ranges::equal(a.messages, b.messages, [](const auto& x, const auto& y) { return is_same(x, y); });
}

// As a connection does it: what has come is kept until the parser takes it.
class Reader {
 public:
  // Returns false once the conversation is over.
  bool take(std::string_view piece) {
    input_.append(piece);
    while (conversation.refused == 0) {
      const auto taken = step();
      if (!taken) conversation.refused = taken.error().status;
      if (!taken || *taken == 0) break;
      input_.erase(0, *taken);
    }
    return conversation.refused == 0;
  }

  Conversation conversation;

 private:
  std::expected<std::size_t, httpd::ParseProblem> step() {
    if (!in_body_) {
      const auto taken = parser_.take_head(input_);
      if (taken && *taken > 0) begin_message();
      return taken;
    }
    Message& message = conversation.messages.back();
    const auto taken = parser_.take_body(input_, message.body);
    end_message_if_done();
    return taken;
  }
  void begin_message() {
    conversation.messages.push_back({parser_.head(), {}, false});
    in_body_ = true;
    end_message_if_done();
  }
  void end_message_if_done() {
    if (!parser_.is_done()) return;
    conversation.messages.back().is_whole = true;
    in_body_ = false;
    parser_ = Parser(kLimits);
  }

  static constexpr httpd::ParserLimits kLimits{.head_bytes = 2000, .fields = 20};
  Parser parser_{kLimits};
  std::string input_;
  bool in_body_ = false;
};

Conversation read_cut(std::string_view bytes, std::uint8_t how) {
  Reader reader;
  for (const auto& piece : cut(bytes, how)) {
    if (!reader.take(view(piece))) break;
  }
  return std::move(reader.conversation);
}

std::ptrdiff_t count(const http::Headers& fields, std::string_view name) {
  return std::ranges::count_if(
      fields.fields(), [name](const http::Header& field) { return http::equals_ignoring_case(field.name, name); });
}

void check_head(const RequestHead& head) {
  require(http::is_token(head.method), "the method is a token");
  require(
      !head.target.empty() && std::ranges::none_of(head.target, [](char c) { return c == ' ' || http::is_control(c); }),
      "the target is one word");
  for (const auto& [name, value] : head.fields.fields()) {
    require(http::is_token(name), "a field's name is a token");
    require(!http::has_control_byte(value), "no control byte in a value");
  }
  require(head.fields.fields().size() <= 20, "not more fields than allowed");
  const auto lengths = count(head.fields, "content-length");
  const auto codings = count(head.fields, "transfer-encoding");
  require(lengths + codings <= 1, "the body is framed in one way, or in none");
  require(head.is_chunked == (codings == 1), "chunked is what the field says");
  require(head.content_length.has_value() == (lengths == 1), "a length is what the field says");
  const auto hosts = count(head.fields, "host");
  require(hosts == 1 || (hosts == 0 && head.is_http_1_0), "one Host");
}

void check(const Message& message) {
  check_head(message.head);
  if (!message.is_whole || message.head.is_chunked) return;
  require(message.body.size() == message.head.content_length.value_or(0), "a body is as long as announced");
}

}  // namespace
}  // namespace gatehouse::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gatehouse::fuzz;
  Input input(data, size);
  const auto how = input.choice();
  const auto whole = read_cut(input.rest(), 0);
  require(whole.refused == 0 || whole.refused == 400 || whole.refused == 431, "a refusal is 400 or 431");
  for (const auto& message : whole.messages) check(message);
  for (const auto way : ways_to_cut(input.rest(), how)) {
    require(is_same(whole, read_cut(input.rest(), way)), "cut differently, the same requests are read");
  }
  return 0;
}
