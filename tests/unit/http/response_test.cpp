#include "http/response.hpp"

#include <gtest/gtest.h>

namespace gatehouse::http {
namespace {

TEST(ReasonPhrase, NamesEveryStatusWeSend) {
  for (const int status : {200, 302, 303, 400, 401, 403, 404, 405, 413, 429, 431, 500, 502, 503, 504}) {
    EXPECT_NE(reason_phrase(status), "Unknown") << status;
  }
  EXPECT_EQ(reason_phrase(303), "See Other");
}

TEST(ReasonPhrase, IsUnknownForAnUnnamedStatus) {
  EXPECT_EQ(reason_phrase(0), "Unknown");
  EXPECT_EQ(reason_phrase(299), "Unknown");
  EXPECT_EQ(reason_phrase(-1), "Unknown");
}

TEST(ResponseHead, IsAnErrorUntilSomebodySaysOtherwise) {
  EXPECT_EQ(ResponseHead().status, 500);
}

}  // namespace
}  // namespace gatehouse::http
