#include "http/negotiation.hpp"

#include <gtest/gtest.h>

namespace gatehouse::http {
namespace {

constexpr const char* kFirefox = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
constexpr const char* kChromium =
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
    "application/signed-exchange;v=b3;q=0.7";

Request request(const char* method, Headers headers) {
  Request made;
  made.method = method;
  made.headers = std::move(headers);
  return made;
}

TEST(PrefersHtml, IsTrueForBrowsers) {
  EXPECT_TRUE(prefers_html(kFirefox));
  EXPECT_TRUE(prefers_html(kChromium));
  EXPECT_TRUE(prefers_html("text/html, application/xhtml+xml, */*"));                 // Internet Explorer
  EXPECT_TRUE(prefers_html("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"));  // HttpURLConnection
}

TEST(PrefersHtml, IsFalseForPrograms) {
  for (const char* accept : {"", "*/*", "*", "application/json", "application/json, text/plain, */*",
                             "application/json, text/javascript, */*; q=0.01", "text/plain", "image/*", "  "}) {
    EXPECT_FALSE(prefers_html(accept)) << accept;
  }
}

TEST(PrefersHtml, QValuesCount) {
  EXPECT_TRUE(prefers_html("application/json;q=0.5, text/html;q=0.6"));
  EXPECT_TRUE(prefers_html("application/json;q=0.123,text/html;q=0.124"));
  EXPECT_FALSE(prefers_html("text/html;q=0.5, application/json;q=0.6"));
  EXPECT_FALSE(prefers_html("text/html;q=0.5, application/json"));
  EXPECT_FALSE(prefers_html("text/html, application/json"));
  EXPECT_FALSE(prefers_html("text/html;q=0"));
  EXPECT_FALSE(prefers_html("text/html;q=0.0, application/json;q=0"));
  EXPECT_TRUE(prefers_html("application/json;q=0, */*"));
}

TEST(PrefersHtml, TheMoreSpecificRangeDecides) {
  EXPECT_TRUE(prefers_html("text/*"));
  EXPECT_TRUE(prefers_html("text/*, */*;q=0.1"));
  EXPECT_FALSE(prefers_html("text/*, text/html;q=0"));
  EXPECT_FALSE(prefers_html("text/html;q=0, */*"));
  EXPECT_FALSE(prefers_html("application/*, */*"));
}

TEST(PrefersHtml, SpaceCaseAndParametersDoNotConfuse) {
  EXPECT_TRUE(prefers_html(" TEXT/HTML ; charset=utf-8 ; Q = 0.9 , application/json ; q=0.8"));
  EXPECT_TRUE(prefers_html("text/html;level=1"));
  EXPECT_FALSE(prefers_html("text/htmlx, xtext/html, text/, /html"));
}

TEST(PrefersHtml, AMalformedQCountsAsZero) {
  for (const char* accept : {"text/html;q=", "text/html;q=x", "text/html;q=-1", "text/html;q=0.x", "text/html;q=2"}) {
    EXPECT_FALSE(prefers_html(accept)) << accept;
  }
  EXPECT_TRUE(prefers_html("text/html;q=0.99999"));
  EXPECT_TRUE(prefers_html("text/html;;,,,"));
}

TEST(IsNavigation, FollowsSecFetchModeWhereThereIsOne) {
  EXPECT_TRUE(is_navigation(request("GET", {{"sec-fetch-mode", "navigate"}})));
  EXPECT_TRUE(is_navigation(request("HEAD", {{"sec-fetch-mode", "navigate"}, {"accept", "*/*"}})));
  EXPECT_FALSE(is_navigation(request("GET", {{"sec-fetch-mode", "cors"}, {"accept", kFirefox}})));
  EXPECT_FALSE(is_navigation(request("GET", {{"sec-fetch-mode", "Navigate, cors"}, {"accept", kFirefox}})));
}

TEST(IsNavigation, ElseNeedsHtmlInAccept) {
  EXPECT_TRUE(is_navigation(request("GET", {{"accept", kFirefox}})));
  EXPECT_TRUE(is_navigation(request("GET", {{"accept", "application/json, text/html;q=0.1"}})));
  EXPECT_FALSE(is_navigation(request("GET", {{"accept", "*/*"}})));
  EXPECT_FALSE(is_navigation(request("GET", {{"accept", "text/*"}})));
  EXPECT_FALSE(is_navigation(request("GET", {{"accept", "text/html;q=0"}})));
  EXPECT_FALSE(is_navigation(request("GET", {})));
}

// A snippet that sets the parameter from nginx's $http_sec_fetch_mode sends it empty where the browser sent none.
TEST(IsNavigation, AnEmptySecFetchModeIsAnAbsentOne) {
  EXPECT_TRUE(is_navigation(request("GET", {{"sec-fetch-mode", ""}, {"accept", kFirefox}})));
}

TEST(IsNavigation, IsOnlyGetOrHead) {
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "get", "", "GET "}) {
    EXPECT_FALSE(is_navigation(request(method, {{"sec-fetch-mode", "navigate"}, {"accept", kFirefox}}))) << method;
  }
}

TEST(WantsJson, OnlyWhereItIsNamedAndPageIsNotPreferred) {
  for (const auto* accept : {"application/json", "application/json, text/html;q=0.5", "application/json, text/html"}) {
    EXPECT_TRUE(wants_json(accept)) << accept;
  }
  for (const auto* accept : {"", "*/*", "text/html", "text/html, application/json;q=0.9"}) {
    EXPECT_FALSE(wants_json(accept)) << accept;
  }
}

}  // namespace
}  // namespace gatehouse::http
