// Addresses to listen on, as the configuration writes them.
#include <gtest/gtest.h>

#include "net/listener.hpp"

namespace gatehouse::net {
namespace {

TEST(ListenAddress, KeepsItsText) {
  for (const char* text : {"unix:/run/gatehouse/gatehouse.sock", "unix:relative.sock", "tcp:127.0.0.1:9000",
                           "tcp:0.0.0.0:1", "tcp:[::1]:9000", "tcp:[::]:65535"}) {
    const auto address = ListenAddress::parse(text);
    EXPECT_EQ(address ? address->text() : "refused", text);
  }
}

TEST(ListenAddress, NamesAndGuessesAreRefused) {
  for (const char* text : {"",
                           "unix:",
                           "unix:/run/",
                           "/run/x.sock",
                           "tcp:",
                           "tcp:9000",
                           "tcp::9000",
                           "tcp:localhost:9000",
                           "tcp:*:9000",
                           "tcp:127.0.0.1",
                           "tcp:127.0.0.1:",
                           "tcp:127.0.0.1:0",
                           "tcp:127.0.0.1:65536",
                           "tcp:127.0.0.1:+1",
                           "tcp:127.0.0.1: 1",
                           "tcp:127.0.0.1:90x",
                           "tcp:127.0.0.1:-1",
                           "tcp:127.1:9000",
                           "tcp:::1:9000",
                           "tcp:[::1]",
                           "tcp:[127.0.0.1]:9000",
                           "tcp:[]:9000",
                           "tcp:[:9000",
                           "TCP:127.0.0.1:9000",
                           "udp:127.0.0.1:9000"}) {
    EXPECT_FALSE(ListenAddress::parse(text)) << text;
  }
  EXPECT_FALSE(ListenAddress::parse(std::string("tcp:127.0.0.1\0x:9000", 20)));
  EXPECT_FALSE(ListenAddress::parse(std::string("unix:/run/a\0b", 13)));
}

TEST(ListenAddress, AUnixPathHasAtMost107Bytes) {
  EXPECT_TRUE(ListenAddress::parse("unix:/" + std::string(106, 'p')));
  EXPECT_FALSE(ListenAddress::parse("unix:/" + std::string(107, 'p')));
}

}  // namespace
}  // namespace gatehouse::net
