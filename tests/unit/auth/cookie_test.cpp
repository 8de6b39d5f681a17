// Cookie lines in both directions: what browsers, neighbours and fuzzers send, and what we write.
#include "auth/cookie.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace gatehouse::auth {
namespace {

using std::chrono::days;
using testing::ElementsAre;
using testing::IsEmpty;
using namespace std::string_view_literals;

constexpr Timestamp kNow{Milliseconds{784'111'777'999}};  // Sun, 06 Nov 1994 08:49:37.999 GMT

TEST(CookieValues, EveryValueOfTheNameInOrder) {
  EXPECT_THAT(cookie_values("a=1; s=2; b=3; s=4", "s"), ElementsAre("2", "4"));
  EXPECT_THAT(cookie_values("a=1", "s"), IsEmpty());
  EXPECT_THAT(cookie_values("", "s"), IsEmpty());
}

TEST(CookieValues, SpacesAndTabsAroundNameAndValueAreTrimmed) {
  EXPECT_THAT(cookie_values("a=1 ;\ts \t=\t 2 \t;b=3", "s"), ElementsAre("2"));
  EXPECT_THAT(cookie_values("s=2;s=3", "s"), ElementsAre("2", "3"));
}

TEST(CookieValues, OnlyTheFirstEqualsSignEndsTheName) {
  EXPECT_THAT(cookie_values("s=a=b==", "s"), ElementsAre("a=b=="));
  EXPECT_THAT(cookie_values("s==", "s"), ElementsAre("="));
}

TEST(CookieValues, QuotesAreTakenOffOnlyInPairs) {
  EXPECT_THAT(cookie_values("s=\"x\"", "s"), ElementsAre("x"));
  EXPECT_THAT(cookie_values("s=\"\"", "s"), ElementsAre(""));
  EXPECT_THAT(cookie_values("s=\"x", "s"), ElementsAre("\"x"));
  EXPECT_THAT(cookie_values("s=x\"", "s"), ElementsAre("x\""));
  EXPECT_THAT(cookie_values("s=\"", "s"), ElementsAre("\""));
}

TEST(CookieValues, SemicolonsInQuotesStillDivide) {
  EXPECT_THAT(cookie_values("a=\"x; s=evil; \"", "s"), ElementsAre("evil"));
}

TEST(CookieValues, CommasAndPercentSignsAreOrdinary) {
  EXPECT_THAT(cookie_values("s=a,b; t=1", "s"), ElementsAre("a,b"));
  EXPECT_THAT(cookie_values("s=%61", "s"), ElementsAre("%61"));
  EXPECT_THAT(cookie_values("%73=1", "s"), IsEmpty());
}

TEST(CookieValues, NamesAreCaseSensitive) {
  EXPECT_THAT(cookie_values("__HOST-session=1; __Host-Session=2; __Host-session=3", "__Host-session"),
              ElementsAre("3"));
}

TEST(CookieValues, NamelessAndValuelessSegmentsAreSkipped) {
  EXPECT_THAT(cookie_values("=__Host-session=x; __Host-session; =; ;;__Host-session=", "__Host-session"),
              ElementsAre(""));
  EXPECT_THAT(cookie_values("=x", ""), IsEmpty());
}

TEST(CookieValues, NulAndHighBytesSurvive) {
  constexpr auto kHeader = "a\0=1; s=\x80\xFF\0z"sv;
  EXPECT_THAT(cookie_values(kHeader, "s"), ElementsAre("\x80\xFF\0z"sv));
  EXPECT_THAT(cookie_values(kHeader, "a"), IsEmpty());
}

TEST(CookieValues, AnyBytesAreReadAndWithoutCookieLeavesNoneOfThem) {
  std::minstd_rand random(1);  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same headers in every run
  constexpr std::string_view kBytes = "s=;\" \t,a\0\xFF"sv;
  for (int round = 0; round < 20000; ++round) {
    std::string header(random() % 24, ' ');
    for (char& c : header) {
      c = kBytes[random() % kBytes.size()];
    }
    const auto rest = without_cookie(header, "s");
    EXPECT_THAT(cookie_values(rest.value_or(""), "s"), IsEmpty()) << header;
    EXPECT_EQ(cookie_values(rest.value_or(""), "a"), cookie_values(header, "a")) << header;
  }
}

TEST(WithoutCookie, OthersKeepBytesAndOrder) {
  EXPECT_EQ(without_cookie("a=\"1\"; s=x; c = %20,=;b", "s"), "a=\"1\"; c = %20,=; b");
  EXPECT_EQ(without_cookie("s=1; a=2; s=3", "s"), "a=2");
  EXPECT_EQ(without_cookie("a=1; b=2", "s"), "a=1; b=2");
  EXPECT_EQ(without_cookie("ss=1; S=2; xs=3", "s"), "ss=1; S=2; xs=3");
}

TEST(WithoutCookie, NothingLeftIsNullopt) {
  EXPECT_EQ(without_cookie("s=1", "s"), std::nullopt);
  EXPECT_EQ(without_cookie(" s = 1 ; ;", "s"), std::nullopt);
  EXPECT_EQ(without_cookie("", "s"), std::nullopt);
}

TEST(SetCookie, HardenedProfileHasLuciasOrder) {
  EXPECT_EQ(set_cookie({}, "abc", kNow, kNow),
            "__Host-session=abc; Path=/; Expires=Sun, 06 Nov 1994 08:49:37 GMT; HttpOnly; Secure; SameSite=Lax");
}

TEST(SetCookie, EveryAttributeStandsInItsPlace) {
  const CookieProfile profile{
      .name = "auth_session", .path = "/app", .domain = "example.org", .same_site = SameSite::none, .secure = true};
  EXPECT_EQ(set_cookie(profile, "v", kNow, kNow),
            "auth_session=v; Domain=example.org; Path=/app; Expires=Sun, 06 Nov 1994 08:49:37 GMT; HttpOnly; Secure; "
            "SameSite=None");
}

// In Lucia the given attributes replace the defaults: a domain alone loses Path and SameSite.
TEST(SetCookie, ADomainAloneKeepsTheOtherAttributes) {
  CookieProfile profile;
  profile.name = "session";
  profile.domain = "example.org";
  EXPECT_EQ(set_cookie(profile, "x", std::nullopt, Timestamp()),
            "session=x; Domain=example.org; Path=/; HttpOnly; Secure; SameSite=Lax");
}

TEST(SetCookie, BrowserSessionCookieHasNoExpiry) {
  const CookieProfile profile{
      .name = "session", .path = "/", .domain = "", .same_site = SameSite::strict, .secure = false};
  EXPECT_EQ(set_cookie(profile, "v", std::nullopt, kNow), "session=v; Path=/; HttpOnly; SameSite=Strict");
}

TEST(SetCookie, ExpiryIsClippedToFourHundredDays) {
  const auto longest = set_cookie({}, "v", kNow + days(400), kNow);
  EXPECT_THAT(longest, testing::HasSubstr("Expires=" + http_date(kNow + days(400)) + ";"));
  EXPECT_EQ(set_cookie({}, "v", kNow + days(401), kNow), longest);
  EXPECT_EQ(set_cookie({}, "v", Timestamp::max(), kNow), longest);
  EXPECT_NE(set_cookie({}, "v", kNow + days(399), kNow), longest);
}

TEST(RemoveCookie, SameAttributesEmptyValueAndAnEndInThePast) {
  EXPECT_EQ(remove_cookie({}),
            "__Host-session=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly; Secure; "
            "SameSite=Lax");
}

TEST(SetCookieName, IsTrimmedAndEndsAtTheFirstEqualsSign) {
  EXPECT_EQ(set_cookie_name("__Host-session=x; Path=/"), "__Host-session");
  EXPECT_EQ(set_cookie_name(" \ta \t= b"), "a");
  EXPECT_EQ(set_cookie_name("a"), "");
  EXPECT_EQ(set_cookie_name("a; b=c"), "");
  EXPECT_EQ(set_cookie_name("=a"), "");
  EXPECT_EQ(set_cookie_name(""), "");
}

TEST(HttpDate, IsImfFixdateCutToSeconds) {
  EXPECT_EQ(http_date(kNow), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(http_date(Timestamp{}), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(http_date(Timestamp{Milliseconds{-1}}), "Wed, 31 Dec 1969 23:59:59 GMT");
  EXPECT_EQ(http_date(Timestamp{Milliseconds{1'709'164'800'000}}), "Thu, 29 Feb 2024 00:00:00 GMT");
}

TEST(HttpDate, YearsStayWithinWhatBrowsersRead) {
  EXPECT_EQ(http_date(Timestamp::max()), "Fri, 31 Dec 9999 23:59:59 GMT");
  EXPECT_EQ(http_date(Timestamp::min()), "Mon, 01 Jan 1601 00:00:00 GMT");
}

}  // namespace
}  // namespace gatehouse::auth
