// Meta-variables in, a request out.
#include "cgi/read_request.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "requests.hpp"

namespace gatehouse::cgi {
namespace {

using namespace std::string_literals;
using testing::Contains;
using testing::Each;
using testing::Not;
using testing::StartsWith;

std::string refusal(const Variables& variables, bool is_mounted = false) {
  const auto request = read_request(variables, {.request_id = "0123456789abcdef", .is_mounted = is_mounted});
  return request ? "" : request.error().reason;
}

// ---- Which request it is ----

TEST(ReadRequest, TakesEveryFieldFromItsVariable) {
  const auto request = read({{"REQUEST_METHOD", "PROPFIND"},
                             {"REQUEST_URI", "/a%20b?x=1&y"},
                             {"SCRIPT_NAME", "/a b"},
                             {"SERVER_NAME", "example.org"},
                             {"SERVER_ADDR", "192.0.2.1"},
                             {"SERVER_PORT", "8080"},
                             {"SERVER_PROTOCOL", "HTTP/2.0"},
                             {"REMOTE_ADDR", "192.0.2.7"},
                             {"REMOTE_PORT", "4711"},
                             {"CONTENT_TYPE", "text/xml"},
                             {"CONTENT_LENGTH", "42"},
                             {"HTTP_HOST", "example.org:8080"},
                             {"HTTP_X_FORWARDED_FOR", "198.51.100.1"}});
  EXPECT_EQ(request.id, "0123456789abcdef");
  EXPECT_EQ(request.method, "PROPFIND");
  EXPECT_EQ(request.path.text(), "/a b");
  EXPECT_EQ(request.query, "x=1&y");
  EXPECT_EQ(request.endpoint_path, "/a b");
  EXPECT_EQ(request.mount, "");
  EXPECT_EQ(request.server_name, "example.org");
  EXPECT_EQ(request.server_addr, "192.0.2.1");
  EXPECT_EQ(request.server_port, 8080);
  EXPECT_EQ(request.server_protocol, "HTTP/2.0");
  EXPECT_EQ(request.remote_addr, "192.0.2.7");
  EXPECT_EQ(request.remote_port, "4711");
  EXPECT_EQ(request.content_type, "text/xml");
  EXPECT_EQ(request.content_length, 42U);
  EXPECT_EQ(request.host, "example.org:8080");
  EXPECT_EQ(request.header("host"), "example.org:8080");
  EXPECT_EQ(request.header("x-forwarded-for"), "198.51.100.1");
}

TEST(ReadRequest, ProtocolHasADefault) {
  EXPECT_EQ(read(with({})).server_protocol, "HTTP/1.1");
  EXPECT_EQ(read(with({{"SERVER_PROTOCOL", ""}})).server_protocol, "HTTP/1.1");
}

struct PathCase {
  std::string name;
  Variables variables;
  bool is_mounted;
  std::string path;  // "": refused
  std::string query;
};

class WhichPath : public testing::TestWithParam<PathCase> {};

TEST_P(WhichPath, IsDecided) {
  Variables variables{{"REQUEST_METHOD", "GET"}};
  variables.insert(variables.end(), GetParam().variables.begin(), GetParam().variables.end());
  if (GetParam().path.empty()) {
    EXPECT_NE(refusal(variables, GetParam().is_mounted), "");
    return;
  }
  const auto request = read(variables, GetParam().is_mounted);
  EXPECT_EQ(request.path.text(), GetParam().path);
  EXPECT_EQ(request.query, GetParam().query);
}

INSTANTIATE_TEST_SUITE_P(
    Environment, WhichPath,
    testing::Values(
        PathCase{"UriIsDecodedOnce", {{"REQUEST_URI", "/%2565?a=%20"}}, false, "/%65", "a=%20"},
        PathCase{"UriIsNormalised", {{"REQUEST_URI", "//a/./b/../c"}}, false, "/a/c", ""},
        PathCase{"UriIsAmbiguous", {{"REQUEST_URI", "/a%2fb"}}, false, "", ""},
        PathCase{"UriIsNoPath", {{"REQUEST_URI", "*"}}, false, "", ""},
        PathCase{"UriIsEmpty", {{"REQUEST_URI", ""}}, false, "", ""},
        PathCase{"NothingIsKnown", {{"SCRIPT_NAME", "/a"}, {"PATH_INFO", "/b"}}, false, "", ""},
        PathCase{"LastUriCounts", {{"REQUEST_URI", "/a"}, {"REQUEST_URI", "/b"}}, false, "/b", ""},
        PathCase{"UriHasTheQuery", {{"REQUEST_URI", "/a?x"}, {"QUERY_STRING", "y"}}, false, "/a", "x"},
        PathCase{"UriHasAnEmptyQuery", {{"REQUEST_URI", "/a?"}, {"QUERY_STRING", "y"}}, false, "/a", ""},
        PathCase{"UriWithoutQuery", {{"REQUEST_URI", "/a"}, {"QUERY_STRING", "y"}}, false, "/a", "y"},
        PathCase{"GivenPathWins", {{"REQUEST_URI", "/a?x"}, {"GATEHOUSE_PATH", "/b"}}, false, "/b", "x"},
        PathCase{"GivenPathIsNotDecodedAgain", {{"GATEHOUSE_PATH", "/%41?b#c"}}, false, "/%41?b#c", ""},
        PathCase{"GivenPathIsNormalised", {{"GATEHOUSE_PATH", "/a/../b//c"}}, false, "/b/c", ""},
        PathCase{"GivenPathTakesTheQueryBesideIt",
                 {{"REQUEST_URI", "/a?x"}, {"GATEHOUSE_PATH", "/b"}, {"QUERY_STRING", "y"}},
                 false,
                 "/b",
                 "y"},
        PathCase{"GivenPathWithAnEmptyQueryBesideIt",
                 {{"REQUEST_URI", "/a?x"}, {"GATEHOUSE_PATH", "/b"}, {"QUERY_STRING", ""}},
                 false,
                 "/b",
                 ""},
        PathCase{"GivenPathIsEmpty", {{"REQUEST_URI", "/a"}, {"GATEHOUSE_PATH", ""}}, false, "", ""},
        PathCase{"GivenPathTwiceTheSame", {{"GATEHOUSE_PATH", "/b"}, {"GATEHOUSE_PATH", "/b"}}, false, "/b", ""},
        PathCase{"GivenPathTwiceAndDiffers", {{"GATEHOUSE_PATH", "/b"}, {"GATEHOUSE_PATH", "/c"}}, false, "", ""},
        PathCase{"GivenPathWinsWhereMounted", {{"GATEHOUSE_PATH", "/b"}, {"PATH_INFO", "/c"}}, true, "/b", ""},
        PathCase{"MountedTakesPathInfo", {{"REQUEST_URI", "/m/a?x"}, {"PATH_INFO", "/a%20"}}, true, "/a%20", "x"},
        PathCase{"MountedTakesQueryString",
                 {{"REQUEST_URI", "/m?x"}, {"PATH_INFO", "/a"}, {"QUERY_STRING", "y"}},
                 true,
                 "/a",
                 "y"},
        PathCase{"MountedWithoutPathInfo", {{"REQUEST_URI", "/m"}}, true, "/", ""},
        PathCase{"MountedByParameter",
                 {{"GATEHOUSE_MOUNT", "1"}, {"REQUEST_URI", "/m/a"}, {"PATH_INFO", "/a"}},
                 false,
                 "/a",
                 ""},
        PathCase{"MountOtherThanOneIsNone",
                 {{"GATEHOUSE_MOUNT", "0"}, {"REQUEST_URI", "/m/a"}, {"PATH_INFO", "/a"}},
                 false,
                 "/m/a",
                 ""}),
    [](const auto& instance) { return instance.param.name; });

TEST(ReadRequest, MountIsTheScriptNameFitForLinks) {
  const Variables variables{{"REQUEST_METHOD", "GET"}, {"SCRIPT_NAME", "//cgi bin/gate"}, {"PATH_INFO", "/a"}};
  const auto request = read(variables, true);
  EXPECT_EQ(request.mount, "/cgi%20bin/gate");
  EXPECT_EQ(request.endpoint_path, "/a");
}

TEST(ReadRequest, MountAtTheRootIsEmpty) {
  EXPECT_EQ(read({{"REQUEST_METHOD", "GET"}, {"SCRIPT_NAME", "/"}, {"PATH_INFO", "/a"}}, true).mount, "");
  EXPECT_EQ(read({{"REQUEST_METHOD", "GET"}, {"SCRIPT_NAME", ""}, {"PATH_INFO", "/a"}}, true).mount, "");
}

TEST(ReadRequest, MountThatIsNoPathIsRefused) {
  EXPECT_NE(refusal({{"REQUEST_METHOD", "GET"}, {"SCRIPT_NAME", "evil.example"}, {"PATH_INFO", "/a"}}, true), "");
}

TEST(ReadRequest, MethodMustBeAToken) {
  EXPECT_NE(refusal({{"REQUEST_URI", "/"}}), "");
  EXPECT_NE(refusal({{"REQUEST_URI", "/"}, {"REQUEST_METHOD", ""}}), "");
  EXPECT_NE(refusal({{"REQUEST_URI", "/"}, {"REQUEST_METHOD", "GET /"}}), "");
  EXPECT_EQ(read({{"REQUEST_URI", "/"}, {"REQUEST_METHOD", "M-SEARCH"}}).method, "M-SEARCH");
}

TEST(ReadRequest, ContentLengthIsANumberOrAbsent) {
  EXPECT_EQ(read(with({})).content_length, std::nullopt);
  EXPECT_EQ(read(with({{"CONTENT_LENGTH", ""}})).content_length, std::nullopt);
  EXPECT_EQ(read(with({{"CONTENT_LENGTH", "0"}})).content_length, 0U);
  EXPECT_EQ(read(with({{"CONTENT_LENGTH", "18446744073709551615"}})).content_length, UINT64_MAX);
  EXPECT_EQ(read(with({{"CONTENT_LENGTH", "5"}, {"CONTENT_LENGTH", "7"}})).content_length, 7U);
  for (const auto* text : {"18446744073709551616", "-1", "+1", "1 ", " 1", "0x1", "1,1", "five"}) {
    EXPECT_NE(refusal(with({{"CONTENT_LENGTH", text}})), "") << text;
  }
}

TEST(ReadRequest, ServerPortThatIsNoneIsUnknown) {
  for (const auto* text : {"", "0", "65536", "-1", "http", "80 "}) {
    EXPECT_EQ(read(with({{"SERVER_PORT", text}})).server_port, 0) << text;
  }
  EXPECT_EQ(read(with({{"SERVER_PORT", "65535"}})).server_port, 65535);
}

TEST(ReadRequest, SchemeComesFromEitherVariable) {
  EXPECT_EQ(read(with({})).scheme, "http");
  EXPECT_EQ(read(with({{"HTTPS", "on"}})).scheme, "https");
  EXPECT_EQ(read(with({{"HTTPS", "ON"}})).scheme, "https");
  EXPECT_EQ(read(with({{"HTTPS", "1"}})).scheme, "https");
  EXPECT_EQ(read(with({{"HTTPS", "off"}})).scheme, "http");
  EXPECT_EQ(read(with({{"HTTPS", ""}})).scheme, "http");
  EXPECT_EQ(read(with({{"REQUEST_SCHEME", "https"}})).scheme, "https");
  EXPECT_EQ(read(with({{"REQUEST_SCHEME", "http"}, {"HTTPS", "on"}})).scheme, "https");
  EXPECT_EQ(read(with({{"REQUEST_SCHEME", "gopher"}})).scheme, "http");
}

// ---- Doubled, aliased and poisoned names ----

TEST(ReadRequest, LastHostCounts) {
  const auto request = read(with({{"HTTP_HOST", "a.example"}, {"HTTP_HOST", "b.example"}}));
  EXPECT_EQ(request.host, "b.example");
  EXPECT_EQ(request.header("host"), "b.example");
}

TEST(ReadRequest, LastOfAPlainVariableCounts) {
  EXPECT_EQ(read(with({{"REMOTE_ADDR", "192.0.2.1"}, {"REMOTE_ADDR", "192.0.2.2"}})).remote_addr, "192.0.2.2");
}

TEST(ReadRequest, CookieLinesBecomeOneList) {
  EXPECT_EQ(read(with({{"HTTP_COOKIE", "a=1"}, {"HTTP_COOKIE", "b=2"}})).header("cookie"), "a=1; b=2");
  EXPECT_EQ(read(with({{"HTTP_COOKIE", ""}, {"HTTP_COOKIE", "b=2"}})).header("cookie"), "b=2");
}

TEST(ReadRequest, OtherHeadersBecomeOneList) {
  const auto request = read(with({{"HTTP_X_TAG", "a"}, {"HTTP_X_TAG", ""}, {"HTTP_X_TAG", "b"}}));
  EXPECT_EQ(request.header("x-tag"), "a, b");
}

TEST(ReadRequest, WhatDecisionsHangOnMustAgree) {
  for (const std::string name :
       {"GATEHOUSE_PATH", "GATEHOUSE_COOKIES", "HTTP_ORIGIN", "HTTP_SEC_FETCH_SITE", "HTTP_SEC_FETCH_MODE"}) {
    EXPECT_EQ(refusal(with({{name, "/a"}, {name, "/a"}})), "") << name;
    EXPECT_THAT(refusal(with({{name, "/a"}, {name, "/b"}})), StartsWith(name));
    EXPECT_THAT(refusal(with({{name, "/a"}, {name, ""}})), StartsWith(name));
  }
}

TEST(ReadRequest, SameOriginTwiceIsOneOrigin) {
  const auto request = read(with({{"HTTP_ORIGIN", "https://a.example"}, {"HTTP_ORIGIN", "https://a.example"}}));
  EXPECT_EQ(request.header("origin"), "https://a.example");
}

TEST(ReadRequest, NamesOfOtherSpellingsAreDropped) {
  const auto request = read(with({{"HTTP_X.USER", "evil"},
                                  {"HTTP_X USER", "evil"},
                                  {"HTTP_X[USER", "evil"},
                                  {" HTTP_X_USER", "evil"},
                                  {"HTTP_X_USER\0x"s, "evil"},
                                  {"http_x_user", "evil"},
                                  {"HTTP_X-USER", "evil"},
                                  {"HTTP_x_USER", "evil"},
                                  {"", "evil"},
                                  {"HTTP_", "evil"},
                                  {"GATEHOUSE.PATH", "/evil"},
                                  {"REQUEST_URI=", "/evil"}}));
  EXPECT_TRUE(request.headers.empty());
  EXPECT_EQ(request.path.text(), "/app");
}

TEST(ReadRequest, NeverBelievedNamesAreNotKept) {
  const auto request = read(with({{"HTTP_PROXY", "http://evil"},
                                  {"HTTP_AUTHORIZATION", "Basic x"},
                                  {"HTTP_CONTENT_LENGTH", "7"},
                                  {"HTTP_CONTENT_TYPE", "evil"},
                                  {"REMOTE_USER", "evil"},
                                  {"AUTH_TYPE", "Basic"},
                                  {"PHP_VALUE", "auto_prepend_file=evil"}}));
  EXPECT_TRUE(request.headers.empty());
  EXPECT_EQ(request.content_length, std::nullopt);
  EXPECT_EQ(request.content_type, "");
}

TEST(ReadRequest, ControlBytesAreRefused) {
  for (const std::string name : {"HTTP_X_NAME", "REQUEST_METHOD", "REMOTE_ADDR", "QUERY_STRING", "GATEHOUSE_OTHER"}) {
    for (const char byte : {'\0', '\r', '\n', '\x1b', '\x7f'}) {
      EXPECT_THAT(refusal(with({{name, "a"s + byte + "b"}})), StartsWith(name)) << int{byte};
    }
  }
  EXPECT_EQ(read(with({{"HTTP_X_NAME", "a\tb\xc3\xa4"}})).header("x-name"), "a\tb\xc3\xa4");
}

TEST(ReadRequest, VariablesThatNobodyReadsMayHoldAnything) {
  EXPECT_EQ(refusal(with({{"SSL_CLIENT_CERT", "-----BEGIN\nX\n"}, {"HTTP_AUTHORIZATION", "a\nb"}})), "");
}

TEST(ReadRequest, ReasonDoesNotRepeatTheValue) {
  const auto reason = refusal(with({{"HTTP_" + std::string(5000, 'X'), "secret\n"}}));
  EXPECT_LT(reason.size(), 200U);
  EXPECT_THAT(reason, Not(testing::HasSubstr("secret")));
}

TEST(ReadRequest, RefusalKnowsTheIdAndTheForm) {
  const auto request = read_request({{"HTTP_ACCEPT", "text/html"}, {"REQUEST_METHOD", "GET"}}, {.request_id = "abc"});
  ASSERT_FALSE(request);
  EXPECT_EQ(request.error().request_id, "abc");
  EXPECT_TRUE(request.error().wants_html);
  EXPECT_FALSE(read_request({{"HTTP_ACCEPT", "*/*"}}, {}).error().wants_html);
}

// ---- A check: a web server asks about another page ----

std::expected<http::Request, http::Malformed> read_check(Variables more) {
  Variables variables{{"REQUEST_METHOD", "GET"},
                      {"SCRIPT_NAME", "/auth/check"},
                      {"REQUEST_URI", "/raw/../page"},
                      {"GATEHOUSE_PATH", "/page"},
                      {"GATEHOUSE_METHOD", "POST"}};
  variables.insert(variables.end(), more.begin(), more.end());
  return read_request(variables, {.request_id = "id", .check_path = "/auth/check"});
}

TEST(ReadCheck, PathAndMethodAreThoseOfThePage) {
  const auto request = read_check({});
  ASSERT_TRUE(request);
  EXPECT_EQ(request->method, "POST");
  EXPECT_EQ(request->path.text(), "/page");
  EXPECT_EQ(request->endpoint_path, "/auth/check");
  EXPECT_FALSE(request->delivers_cookies);
  EXPECT_TRUE(read_check({{"GATEHOUSE_COOKIES", "1"}})->delivers_cookies);
  EXPECT_FALSE(read_check({{"GATEHOUSE_COOKIES", "yes"}})->delivers_cookies);
}

TEST(ReadCheck, TheMethodIsAnotherOnesOnlyInACheck) {
  EXPECT_EQ(read(with({{"GATEHOUSE_METHOD", "POST"}, {"SCRIPT_NAME", "/app"}})).method, "GET");
}

TEST(ReadCheck, WhatIsMalformedIs403) {
  EXPECT_EQ(read_check({{"GATEHOUSE_PATH", "/other"}}).error().status, 403);
  EXPECT_EQ(read_check({{"GATEHOUSE_METHOD", "GET"}}).error().status, 403);
  EXPECT_EQ(read_check({{"HTTP_X", "a\nb"}}).error().status, 403);
  EXPECT_EQ(read_request(with({{"HTTP_X", "a\nb"}}), {.request_id = "id"}).error().status, 400);
}

TEST(ReadCheck, WhoeverAsksItByItsUriIsOneToo) {
  for (const char* uri : {"/auth/check", "/auth/check?x=1"}) {
    const Variables variables{{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", uri}, {"HTTP_X", "a\nb"}};
    EXPECT_EQ(read_request(variables, {.request_id = "id", .check_path = "/auth/check"}).error().status, 403) << uri;
  }
}

TEST(ReadCheck, AHeaderThatIsAnotherOneInSomeLanguageIsRefused) {
  for (const std::string& name :
       {"HTTP_REMOTE.USER"s, "HTTP_REMOTE USER"s, "HTTP_REMOTE[USER"s, "HTTP_remote_user"s, "HTTP_REMOTE_USER\0x"s}) {
    EXPECT_EQ(read_check({{name, "evil"}}).error().status, 403) << name;
    EXPECT_TRUE(read_request(with({{name, "evil"}}), {.request_id = "id"})) << "elsewhere it is only dropped";
  }
}

// ---- An authorizer's question ----

std::expected<http::Request, http::Malformed> read_question(Variables more) {
  Variables variables{{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "/a%20page?x=1"}};
  variables.insert(variables.end(), more.begin(), more.end());
  return read_request(variables, {.request_id = "id", .check_path = "/auth/check", .is_authorizer = true});
}

TEST(ReadQuestion, PathAndMethodAreThePagesHoweverTheServerSaysIt) {
  EXPECT_EQ(read_question({})->path.text(), "/a page");
  EXPECT_EQ(read_question({})->query, "x=1");
  EXPECT_EQ(read_question({{"GATEHOUSE_PATH", "/served"}})->path.text(), "/served");
  EXPECT_EQ(read_question({{"GATEHOUSE_METHOD", "POST"}})->method, "POST");
}

TEST(ReadQuestion, IsNeverAboutAPathInfo) {
  const auto request = read_question({{"GATEHOUSE_MOUNT", "1"}, {"PATH_INFO", "/public"}, {"SCRIPT_NAME", "/app"}});
  EXPECT_EQ(request->path.text(), "/a page");
  EXPECT_EQ(request->mount, "");
}

TEST(ReadQuestion, WhatIsServedInItsPlaceIsSaidBeside) {
  EXPECT_FALSE(read_question({})->served_path);
  EXPECT_FALSE(read_question({{"REDIRECT_URI", "/a%20page?y=2"}})->served_path) << "the same page";
  EXPECT_EQ(read_question({{"REDIRECT_URI", "/other%2epage?x=1"}})->served_path->text(), "/other.page");
  EXPECT_FALSE(read_question({{"REDIRECT_URI", "/other"}, {"GATEHOUSE_PATH", "/page"}})->served_path);
  EXPECT_EQ(read_question({{"REDIRECT_URI", "/a%2fb"}}).error().status, 403);
  EXPECT_FALSE(read(with({{"REDIRECT_URI", "/other"}})).served_path) << "of an authorizer's question only";
}

TEST(ReadQuestion, ApacheSaysWhatItServesByAGroupOfItsLocationMatch) {
  const auto request = read_question({{"MATCH_GATEHOUSE_PATH", "/served 100%"}, {"GATEHOUSE_PATH", "/other"}});
  EXPECT_EQ(request->served_path->text(), "/served 100%");
  EXPECT_EQ(request->path.text(), "/a page") << "what was asked for is decided too, whatever an .htaccess says";
  EXPECT_FALSE(read_question({{"MATCH_GATEHOUSE_PATH", "/a page"}})->served_path);
  EXPECT_EQ(read_question({{"MATCH_GATEHOUSE_PATH", "/a\nb"}}).error().status, 403);
  EXPECT_EQ(read(with({{"MATCH_GATEHOUSE_PATH", "/other"}})).path.text(), read(with({})).path.text());
}

// An .htaccess may set REDIRECT_STATUS as well as the path.
TEST(ReadQuestion, AnErrorPageIsNotDecidedByItsOwnPathAlone) {
  const auto request = read_question({{"MATCH_GATEHOUSE_PATH", "/errors/404.html"}, {"REDIRECT_STATUS", "404"}});
  EXPECT_EQ(request->path.text(), "/a page");
  EXPECT_EQ(request->served_path->text(), "/errors/404.html");
}

TEST(ReadQuestion, ApachesLookupsAndErrorDocumentsAreKnown) {
  EXPECT_TRUE(read_question({{"SERVER_PROTOCOL", "INCLUDED"}})->is_lookup);
  EXPECT_FALSE(read_question({{"SERVER_PROTOCOL", "HTTP/1.1"}})->is_lookup);
  EXPECT_FALSE(read(with({{"SERVER_PROTOCOL", "INCLUDED"}})).is_lookup);
  EXPECT_EQ(read(with({{"REDIRECT_STATUS", "401"}})).refused_method, "GET");
  EXPECT_EQ(read(with({{"REDIRECT_STATUS", "401"}, {"REDIRECT_REQUEST_METHOD", "POST"}})).refused_method, "POST");
  EXPECT_FALSE(read(with({{"REDIRECT_STATUS", "200"}, {"REDIRECT_REQUEST_METHOD", "POST"}})).refused_method);
}

TEST(ReadQuestion, WhatIsMalformedIs403WithAPage) {
  for (const auto& variable : Variables{{"REQUEST_URI", "/a%2fb"},
                                        {"GATEHOUSE_PATH", "/a\\b"},
                                        {"HTTP_X", "a\nb"},
                                        {"HTTP_REMOTE.USER", "evil"},
                                        {"CONTENT_LENGTH", "x"}}) {
    const auto request = read_question({variable});
    ASSERT_FALSE(request) << variable.first;
    EXPECT_EQ(request.error().status, 403) << variable.first;
    EXPECT_FALSE(request.error().is_check) << variable.first;
  }
  EXPECT_EQ(read_request({{"REQUEST_METHOD", "GET"}}, {.request_id = "id", .is_authorizer = true}).error().status, 403);
}

}  // namespace
}  // namespace gatehouse::cgi
