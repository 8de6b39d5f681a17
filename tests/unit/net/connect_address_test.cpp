// unix:PATH and tcp:HOST:PORT of an application, and everything that is neither.
#include <gtest/gtest.h>

#include "net/connect.hpp"

namespace gatehouse::net {
namespace {

TEST(ConnectAddress, UnixSocketIsAPath) {
  const auto address = ConnectAddress::parse("unix:/run/php/php-fpm.sock");
  ASSERT_TRUE(address);
  EXPECT_EQ(address->path, "/run/php/php-fpm.sock");
  EXPECT_EQ(address->host, "");
  EXPECT_EQ(address->port, 0);
}

TEST(ConnectAddress, PathMayBe107BytesLong) {
  EXPECT_TRUE(ConnectAddress::parse("unix:/" + std::string(106, 'x')));
  EXPECT_FALSE(ConnectAddress::parse("unix:/" + std::string(107, 'x')));
}

struct Read {
  std::string_view text;
  std::string_view host;
  std::uint16_t port;
};

class Tcp : public testing::TestWithParam<Read> {};

TEST_P(Tcp, IsAHostAndAPort) {
  const auto address = ConnectAddress::parse(GetParam().text);
  ASSERT_TRUE(address);
  EXPECT_EQ(address->path, "");
  EXPECT_EQ(address->host, GetParam().host);
  EXPECT_EQ(address->port, GetParam().port);
}

INSTANTIATE_TEST_SUITE_P(Of, Tcp,
                         testing::Values(Read{"tcp:127.0.0.1:9000", "127.0.0.1", 9000},
                                         Read{"tcp:[::1]:9000", "::1", 9000},
                                         Read{"tcp:application.example.org:1", "application.example.org", 1},
                                         Read{"tcp:a:65535", "a", 65535}));

TEST(ConnectAddress, WhatIsNeitherIsRefused) {
  for (const std::string_view text : {"",
                                      "unix:",
                                      "tcp:",
                                      "tcp::",
                                      "tcp::9000",
                                      "tcp:[]:9000",
                                      "tcp:9000",
                                      "tcp:host",
                                      "tcp:host:",
                                      "tcp:host:0",
                                      "tcp:host:65536",
                                      "tcp:host:-1",
                                      "tcp:host:+1",
                                      "tcp:host: 1",
                                      "tcp:host:1 ",
                                      "tcp:host:90a",
                                      "host:9000",
                                      "/run/php.sock",
                                      "http:host:80",
                                      "UNIX:/run/x",
                                      "tcp:host:99999999999999999999"}) {
    EXPECT_FALSE(ConnectAddress::parse(text)) << text;
  }
  EXPECT_FALSE(ConnectAddress::parse(std::string_view("unix:/a\0b", 9)));
}

// Which colon ends the host of "::1:9000"? The one who wrote it should say so.
TEST(ConnectAddress, Ipv6AddressNeedsItsBrackets) {
  for (const std::string_view text : {"tcp:::1:9000", "tcp:fe80::1:9000", "tcp:[::1:9000", "tcp:::1]:9000"}) {
    EXPECT_FALSE(ConnectAddress::parse(text)) << text;
  }
}

TEST(ConnectAddress, LiteralNeedsNoLookUp) {
  for (const std::string_view text : {"tcp:127.0.0.1:9000", "tcp:[::1]:9000"}) {
    auto address = ConnectAddress::parse(text);
    ASSERT_TRUE(address) << text;
    ASSERT_EQ(address->endpoints.size(), 1U) << text;
    EXPECT_EQ(address->endpoints.front().address().to_string(), address->host);
    EXPECT_EQ(address->endpoints.front().port(), 9000);
    EXPECT_TRUE(address->look_up());
    EXPECT_EQ(address->endpoints.size(), 1U);
  }
}

TEST(ConnectAddress, NameIsLookedUp) {
  auto address = ConnectAddress::parse("tcp:localhost:9000");
  ASSERT_TRUE(address);
  EXPECT_TRUE(address->endpoints.empty());
  ASSERT_TRUE(address->look_up());
  ASSERT_FALSE(address->endpoints.empty());
  for (const auto& each : address->endpoints) {
    EXPECT_TRUE(each.address().is_loopback());
    EXPECT_EQ(each.port(), 9000);
  }
}

TEST(ConnectAddress, NameThatNobodyHasIsASentence) {
  auto address = ConnectAddress::parse("tcp:nobody.invalid:9000");
  ASSERT_TRUE(address);
  const auto looked_up = address->look_up();
  ASSERT_FALSE(looked_up);
  EXPECT_TRUE(looked_up.error().starts_with("nobody.invalid: ")) << looked_up.error();
}

}  // namespace
}  // namespace gatehouse::net
