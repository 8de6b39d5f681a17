// What a program's CGI variables say of a request.
#include "middleware/environment.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "auth/csrf.hpp"

namespace gatehouse::middleware {
namespace {

// The null pointer at the end is added.
auth::RequestView read(std::vector<const char*> lines) {
  lines.push_back(nullptr);
  return read_request(Environment(lines.data()));
}

TEST(Environment, EveryVariableThatAuthRequestReads) {
  const auto view =
      read({"REQUEST_METHOD=POST", "REQUEST_SCHEME=https", "SERVER_PORT=8443", "HTTP_HOST=app.example.org:8443",
            "HTTP_COOKIE=a=1; b=2", "HTTP_ORIGIN=https://x.example", "HTTP_SEC_FETCH_SITE=same-site",
            "HTTP_AUTHORIZATION=Bearer abc", "REMOTE_ADDR=192.0.2.7", "HTTP_USER_AGENT=Mozilla/5.0"});
  EXPECT_EQ(view.method, "POST");
  EXPECT_EQ(view.scheme, "https");
  EXPECT_EQ(view.server_port, 8443);
  EXPECT_EQ(view.host, "app.example.org:8443");
  EXPECT_EQ(view.cookie, "a=1; b=2");
  EXPECT_EQ(view.origin, "https://x.example");
  EXPECT_EQ(view.sec_fetch_site, "same-site");
  EXPECT_EQ(view.authorization, "Bearer abc");
  EXPECT_EQ(view.address, "192.0.2.7");
  EXPECT_EQ(view.device, "Mozilla/5.0");
}

TEST(Environment, AbsentIsNotEmpty) {
  const auto nothing = read({});
  EXPECT_FALSE(nothing.origin);
  EXPECT_FALSE(nothing.sec_fetch_site);
  EXPECT_FALSE(nothing.authorization);
  EXPECT_EQ(read({"HTTP_ORIGIN="}).origin, "");
  EXPECT_EQ(read({"HTTP_SEC_FETCH_SITE="}).sec_fetch_site, "");
  EXPECT_FALSE(Environment().get("REQUEST_METHOD"));
}

TEST(Environment, HttpsOffIsNotHttps) {
  for (const char* secure : {"HTTPS=on", "HTTPS=ON", "HTTPS=1", "REQUEST_SCHEME=https"}) {
    EXPECT_EQ(read({secure}).scheme, "https") << secure;
  }
  for (const char* plain : {"HTTPS=off", "HTTPS=", "HTTPS=0", "REQUEST_SCHEME=http", "REQUEST_SCHEME=", "A=b"}) {
    EXPECT_EQ(read({plain}).scheme, "http") << plain;
  }
  EXPECT_EQ(read({"HTTPS=on", "REQUEST_SCHEME=http"}).scheme, "https");
}

TEST(Environment, SeveralCookieHeadersAreOneList) {
  EXPECT_EQ(read({"HTTP_COOKIE=a=1", "X=y", "HTTP_COOKIE=session=t"}).cookie, "a=1; session=t");
}

TEST(Environment, OfADoubledVariableTheLastCounts) {
  const auto view =
      read({"HTTP_HOST=evil.example", "REQUEST_METHOD=POST", "HTTP_HOST=app.example.org", "REQUEST_METHOD=GET"});
  EXPECT_EQ(view.host, "app.example.org");
  EXPECT_EQ(view.method, "GET");
}

// Two answers are none: neither of them may pass for the visitor's.
TEST(Environment, DoubledEvidenceOfTheOriginIsForeign) {
  const auto own = http::Origin::parse("https://app.example.org");
  const auto judged = [&](std::vector<const char*> lines) {
    lines.push_back("REQUEST_METHOD=POST");
    const auto view = read(lines);
    return auth::judge_origin({view.method, view.origin, view.sec_fetch_site}, own, {});
  };
  const char* const ours = "HTTP_ORIGIN=https://app.example.org";
  EXPECT_EQ(judged({ours}), auth::OriginVerdict::own);
  EXPECT_EQ(judged({ours, ours}), auth::OriginVerdict::own);
  EXPECT_EQ(judged({ours, "HTTP_ORIGIN=https://evil.example"}), auth::OriginVerdict::foreign);
  EXPECT_EQ(judged({"HTTP_ORIGIN=https://evil.example", ours}), auth::OriginVerdict::foreign);
  EXPECT_EQ(judged({"HTTP_ORIGIN=", ours}), auth::OriginVerdict::foreign);
  EXPECT_EQ(judged({ours, "HTTP_ORIGIN="}), auth::OriginVerdict::foreign);
  EXPECT_EQ(judged({"HTTP_SEC_FETCH_SITE=same-origin", "HTTP_SEC_FETCH_SITE=cross-site"}),
            auth::OriginVerdict::foreign);
}

TEST(Environment, OfTwoAuthorizationsNoneIsABearerToken) {
  EXPECT_EQ(read({"HTTP_AUTHORIZATION=Bearer a", "HTTP_AUTHORIZATION=Bearer b"}).authorization, "Bearer a, Bearer b");
}

TEST(Environment, ANameIsMatchedWhole) {
  const auto view = read({"HTTP_HOSTX=a", "XHTTP_HOST=b", "HTTP_HOST", "http_host=c", "=d", ""});
  EXPECT_EQ(view.host, "");
}

TEST(Environment, AValueMayHoldEqualsSigns) {
  EXPECT_EQ(read({"HTTP_COOKIE=session==x=y"}).cookie, "session==x=y");
}

TEST(Environment, APortThatIsNoneIsUnknown) {
  for (const char* port :
       {"SERVER_PORT=", "SERVER_PORT=http", "SERVER_PORT=65536", "SERVER_PORT=-1", "SERVER_PORT=80 "}) {
    EXPECT_EQ(read({port}).server_port, 0) << port;
  }
}

TEST(Environment, TheLengthOfTheBody) {
  const auto length = [](std::vector<const char*> lines) {
    lines.push_back(nullptr);
    return body_length(Environment(lines.data()));
  };
  EXPECT_EQ(length({}), 0U);
  EXPECT_EQ(length({"CONTENT_LENGTH="}), 0U);
  EXPECT_EQ(length({"CONTENT_LENGTH=17"}), 17U);
  EXPECT_EQ(length({"HTTP_TRANSFER_ENCODING=chunked"}), kUnknownLength);
  EXPECT_EQ(length({"HTTP_TRANSFER_ENCODING=chunked", "CONTENT_LENGTH=17"}), 17U);
  for (const char* wrong :
       {"CONTENT_LENGTH=1x", "CONTENT_LENGTH=-1", "CONTENT_LENGTH= 1", "CONTENT_LENGTH=99999999999999999999"}) {
    EXPECT_FALSE(length({wrong})) << wrong;
  }
}

}  // namespace
}  // namespace gatehouse::middleware
