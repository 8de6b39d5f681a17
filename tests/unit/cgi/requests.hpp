// Requests as meta-variables, for the tests of both directions.
#pragma once

#include <gtest/gtest.h>

#include "cgi/read_request.hpp"

namespace gatehouse::cgi {

inline Variables with(Variables more) {
  Variables all{{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "/app"}};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

inline http::Request read(const Variables& variables, bool is_mounted = false) {
  auto request = read_request(variables, {.request_id = "0123456789abcdef", .is_mounted = is_mounted});
  EXPECT_TRUE(request) << request.error().reason;
  return request.value_or(http::Request{});
}

}  // namespace gatehouse::cgi
