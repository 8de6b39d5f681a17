// The origin check as a table: method, Origin and Sec-Fetch-Site against the verdict.
#include "auth/csrf.hpp"

#include <gtest/gtest.h>

#include <array>

namespace gatehouse::auth {
namespace {

using std::nullopt;
using Text = std::optional<std::string_view>;

const http::Origin kOwn{.scheme = "https", .host = "app.example.org", .port = 443};
const std::array kAllowed{http::Origin{.scheme = "https", .host = "spa.example.org", .port = 8443}};

OriginVerdict judge_post(Text origin, Text sec_fetch_site) {
  return judge_origin({.method = "POST", .origin = origin, .sec_fetch_site = sec_fetch_site}, kOwn, kAllowed);
}

TEST(JudgeOrigin, SafeMethodsAreNotLookedAt) {
  for (const std::string_view method : {"GET", "HEAD", "OPTIONS", "TRACE"}) {
    const OriginEvidence evidence{.method = method, .origin = "https://evil.example", .sec_fetch_site = "cross-site"};
    EXPECT_EQ(judge_origin(evidence, kOwn, kAllowed), OriginVerdict::safe_method) << method;
  }
}

TEST(JudgeOrigin, EveryOtherMethodIsLookedAt) {
  for (const std::string_view method : {"POST", "PUT", "PATCH", "DELETE", "PROPFIND", "get", "Get", "GET ", ""}) {
    const OriginEvidence evidence{.method = method, .origin = "https://evil.example", .sec_fetch_site = nullopt};
    EXPECT_EQ(judge_origin(evidence, kOwn, kAllowed), OriginVerdict::foreign) << method;
  }
}

TEST(JudgeOrigin, SchemeHostAndPortAllCount) {
  EXPECT_EQ(judge_post("https://app.example.org", nullopt), OriginVerdict::own);
  EXPECT_EQ(judge_post("https://app.example.org:443", nullopt), OriginVerdict::own);
  EXPECT_EQ(judge_post("https://APP.example.org", nullopt), OriginVerdict::own);
  EXPECT_EQ(judge_post("http://app.example.org", nullopt), OriginVerdict::foreign);
  EXPECT_EQ(judge_post("http://app.example.org:443", nullopt), OriginVerdict::foreign);
  EXPECT_EQ(judge_post("https://app.example.org:444", nullopt), OriginVerdict::foreign);
  EXPECT_EQ(judge_post("https://example.org", nullopt), OriginVerdict::foreign);
  EXPECT_EQ(judge_post("https://x.app.example.org", nullopt), OriginVerdict::foreign);
  EXPECT_EQ(judge_post("https://app.example.org.evil.example", nullopt), OriginVerdict::foreign);
}

TEST(JudgeOrigin, AllowedOriginsAreOwn) {
  EXPECT_EQ(judge_post("https://spa.example.org:8443", nullopt), OriginVerdict::own);
  EXPECT_EQ(judge_post("https://spa.example.org", nullopt), OriginVerdict::foreign);
}

TEST(JudgeOrigin, NullEmptyAndGarbageOriginsAreForeign) {
  for (const std::string_view origin :
       {std::string_view("null"), std::string_view(""), std::string_view(" "), std::string_view("*"),
        std::string_view("app.example.org"), std::string_view("https://"),
        std::string_view("https://app.example.org/x"), std::string_view("https://a@app.example.org"),
        std::string_view("https://app.example.org:0"),
        std::string_view("https://app.example.org, https://evil.example"), std::string_view("\0\xFF", 2)}) {
    EXPECT_EQ(judge_post(origin, nullopt), OriginVerdict::foreign) << origin;
    EXPECT_EQ(judge_post(origin, "same-origin"), OriginVerdict::foreign) << origin;
  }
}

TEST(JudgeOrigin, OriginOutweighsSecFetchSite) {
  EXPECT_EQ(judge_post("https://evil.example", "same-origin"), OriginVerdict::foreign);
  EXPECT_EQ(judge_post("https://spa.example.org:8443", "same-site"), OriginVerdict::own);
  EXPECT_EQ(judge_post("https://app.example.org", "cross-site"), OriginVerdict::own);
}

TEST(JudgeOrigin, WithoutOriginSecFetchSiteDecides) {
  EXPECT_EQ(judge_post(nullopt, "same-origin"), OriginVerdict::own);
  EXPECT_EQ(judge_post(nullopt, "none"), OriginVerdict::own);
  for (const std::string_view site : {"same-site", "cross-site", "", "Same-Origin", "same-origin, none", "x"}) {
    EXPECT_EQ(judge_post(nullopt, site), OriginVerdict::foreign) << site;
  }
}

TEST(JudgeOrigin, NeitherHeaderIsUnknown) {
  EXPECT_EQ(judge_post(nullopt, nullopt), OriginVerdict::unknown);
}

TEST(JudgeOrigin, ARequestWithoutAnOriginOfItsOwnKnowsOnlyTheConfiguredOnes) {
  const auto judge = [](std::string_view origin) {
    return judge_origin({.method = "POST", .origin = origin, .sec_fetch_site = nullopt}, nullopt, kAllowed);
  };
  EXPECT_EQ(judge("https://app.example.org"), OriginVerdict::foreign);
  EXPECT_EQ(judge("null"), OriginVerdict::foreign);
  EXPECT_EQ(judge("https://spa.example.org:8443"), OriginVerdict::own);
}

}  // namespace
}  // namespace gatehouse::auth
