// The head of an answer as it goes over the wire.
#include "httpd/answer_head.hpp"

#include <gtest/gtest.h>

namespace gatehouse::httpd {
namespace {

constexpr std::time_t kNow = 784111777;  // the example of RFC 9110 section 5.6.7

http::ResponseHead head(int status, http::Headers headers) {
  return {.status = status, .reason = {}, .headers = std::move(headers)};
}

TEST(AnswerHead, HasADateAndTheStatussReason) {
  std::string out;
  EXPECT_TRUE(append_answer_head(out, head(200, {{"Content-Length", "2"}, {"A", "b"}}), {.keeps = true}, kNow));
  EXPECT_EQ(out, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: b\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n");
}

TEST(AnswerHead, WhatItSaysOfTheConnectionIsOurs) {
  std::string out;
  const http::Headers fields{{"Content-Length", "0"},
                             {"connection", "upgrade"},
                             {"Transfer-Encoding", "chunked"},
                             {"Keep-Alive", "x"},
                             {"Date", "now"}};
  EXPECT_FALSE(append_answer_head(out, head(404, fields), {}, kNow));
  EXPECT_EQ(out, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nDate: now\r\nConnection: close\r\n\r\n");
}

TEST(AnswerHead, AnOldPeerIsToldThatTheConnectionIsKept) {
  std::string out;
  EXPECT_TRUE(
      append_answer_head(out, head(200, {{"Content-Length", "0"}}), {.is_http_1_0 = true, .keeps = true}, kNow));
  EXPECT_TRUE(out.ends_with("\r\nConnection: keep-alive\r\n\r\n"));
}

TEST(AnswerHead, WithoutALengthTheConnectionEndsUnlessThereIsNoBody) {
  std::string out;
  EXPECT_FALSE(append_answer_head(out, head(200, {}), {.keeps = true}, kNow));
  EXPECT_TRUE(append_answer_head(out, head(204, {}), {.keeps = true}, kNow));
  EXPECT_TRUE(append_answer_head(out, head(304, {}), {.keeps = true}, kNow));
  EXPECT_TRUE(append_answer_head(out, head(200, {}), {.is_head_request = true, .keeps = true}, kNow));
}

}  // namespace
}  // namespace gatehouse::httpd
