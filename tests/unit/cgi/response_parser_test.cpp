// The header block of a script, whole, in bytes, and wrong in every way that was thought of.
#include "cgi/response_parser.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace gatehouse::cgi {
namespace {

using namespace std::string_literals;

struct Parsed {
  bool is_complete = false;
  std::string reason;  // of a refusal
  http::ResponseHead head;
  std::string rest;
  std::optional<std::string> local_redirect;
};

Parsed parse_in_pieces(std::string_view bytes, std::size_t size) {
  ResponseParser parser;
  while (!bytes.empty()) {
    const auto piece = bytes.substr(0, size);
    bytes.remove_prefix(piece.size());
    auto step = parser.feed(piece);
    if (const auto* malformed = std::get_if<ResponseParser::Malformed>(&step)) {
      return {.is_complete = false, .reason = malformed->reason, .head = {}, .rest = {}, .local_redirect = {}};
    }
    if (auto* complete = std::get_if<ResponseParser::Complete>(&step)) {
      return {true, "", complete->head, std::string(complete->rest) + std::string(bytes), complete->local_redirect};
    }
  }
  return {};
}

Parsed parse(std::string_view bytes) {
  auto whole = parse_in_pieces(bytes, bytes.size());
  const auto byte_by_byte = parse_in_pieces(bytes, 1);
  EXPECT_EQ(whole.is_complete, byte_by_byte.is_complete);
  EXPECT_EQ(whole.reason, byte_by_byte.reason);
  EXPECT_EQ(whole.head.status, byte_by_byte.head.status);
  EXPECT_EQ(whole.head.headers, byte_by_byte.head.headers);
  EXPECT_EQ(whole.rest, byte_by_byte.rest);
  return whole;
}

TEST(ResponseParser, ReadsABlock) {
  const auto parsed = parse("Content-Type: text/plain\nX-Other:  b c \t\n\nbody\n\n");
  ASSERT_TRUE(parsed.is_complete);
  EXPECT_EQ(parsed.head.status, 200);
  EXPECT_EQ(parsed.head.reason, "");
  EXPECT_EQ(parsed.head.headers, (http::Headers{{"Content-Type", "text/plain"}, {"X-Other", "b c"}}));
  EXPECT_EQ(parsed.rest, "body\n\n");
  EXPECT_EQ(parsed.local_redirect, std::nullopt);
}

TEST(ResponseParser, LinesMayEndInCrLf) {
  const auto parsed = parse("Content-Type: text/plain\r\nStatus: 404 Not Found\r\n\r\n\r\nx");
  ASSERT_TRUE(parsed.is_complete);
  EXPECT_EQ(parsed.head.status, 404);
  EXPECT_EQ(parsed.head.reason, "Not Found");
  EXPECT_EQ(parsed.head.headers, (http::Headers{{"Content-Type", "text/plain"}}));
  EXPECT_EQ(parsed.rest, "\r\nx");
}

TEST(ResponseParser, LineEndsMayBeMixed) {
  EXPECT_EQ(parse("Content-Type: a\r\nX: b\n\r\nrest").rest, "rest");
  EXPECT_EQ(parse("Content-Type: a\r\n\nrest").rest, "rest");
}

TEST(ResponseParser, UnfinishedBlockNeedsMore) {
  for (const auto* text :
       {"C", "Content-Type: a", "Content-Type: a\n", "Content-Type: a\r\n\r", "Content-Type: a\nX"}) {
    const auto parsed = parse(text);
    EXPECT_FALSE(parsed.is_complete) << text;
    EXPECT_EQ(parsed.reason, "") << text;
  }
}

TEST(ResponseParser, StatusLineCounts) {
  const auto parsed = parse("HTTP/1.1 206 Partial  Thing\r\nX: y\r\n\r\n");
  ASSERT_TRUE(parsed.is_complete);
  EXPECT_EQ(parsed.head.status, 206);
  EXPECT_EQ(parsed.head.reason, "Partial  Thing");
  EXPECT_TRUE(parse("HTTP/1.0 200\n\n").is_complete);
}

TEST(ResponseParser, StatusMayLackAReason) {
  EXPECT_EQ(parse("Status: 200\n\n").head.status, 200);
  EXPECT_EQ(parse("status:599\n\n").head.status, 599);
  EXPECT_EQ(parse("Status: 200 Script output follows\n\n").head.reason, "Script output follows");
}

TEST(ResponseParser, StatusIsNoHeader) {
  EXPECT_FALSE(parse("Status: 200\nContent-Type: a\n\n").head.headers.has("Status"));
}

TEST(ResponseParser, LocationMeansFound) {
  const auto parsed = parse("Location: https://example.org/\n\n");
  EXPECT_EQ(parsed.head.status, 302);
  EXPECT_EQ(parsed.local_redirect, std::nullopt);
  EXPECT_EQ(parse("Location: https://example.org/\nStatus: 201\n\n").head.status, 201);
}

TEST(ResponseParser, LocationAloneWithAPathIsALocalRedirect) {
  EXPECT_EQ(parse("Location: /other?x=1\n\n").local_redirect, "/other?x=1");
  EXPECT_EQ(parse("location: /other\r\n\r\n").local_redirect, "/other");
  EXPECT_EQ(parse("Location: /other\nContent-Type: a\n\n").local_redirect, std::nullopt);
  EXPECT_EQ(parse("Location: /other\nSet-Cookie: a=b\n\n").local_redirect, std::nullopt);
  EXPECT_EQ(parse("Status: 302\nLocation: /other\n\n").local_redirect, std::nullopt);
  EXPECT_EQ(parse("HTTP/1.1 302 Found\nLocation: /other\n\n").local_redirect, std::nullopt);
  EXPECT_EQ(parse("Location: other\n\n").local_redirect, std::nullopt);
}

TEST(ResponseParser, OddHeadersPassAsTheyAre) {
  const auto parsed = parse(
      "Content-Type: a\nset-cookie: a=1\nSet-Cookie: b=2\nETag: unquoted\nDate: yesterday\nX-Empty:\nx-utf8: "
      "\xc3\xa4\n\n");
  ASSERT_TRUE(parsed.is_complete);
  EXPECT_EQ(parsed.head.headers, (http::Headers{{"Content-Type", "a"},
                                                {"set-cookie", "a=1"},
                                                {"Set-Cookie", "b=2"},
                                                {"ETag", "unquoted"},
                                                {"Date", "yesterday"},
                                                {"X-Empty", ""},
                                                {"x-utf8", "\xc3\xa4"}}));
}

class Refused : public testing::TestWithParam<std::string> {};

TEST_P(Refused, IsMalformed) {
  const auto parsed = parse(GetParam());
  EXPECT_FALSE(parsed.is_complete);
  EXPECT_NE(parsed.reason, "");
}

INSTANTIATE_TEST_SUITE_P(
    ResponseParser, Refused,
    testing::Values("\n", "\r\n", "X: y\n\n", "hello world\n\n", "<html>\n\n", "Content-Type: a\nno colon\n\n",
                    "Content-Type : a\n\n", ": a\nStatus: 200\n\n", "Content Type: a\nStatus: 200\n\n",
                    "Content-Type: a\n folded\n\n", "Content-Type: a\n\tfolded: b\n\n", " Content-Type: a\n\n",
                    "Content-Type: a\0b\n\n"s, "Content-Type: a\rb\n\n", "Content-Type: a\x1b\n\n",
                    "Content-Type: a\x7f\n\n", "Content-Type\0: a\n\n"s, "Content-Type: a\nX\xc3\xa4: b\n\n",
                    "Status: abc\n\n", "Status: 20\n\n", "Status: 2000\n\n", "Status: 200OK\n\n", "Status:\n\n",
                    "Status: 099\n\n", "Status: 600\n\n", "Status: 100 Continue\n\n", "Status: 103\n\n",
                    "Status: -20\n\n", "Status: 200 a\x01\n\n", "HTTP/1.1\n\n", "HTTP/1.1 100 Continue\n\n",
                    "HTTP/1.1 abc\n\n", "HTTP/2 200\n\n", "Status: 200\nStatus: 200\n\n",
                    "HTTP/1.1 200 OK\nStatus: 200\n\n", "X: y\nHTTP/1.1 200 OK\n\n", "Location: /a\nlocation: /b\n\n",
                    "Content-Type: a\ncontent-type: a\n\n", "Status: 200\nContent-Length: 1\nContent-length: 2\n\n",
                    "Status: 200\nContent-Length:\n\n", "Status: 200\nContent-Length: 5, 5\n\n",
                    "Status: 200\nContent-Length: +5\n\n", "Status: 200\nContent-Length: 1000000000000000000\n\n"));

TEST(ResponseParser, HeaderMayHaveThatSizeAndNoMore) {
  const std::string begin = "Content-Type: ";
  const auto block = [&](std::size_t size) { return begin + std::string(size - begin.size() - 2, 'a') + "\n\n"; };
  EXPECT_EQ(parse(block(ResponseParser::kMaxHeaderBytes) + "rest").rest, "rest");
  EXPECT_NE(parse(block(ResponseParser::kMaxHeaderBytes + 1)).reason, "");
  EXPECT_NE(parse(std::string(ResponseParser::kMaxHeaderBytes + 1, 'a')).reason, "");
  EXPECT_EQ(parse(std::string(ResponseParser::kMaxHeaderBytes, 'a')).reason, "");
}

TEST(ResponseParser, HeadersAreCounted) {
  const auto block = [](std::size_t lines) {
    std::string text = "Status: 200\n";
    for (std::size_t line = 0; line < lines; ++line) text += "X: y\n";
    return text + "\n";
  };
  EXPECT_TRUE(parse(block(ResponseParser::kMaxHeaders)).is_complete);
  EXPECT_FALSE(parse(block(ResponseParser::kMaxHeaders + 1)).is_complete);
}

}  // namespace
}  // namespace gatehouse::cgi
