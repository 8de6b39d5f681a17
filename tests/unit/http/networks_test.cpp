#include "http/networks.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace gatehouse::http {
namespace {

using namespace std::string_literals;

Address address(std::string_view text) {
  return Address::parse(text).value();
}

Networks networks(const std::vector<std::string>& texts) {
  return Networks(texts);
}

TEST(Address, OneSpellingForEach) {
  const std::vector<std::array<const char*, 2>> table{{"10.0.0.1", "10.0.0.1"},
                                                      {"0.0.0.0", "0.0.0.0"},
                                                      {"::ffff:10.0.0.1", "10.0.0.1"},
                                                      {"::FFFF:0a00:0001", "10.0.0.1"},
                                                      {"::1", "::1"},
                                                      {"::", "::"},
                                                      {"0:0::0:1", "::1"},
                                                      {"2001:DB8:0::00a", "2001:db8::a"},
                                                      {"64:ff9b::10.0.0.1", "64:ff9b::a00:1"}};
  for (const auto& [text, canonical] : table) {
    EXPECT_EQ(address(text).text(), canonical);
    EXPECT_EQ(address(canonical), address(text)) << text;
  }
}

TEST(Address, AMappedAddressIsTheIpv4One) {
  EXPECT_EQ(address("::ffff:192.0.2.7"), address("192.0.2.7"));
  EXPECT_TRUE(address("::ffff:192.0.2.7").is_ipv4());
  EXPECT_TRUE(address("192.0.2.7").is_ipv4());
  EXPECT_FALSE(address("::192.0.2.7").is_ipv4());
  EXPECT_FALSE(address("::1").is_ipv4());
}

TEST(Address, AnythingElseIsNone) {
  for (const auto& text : {""s,           " "s,         "10.0.0"s,    "10.0.0.1.1"s, "10.0.0.256"s,  "010.0.0.1"s,
                           "0x0a.0.0.1"s, "167772161"s, "10.0.0.1 "s, " 10.0.0.1"s,  "10.0.0.1:80"s, "10.0.0.0/8"s,
                           "[::1]"s,      "::1%lo"s,    "fe80::1%1"s, ":::"s,        "1:2"s,         "::1::"s,
                           "12345::"s,    "localhost"s, "unknown"s,   "10.0.0.1\0"s, "::1\0x"s,      "\xff"s}) {
    EXPECT_FALSE(Address::parse(text)) << testing::PrintToString(text);
  }
}

struct Membership {
  const char* network;
  std::vector<const char*> members;
  std::vector<const char*> strangers;
};

TEST(Networks, ContainWhatTheirPrefixSays) {
  const std::vector<Membership> table{
      {"10.0.0.1", {"10.0.0.1", "::ffff:10.0.0.1"}, {"10.0.0.2", "10.0.0.0", "::1", "::a00:1"}},
      {"10.0.0.1/32", {"10.0.0.1"}, {"10.0.0.0", "10.0.0.2"}},
      {"10.0.0.0/31", {"10.0.0.0", "10.0.0.1"}, {"10.0.0.2", "9.255.255.255"}},
      {"10.0.0.0/8", {"10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"}, {"11.0.0.0", "9.255.255.255", "a00::"}},
      {"10.1.2.3/8", {"10.255.255.255"}, {"11.1.2.3"}},
      {"172.16.0.0/12", {"172.16.0.0", "172.31.255.255"}, {"172.32.0.0", "172.15.255.255"}},
      {"192.0.2.128/25", {"192.0.2.128", "192.0.2.255"}, {"192.0.2.127", "192.0.3.128"}},
      {"128.0.0.0/1", {"128.0.0.0", "255.255.255.255"}, {"127.255.255.255", "::"}},
      {"0.0.0.0/0", {"0.0.0.0", "255.255.255.255", "::ffff:1.2.3.4"}, {"::", "::1", "2001:db8::1"}},
      {"::/0", {"::", "::1", "2001:db8::1"}, {"10.0.0.1", "::ffff:10.0.0.1"}},
      {"::/1", {"::1", "7fff::"}, {"8000::", "10.0.0.1"}},
      {"::1", {"::1", "0:0::1"}, {"::", "::2", "127.0.0.1", "0.0.0.1"}},
      {"2001:db8::/32", {"2001:db8::", "2001:db8:ffff::1"}, {"2001:db9::", "2001:db7:ffff::"}},
      {"2001:db8::/33", {"2001:db8:7fff::"}, {"2001:db8:8000::"}},
      {"fe80::/127", {"fe80::", "fe80::1"}, {"fe80::2"}},
      {"::ffff:10.0.0.0/104", {"10.255.0.1", "::ffff:10.255.0.1"}, {"11.0.0.1", "::1"}},
      {"::ffff:0:0/96", {"1.2.3.4"}, {"::1", "::ffff:0:1.2.3.4"}},
  };
  for (const auto& row : table) {
    const auto set = networks({row.network});
    for (const auto* member : row.members) EXPECT_TRUE(set.contains(address(member))) << row.network << " " << member;
    for (const auto* other : row.strangers) EXPECT_FALSE(set.contains(address(other))) << row.network << " " << other;
  }
}

TEST(Networks, AnyOfThemCounts) {
  const auto set = networks({"10.0.0.0/8", "2001:db8::/32", "192.0.2.1"});
  for (const auto* member : {"10.1.1.1", "2001:db8::1", "192.0.2.1"}) EXPECT_TRUE(set.contains(address(member)));
  for (const auto* other : {"192.0.2.2", "::1"}) EXPECT_FALSE(set.contains(address(other)));
}

TEST(Networks, OfNoneContainNothing) {
  for (const auto* text : {"0.0.0.0", "127.0.0.1", "::", "::1"}) {
    EXPECT_FALSE(Networks().contains(address(text)));
    EXPECT_FALSE(networks({}).contains(address(text)));
  }
}

// Read as a wider network, a mistake would make strangers trusted.
TEST(Networks, WhatIsNoNetworkIsLeftOut) {
  for (const auto& text :
       {""s, "/"s, "/8"s, "10.0.0.0/"s, "10.0.0.0/33"s, "10.0.0.0/-1"s, "10.0.0.0/ 8"s, "10.0.0.0/8 "s, "10.0.0.0/8/8"s,
        "10.0.0.0/255.0.0.0"s, "10/8"s, "::/129"s, "[::]/0"s, "::/0x0"s, "*"s, "10.0.0.0/99999999999999999999"s}) {
    const auto set = networks({text, "192.0.2.1"});
    for (const auto* other : {"10.0.0.0", "10.0.0.1", "0.0.0.0", "::", "::1"}) {
      EXPECT_FALSE(set.contains(address(other))) << text << " " << other;
    }
    EXPECT_TRUE(set.contains(address("192.0.2.1"))) << text;
  }
}

}  // namespace
}  // namespace gatehouse::http
