#include "httpd/parser.hpp"

#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include <algorithm>
#include <limits>

namespace gatehouse::httpd {

namespace {

namespace beast_http = boost::beast::http;
using boost::beast::error_code;
using BeastView = boost::beast::string_view;

std::string_view view(BeastView text) {
  return {text.data(), text.size()};
}

constexpr std::string_view kEndOfHead = "\r\n\r\n";
// A chunk's size with its extensions, or the trailers of a body.
constexpr std::size_t kMaxChunkHead = std::size_t{8} * 1024;

// What is still to come of a body that has not ended: "0", CRLF, CRLF. Asked twice about less, Beast 1.74 asserts.
constexpr std::size_t kLeastChunks = 5;

using Problem = std::unexpected<ParseProblem>;

Problem refused(std::string_view reason) {
  return Problem({400, reason});
}

std::size_t count(const http::Headers& fields, std::string_view name) {
  return static_cast<std::size_t>(std::ranges::count_if(
      fields.fields(), [name](const http::Header& field) { return http::equals_ignoring_case(field.name, name); }));
}

bool is_number(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// Beast reads "5, 5" and two equal fields as one length, and a coding it does not know as none: on the way to us
// somebody may have read them otherwise (RFC 9112 sections 6.1 to 6.3).
std::expected<void, ParseProblem> check_framing(const RequestHead& head) {
  const std::size_t lengths = count(head.fields, "content-length");
  const std::size_t codings = count(head.fields, "transfer-encoding");
  if (lengths > 1) return refused("Content-Length is there twice");
  if (lengths == 1 && !is_number(*head.fields.get("content-length"))) return refused("Content-Length is no number");
  if (codings > 1) return refused("Transfer-Encoding is there twice");
  if (codings == 0) return {};
  if (lengths > 0) return refused("both Content-Length and Transfer-Encoding");
  if (head.is_http_1_0) return refused("Transfer-Encoding in HTTP/1.0");
  if (!http::equals_ignoring_case(*head.fields.get("transfer-encoding"), "chunked")) {
    return refused("a transfer coding other than chunked");
  }
  return {};
}

// RFC 9112 section 3.2.
std::expected<void, ParseProblem> check_host(const RequestHead& head) {
  const std::size_t hosts = count(head.fields, "host");
  if (hosts > 1) return refused("Host is there twice");
  if (hosts == 0 && !head.is_http_1_0) return refused("no Host");
  return {};
}

// RFC 9112 section 5.2 lets a server refuse it; Beast makes one line of it.
bool has_folded_line(std::string_view head) {
  return head.contains("\n ") || head.contains("\n\t");
}

}  // namespace

class Parser::Beast final : public beast_http::basic_parser<true> {
 public:
  explicit Beast(const ParserLimits& limits) : limits_(limits) {
    header_limit(static_cast<std::uint32_t>(limits.head_bytes) + 1);
    // Who reads the body sets its own. None would be exceeded by every length (Beast 1.74).
    body_limit(std::numeric_limits<std::uint64_t>::max());
    eager(false);
  }

  RequestHead head;
  std::string* body = nullptr;  // where take_body wants it
  bool expects_continue = false;

 private:
  void on_request_impl(beast_http::verb, BeastView method, BeastView target, int version, error_code&) override {
    head.method = view(method);
    head.target = view(target);
    head.is_http_1_0 = version < 11;
  }
  void on_field_impl(beast_http::field, BeastView name, BeastView value, error_code& error) override {
    if (is_header_done()) return;  // a trailer: nobody here reads one
    if (head.fields.fields().size() >= limits_.fields) {
      error = beast_http::error::header_limit;
      return;
    }
    head.fields.add(std::string(view(name)), std::string(view(value)));
  }
  void on_header_impl(error_code&) override {
    head.is_chunked = chunked();
    if (const auto length = content_length(); length && !head.is_chunked) head.content_length = *length;
    expects_continue =
        !head.is_http_1_0 && http::equals_ignoring_case(head.fields.get("expect").value_or(""), "100-continue");
  }
  std::size_t take(BeastView bytes) {
    body->append(bytes.data(), bytes.size());
    return bytes.size();
  }
  std::size_t on_body_impl(BeastView bytes, error_code&) override { return take(bytes); }
  std::size_t on_chunk_body_impl(std::uint64_t, BeastView bytes, error_code&) override { return take(bytes); }
  void on_response_impl(int, BeastView, int, error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  void on_chunk_header_impl(std::uint64_t, BeastView, error_code&) override {}
  void on_finish_impl(error_code&) override {}

  const ParserLimits limits_;
};

Parser::Parser(const ParserLimits& limits) : limits_(limits), beast_(std::make_unique<Beast>(limits)) {}
Parser::~Parser() = default;
Parser::Parser(Parser&&) noexcept = default;
Parser& Parser::operator=(Parser&&) noexcept = default;

// A line ends with CRLF: what a lone LF is, two readers may see differently. Looks at what was not looked at yet.
bool Parser::has_lone_line_feed(std::string_view input) const {
  for (std::size_t at = input.find('\n', searched_); at != input.npos; at = input.find('\n', at + 1)) {
    if (at == 0 || input[at - 1] != '\r') return true;
  }
  return false;
}

std::expected<std::size_t, ParseProblem> Parser::take_head(std::string_view input) {
  const std::size_t end = input.find(kEndOfHead, searched_ - std::min(searched_, kEndOfHead.size() - 1));
  const std::size_t size = end == input.npos ? input.size() : end + kEndOfHead.size();
  if (has_lone_line_feed(input.substr(0, std::min(size, limits_.head_bytes)))) {
    return refused("a line does not end with CRLF");
  }
  if (size > limits_.head_bytes) return Problem({431, "the head is too long"});
  searched_ = size;
  if (end == input.npos) return std::size_t{0};
  if (has_folded_line(input.substr(0, size))) return refused("a folded line");
  error_code error;
  const std::size_t taken = beast_->put(boost::asio::buffer(input.data(), size), error);
  if (error == beast_http::error::header_limit) return Problem({431, "too many fields"});
  if (error || taken != size || !beast_->is_header_done()) return refused("no HTTP request");
  if (auto framing = check_framing(beast_->head); !framing) return std::unexpected(framing.error());
  if (auto host = check_host(beast_->head); !host) return std::unexpected(host.error());
  return size;
}

std::expected<std::size_t, ParseProblem> Parser::take_body(std::string_view input, std::string& body) {
  if (input.empty() || is_done()) return std::size_t{0};
  if (beast_->head.is_chunked && input.size() < kLeastChunks) return std::size_t{0};
  beast_->body = &body;
  error_code error;
  const std::size_t taken = beast_->put(boost::asio::buffer(input.data(), input.size()), error);
  if (error == beast_http::error::need_more && input.size() - taken > kMaxChunkHead)
    return refused("an endless chunk head");
  if (error && error != beast_http::error::need_more) return refused("a broken chunk");
  return taken;
}

const RequestHead& Parser::head() const {
  return beast_->head;
}

bool Parser::is_done() const {
  return beast_->is_done();
}

bool Parser::keeps() const {
  return beast_->keep_alive();
}

bool Parser::expects_continue() const {
  return beast_->expects_continue && !is_done();
}

}  // namespace gatehouse::httpd
