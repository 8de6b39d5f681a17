// The head of an answer: Status first, and nothing that could make a line of its own.
#include "http/cgi_head.hpp"

#include <gtest/gtest.h>

namespace gatehouse::http {
namespace {

ResponseHead head(int status, std::initializer_list<Header> fields, std::string reason = {}) {
  return {.status = status, .reason = std::move(reason), .headers = Headers(fields)};
}

std::string text(const ResponseHead& of) {
  std::string out;
  append_cgi_head(out, of);
  return out;
}

TEST(CgiHead, BeginsWithStatusAndEndsWithAnEmptyLine) {
  EXPECT_EQ(text(head(200, {})), "Status: 200 OK\r\n\r\n");
  EXPECT_EQ(text(head(403, {{"Content-Type", "text/html"}, {"Set-Cookie", "a=b"}})),
            "Status: 403 Forbidden\r\nContent-Type: text/html\r\nSet-Cookie: a=b\r\n\r\n");
}

TEST(CgiHead, AReasonOfItsOwnIsKept) {
  EXPECT_EQ(text(head(200, {}, "Fine")), "Status: 200 Fine\r\n\r\n");
}

TEST(CgiHead, OnlyOneStatusLineDecides) {
  EXPECT_EQ(text(head(403, {{"status", "200 OK"}, {"STATUS", "200"}, {"X", "1"}})),
            "Status: 403 Forbidden\r\nX: 1\r\n\r\n");
}

TEST(CgiHead, LineBreaksAndNulAreNotWritable) {
  EXPECT_TRUE(is_writable(head(200, {{"X-Name", "any value; \t \xc3\xa4"}})));
  for (const std::string& bad : {std::string("a\rb"), std::string("a\nb"), std::string("a\0b", 3), std::string("\n")}) {
    EXPECT_FALSE(is_writable(head(200, {{"X", bad}})));
    EXPECT_FALSE(is_writable(head(200, {{bad, "x"}})));
    EXPECT_FALSE(is_writable(head(200, {}, bad)));
  }
}

TEST(CgiHead, NamesAreTokens) {
  for (const char* bad : {"", "A B", "A:", "A:B", "\xc3\xa4", "A\t"})
    EXPECT_FALSE(is_writable(head(200, {{bad, "x"}})));
  EXPECT_TRUE(is_writable(head(200, {{"Variable-REMOTE_USER", ""}})));
}

TEST(CgiHead, AStatusHasThreeDigits) {
  for (const int bad : {-1, 0, 99, 1000}) EXPECT_FALSE(is_writable(head(bad, {})));
  for (const int good : {100, 200, 599, 999}) EXPECT_TRUE(is_writable(head(good, {})));
}

}  // namespace
}  // namespace gatehouse::http
