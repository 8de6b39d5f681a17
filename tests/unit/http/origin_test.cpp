#include "http/origin.hpp"

#include <gtest/gtest.h>

#include <string>

namespace gatehouse::http {
namespace {

using std::string_literals::operator""s;

TEST(Origin, SchemeHostAndPortAllCount) {
  EXPECT_EQ(Origin::parse("https://example.org"), (Origin{"https", "example.org", 443}));
  EXPECT_EQ(Origin::parse("http://example.org"), (Origin{"http", "example.org", 80}));
  EXPECT_EQ(Origin::parse("https://example.org:8443"), (Origin{"https", "example.org", 8443}));
  EXPECT_NE(Origin::parse("http://example.org:443"), Origin::parse("https://example.org"));
}

TEST(Origin, IsCanonical) {
  EXPECT_EQ(Origin::parse("HTTPS://EXAMPLE.Org:443/"), Origin::parse("https://example.org"));
  EXPECT_EQ(Origin::parse("http://[0:0::1]:8080"), (Origin{"http", "[::1]", 8080}));
  EXPECT_EQ(Origin::parse("http://[2001:DB8::A]"), (Origin{"http", "[2001:db8::a]", 80}));
  EXPECT_EQ(Origin::parse("https://my_host-1"), (Origin{"https", "my_host-1", 443}));
}

TEST(Origin, WhatIsNoTupleOriginIsRefused) {
  for (const auto& text : {""s,
                           "null"s,
                           "https"s,
                           "https:"s,
                           "https://"s,
                           "https:///"s,
                           "https://:80"s,
                           "://a"s,
                           "//a"s,
                           "a"s,
                           "ftp://a"s,
                           "file:///a"s,
                           "chrome-extension://abc"s,
                           "https://a/b"s,
                           "https://a//"s,
                           "https://a?x"s,
                           "https://a#x"s,
                           "https://u@a"s,
                           "https://u:p@a"s,
                           "https://a:"s,
                           "https://a:0"s,
                           "https://a:65536"s,
                           "https://a:80x"s,
                           "https://a:-1"s,
                           "https://a:+80"s,
                           "https://a: 80"s,
                           "https://a:80:80"s,
                           "https://a b"s,
                           " https://a"s,
                           "https://a "s,
                           "https://a\n"s,
                           "https://a\0"s,
                           "https://a\x7f"s,
                           "https://\xC3\xA4"s,
                           "https://a%2eb"s,
                           "https://a\\b"s,
                           "https://.a"s,
                           "https://a..b"s,
                           "https://[::1"s,
                           "https://::1"s,
                           "https://[]"s,
                           "https://[::1]x"s,
                           "https://[::1]80"s,
                           "https://[fe80::1%25eth0]"s,
                           "https://[1.2.3.4]"s,
                           "https://[::1\0]"s,
                           "https://a, https://b"s,
                           "https://a https://b"s,
                           "https://*"s,
                           "https://" + std::string(256, 'a')}) {
    EXPECT_EQ(Origin::parse(text), std::nullopt) << text;
  }
}

TEST(Origin, OfARequestComesFromHostAndFallsBackOnTheServersPort) {
  EXPECT_EQ(Origin::of_request("https", "Example.org", 0), (Origin{"https", "example.org", 443}));
  EXPECT_EQ(Origin::of_request("https", "example.org", 8443), (Origin{"https", "example.org", 8443}));
  EXPECT_EQ(Origin::of_request("https", "example.org:9443", 443), (Origin{"https", "example.org", 9443}));
  EXPECT_EQ(Origin::of_request("http", "example.org:", 8080), (Origin{"http", "example.org", 8080}));
  EXPECT_EQ(Origin::of_request("http", "[::1]:8080", 80), (Origin{"http", "[::1]", 8080}));
}

TEST(Origin, OfARequestIsNoneWithoutAHostOrScheme) {
  EXPECT_EQ(Origin::of_request("https", "", 443), std::nullopt);
  EXPECT_EQ(Origin::of_request("", "example.org", 443), std::nullopt);
  EXPECT_EQ(Origin::of_request("ws", "example.org", 443), std::nullopt);
  EXPECT_EQ(Origin::of_request("https", "example.org:0", 443), std::nullopt);
  EXPECT_EQ(Origin::of_request("https", "example.org:99999", 443), std::nullopt);
  EXPECT_EQ(Origin::of_request("https", "a/b", 443), std::nullopt);
}

TEST(Origin, ItsTextLeavesOutTheDefaultPort) {
  EXPECT_EQ((Origin{"https", "example.org", 443}).text(), "https://example.org");
  EXPECT_EQ((Origin{"http", "example.org", 443}).text(), "http://example.org:443");
  EXPECT_EQ((Origin{"http", "[::1]", 8080}).text(), "http://[::1]:8080");
}

TEST(HostWithoutPort, IsTheHostInLowerCase) {
  EXPECT_EQ(host_without_port("Admin.Example.Org"), "admin.example.org");
  EXPECT_EQ(host_without_port("example.org:8443"), "example.org");
  EXPECT_EQ(host_without_port("example.org:"), "example.org");
  EXPECT_EQ(host_without_port("example.org.:443"), "example.org.");
  EXPECT_EQ(host_without_port("[::1]:443"), "[::1]");
  EXPECT_EQ(host_without_port("192.0.2.1:80"), "192.0.2.1");
}

TEST(HostWithoutPort, IsEmptyForWhatIsNoHost) {
  for (const auto& text : {""s, ":80"s, "."s, "a b"s, "a,b"s, "a/b"s, "u@a"s, "a:b"s, "a:1:2"s, "[::1"s, "::1"s, "a\0"s,
                           "[::1]x"s, "a\tb"s, "\xC3\xA4"s}) {
    EXPECT_EQ(host_without_port(text), "") << text;
  }
}

TEST(Scheme, EitherVariableThatSaysHttpsIsEnough) {
  EXPECT_EQ(scheme_of("on", ""), "https");
  EXPECT_EQ(scheme_of("1", "http"), "https");
  EXPECT_EQ(scheme_of("", "HTTPS"), "https");
  for (const auto* off : {"off", "", "0", "yes"}) EXPECT_EQ(scheme_of(off, "http"), "http") << off;
  EXPECT_EQ(scheme_of("", ""), "http");
}

}  // namespace
}  // namespace gatehouse::http
