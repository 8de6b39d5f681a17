// Password hashes against Lucia's own vectors, the reference argon2's, and against stored garbage.
#include "auth/password.hpp"

#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "without_memory.hpp"

namespace gatehouse::auth {
namespace {

// From the reference implementation's test.c.
constexpr std::string_view kReferenceHash =
    "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

class BrokenRandom final : public Random {
 public:
  Result<void> fill(std::span<std::byte> /*bytes*/) override { return fail(ErrorCode::internal, "broken"); }
};

nlohmann::json lucia_vectors() {
  std::ifstream file(GATEHOUSE_SOURCE_DIR "/tests/data/lucia-password-vectors.json");
  return nlohmann::json::parse(file);
}

std::string stored_of(std::string_view vector_name) {
  for (const auto& row : lucia_vectors()) {
    if (row.at("name") == vector_name) {
      return row.at("stored").get<std::string>();
    }
  }
  throw std::invalid_argument("no such vector");
}

PasswordCheck check(std::string_view password, std::string_view stored) {
  return verify_password(password, stored).value();
}

std::string hash(std::string_view password, HashScheme scheme) {
  SystemRandom random;
  return hash_password(password, scheme, random).value();
}

TEST(VerifyPassword, AcceptsWhatEitherLuciaAccepts) {
  const auto vectors = lucia_vectors();
  ASSERT_EQ(vectors.size(), 13U);
  for (const auto& row : vectors) {
    // An empty hash passed in Lucia 1: the hole that we must not copy.
    const bool has_hash = row.at("stored") != "";
    const bool is_right = has_hash && (row.at("v1") == "ok" || row.at("v2") == "ok");
    EXPECT_EQ(check(row.at("password").get<std::string>(), row.at("stored").get<std::string>()),
              is_right ? PasswordCheck::correct : PasswordCheck::wrong)
        << row.at("name");
  }
}

TEST(VerifyPassword, EveryChangeToALuciaHashIsWrong) {
  const auto good = stored_of("plain");
  ASSERT_EQ(check("correct horse", good), PasswordCheck::correct);
  std::string upper = good;
  upper.replace(upper.find("18a2"), 4, "18A2");
  for (const auto& stored : {upper, good + "0", good + ":", good.substr(0, good.size() - 1), " " + good, good + "\n",
                             "S2" + good.substr(2), "s2:" + good, good.substr(3), "s2::" + good.substr(20),
                             good + std::string(1, '\0'), good.substr(0, 20), std::string("s2:"), std::string(":")}) {
    EXPECT_EQ(check("correct horse", stored), PasswordCheck::wrong) << stored;
  }
}

TEST(VerifyPassword, EmptyPasswordFitsOnlyItsOwnHash) {
  EXPECT_EQ(check("", stored_of("plain")), PasswordCheck::wrong);
  EXPECT_EQ(check("", ""), PasswordCheck::wrong);
  EXPECT_EQ(check({}, hash({}, HashScheme::lucia_scrypt)), PasswordCheck::correct);
  EXPECT_EQ(check({}, hash({}, HashScheme::argon2id)), PasswordCheck::correct);
}

TEST(VerifyPassword, GarbageIsNeverAPass) {
  for (const std::string_view stored :
       {"$argon2id$", "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8", "password",
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$", "$argon2id$v=19$m=256,t=2,p=1$$", "$argon2id$v=19$m=256,t=2,p=1",
        "$argon2id$v=16$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=4294967552,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=-256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"}) {
    EXPECT_EQ(check("password", stored), PasswordCheck::wrong) << stored;
  }
}

TEST(VerifyPassword, ReferenceArgon2idHashFits) {
  EXPECT_EQ(check("password", kReferenceHash), PasswordCheck::correct);
  EXPECT_EQ(check("passwore", kReferenceHash), PasswordCheck::wrong);
  EXPECT_EQ(check("password", std::string(kReferenceHash) + std::string("\0x", 2)), PasswordCheck::wrong);
}

TEST(VerifyPassword, ExcessiveArgon2CostsAreWrongWithoutComputing) {
  for (const std::string_view costs :
       {"m=262145,t=1,p=1", "m=256,t=17,p=1", "m=256,t=4294967295,p=1", "m=4294967295,t=1,p=1", "m=256,t=1,p=9"}) {
    const std::string stored = "$argon2id$v=19$" + std::string(costs) + "$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg";
    EXPECT_EQ(check("password", stored), PasswordCheck::wrong) << stored;
  }
}

struct BcryptVector {
  std::string_view password;
  std::string_view stored;
};

// The first block is crypt_blowfish's own (its $2a$ keeps what fits a broken $2x$ from fitting here); then one each of
// PHP's password_hash and of htpasswd -B.
constexpr std::array kBcrypt{
    BcryptVector{"U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"},
    BcryptVector{"U*U*", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK"},
    BcryptVector{"U*U*U", "$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a"},
    BcryptVector{"", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy"},
    BcryptVector{"\xa3", "$2y$05$/OK.fbVrR/bpIqNJ5ianF.Sa7shbm4.OzKpvFnX1pQLmQW96oUlCq"},
    BcryptVector{"\xa3", "$2a$05$/OK.fbVrR/bpIqNJ5ianF.Sa7shbm4.OzKpvFnX1pQLmQW96oUlCq"},
    BcryptVector{"\xff\xff\xa3", "$2b$05$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e"},
    BcryptVector{"\xff\xff\xa3", "$2a$05$/OK.fbVrR/bpIqNJ5ianF.nqd1wy.pTMdcvrRWxyiGL2eMz.2a85."},
    BcryptVector{"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
                 "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui"},
    BcryptVector{"correct horse", "$2y$05$35jm1hLpnJzEv9RXzaTf4uVKhlh7y.NC4suXDJBsrW82t2E6xqsIK"},
    BcryptVector{"correct horse", "$2y$05$dKrlEIYN5xjpILa6iKwP8eeX/WubHklFhdN54vLQGRhClVx5AVg2m"},
};

TEST(VerifyBcrypt, KnownHashesFitTheirPasswordAndNoOther) {
  for (const auto& [password, stored] : kBcrypt) {
    EXPECT_EQ(check(password, stored), PasswordCheck::correct) << stored;
    EXPECT_EQ(check(" " + std::string(password), stored), PasswordCheck::wrong) << stored;
    EXPECT_EQ(check("U*V", stored), PasswordCheck::wrong) << stored;
  }
}

TEST(VerifyBcrypt, BytesAfterThe72ndDoNotCountHoweverMany) {
  const std::string stored = "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui";
  const std::string password = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  ASSERT_EQ(password.size(), 72U);
  EXPECT_EQ(check(password + "chars after 72 are ignored", stored), PasswordCheck::correct);
  EXPECT_EQ(check(password + std::string(kMaxPasswordBytes - 72, 'x'), stored), PasswordCheck::correct);
  EXPECT_EQ(check(password + std::string(kMaxPasswordBytes - 71, 'x'), stored), PasswordCheck::wrong);
  EXPECT_EQ(check(password.substr(0, 71), stored), PasswordCheck::wrong);
}

TEST(VerifyBcrypt, ANulByteIsWrongAndNoEnd) {
  const std::string stored(kBcrypt[0].stored);
  EXPECT_EQ(check(std::string("U*U\0", 4), stored), PasswordCheck::wrong);
  EXPECT_EQ(check(std::string("U*U\0x", 5), stored), PasswordCheck::wrong);
  EXPECT_EQ(check(std::string("\0", 1), kBcrypt[3].stored), PasswordCheck::wrong);
}

// By PHP, which does not normalise: of a ligature, and of the letters that it stands for.
TEST(VerifyBcrypt, TheBytesAsTypedFitAndTheirNormalFormToo) {
  const std::string of_ligature = "$2y$05$yYCtsTu0was5kgNq1VdRQONWuf1dfyA.YgPEsi9D4MFXHXhXbPHG2";
  const std::string of_letters = "$2y$05$uw09w9tLGqPO9VpeNTxZ6uugM.UxBeBnB.7TusNZL.thHuAZPhczW";
  EXPECT_EQ(check("\uFB01sh", of_ligature), PasswordCheck::correct);
  EXPECT_EQ(check("fish", of_ligature), PasswordCheck::wrong);
  EXPECT_EQ(check("fish", of_letters), PasswordCheck::correct);
  EXPECT_EQ(check("\uFB01sh", of_letters), PasswordCheck::correct);
}

TEST(VerifyBcrypt, WhatIsNoBcryptOrCostsTooMuchIsWrongWithoutComputing) {
  const std::string good(kBcrypt[0].stored);
  const std::string tail = good.substr(6);
  for (const std::string& stored : {"$2x$05" + tail,
                                    "$2c$05" + tail,
                                    "$2$05" + tail,
                                    "$2A$05" + tail,
                                    "$2a$5" + tail,
                                    "$2a$005" + tail,
                                    "$2a$03" + tail,
                                    "$2a$00" + tail,
                                    "$2a$15" + tail,
                                    "$2a$31" + tail,
                                    "$2a$32" + tail,
                                    "$2a$99" + tail,
                                    "$2a$-5" + tail,
                                    "$2a$+5" + tail,
                                    "$2a$ 5" + tail,
                                    "$2a$0x" + tail,
                                    good + ".",
                                    good.substr(0, 59),
                                    good.substr(0, 28),
                                    " " + good,
                                    good + "\n",
                                    good.substr(0, 59) + "!",
                                    good.substr(0, 10) + "!" + good.substr(11),
                                    good.substr(0, 59) + ":",
                                    good.substr(0, 59) + std::string(1, '\0'),
                                    std::string("$2a$"),
                                    std::string("$2a$05$"),
                                    std::string("$2y$10$abc"),
                                    std::string("*0"),
                                    std::string("*1"),
                                    std::string("$1$abc$def"),
                                    std::string("$6$abc$def")}) {
    EXPECT_EQ(check("U*U", stored), PasswordCheck::wrong) << stored;
    EXPECT_EQ(check("", stored), PasswordCheck::wrong) << stored;
  }
}

TEST(VerifyBcrypt, TheHighestCostIsServed) {
  EXPECT_EQ(check("correct horse", "$2y$14$qeXZq2n9PNYZquYfXEUgXewfClH307ClIjqHlFzZ2Fz6zi53wqzce"),
            PasswordCheck::correct);
}

TEST(VerifyPassword, ManyThreadsCheckEveryFormAtOnce) {
  const auto lucia = stored_of("plain");
  std::vector<std::jthread> threads;
  threads.reserve(8);
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (const auto& [password, stored] : kBcrypt) EXPECT_EQ(check(password, stored), PasswordCheck::correct);
      EXPECT_EQ(check("password", kReferenceHash), PasswordCheck::correct);
      EXPECT_EQ(check("correct horse", lucia), PasswordCheck::correct);
    });
  }
}

TEST(VerifyPassword, OverlongTextsAreWrong) {
  const std::string salt(2000, 'a');
  EXPECT_EQ(check("x", "s2:" + salt + ":" + std::string(128, '0')), PasswordCheck::wrong);
  const std::string longest(kMaxPasswordBytes, 'x');
  const auto stored = hash(longest, HashScheme::argon2id);
  EXPECT_EQ(check(longest, stored), PasswordCheck::correct);
  EXPECT_EQ(check(longest.substr(1), stored), PasswordCheck::wrong);
  EXPECT_EQ(check(longest + "x", stored), PasswordCheck::wrong);
}

TEST(HashPassword, BothSchemesVerifyAndHaveTheirForm) {
  const auto argon2id = hash("correct horse", HashScheme::argon2id);
  EXPECT_TRUE(argon2id.starts_with("$argon2id$v=19$m=19456,t=2,p=1$")) << argon2id;
  EXPECT_EQ(argon2id.size(), 97U);
  const auto scrypt = hash("correct horse", HashScheme::lucia_scrypt);
  EXPECT_TRUE(scrypt.starts_with("s2:")) << scrypt;
  EXPECT_EQ(scrypt.size(), 3U + 16U + 1U + 128U);
  for (const auto& stored : {argon2id, scrypt}) {
    EXPECT_EQ(check("correct horse", stored), PasswordCheck::correct);
    EXPECT_EQ(check("correct horsf", stored), PasswordCheck::wrong);
  }
}

TEST(HashPassword, EqualPasswordsGetDifferentHashes) {
  EXPECT_NE(hash("x", HashScheme::argon2id), hash("x", HashScheme::argon2id));
  EXPECT_NE(hash("x", HashScheme::lucia_scrypt), hash("x", HashScheme::lucia_scrypt));
}

TEST(HashPassword, ComposedAndDecomposedSpellingsAreOnePassword) {
  const auto stored = hash("p\u00E4ss \uFB01", HashScheme::argon2id);
  EXPECT_EQ(check("pa\u0308ss fi", stored), PasswordCheck::correct);
  EXPECT_EQ(check("pass fi", stored), PasswordCheck::wrong);
}

TEST(HashPassword, NulBytesCount) {
  const std::string password("a\0b", 3);
  for (const auto scheme : {HashScheme::argon2id, HashScheme::lucia_scrypt}) {
    const auto stored = hash(password, scheme);
    EXPECT_EQ(check(password, stored), PasswordCheck::correct);
    EXPECT_EQ(check("a", stored), PasswordCheck::wrong);
    EXPECT_EQ(check(std::string("a\0c", 3), stored), PasswordCheck::wrong);
  }
}

TEST(HashPassword, BytesThatAreNoUtf8AreHashedAsTheyAre) {
  const auto stored = hash("\xFF\xC3", HashScheme::argon2id);
  EXPECT_EQ(check("\xFF\xC3", stored), PasswordCheck::correct);
  EXPECT_EQ(check("\xFF\xC4", stored), PasswordCheck::wrong);
}

TEST(HashPassword, RefusesMoreThanTheLimit) {
  SystemRandom random;
  const std::string password(kMaxPasswordBytes + 1, 'x');
  EXPECT_EQ(hash_password(password, HashScheme::argon2id, random).error().code, ErrorCode::invalid_password);
}

TEST(HashPassword, BrokenGeneratorMakesNoHash) {
  BrokenRandom random;
  EXPECT_EQ(hash_password("x", HashScheme::argon2id, random).error().code, ErrorCode::internal);
  EXPECT_EQ(hash_password("x", HashScheme::lucia_scrypt, random).error().code, ErrorCode::internal);
}

TEST(VerifyPasswordDeathTest, NoMemoryIsAnErrorAndNeverAnAnswer) {
  if (!testing::can_limit_memory()) GTEST_SKIP();
  const std::string argon2id = "$argon2id$v=19$m=65536,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
  for (const std::string& stored : {argon2id, stored_of("plain")}) {
    EXPECT_EXIT(testing::exit_by_check_without_memory([&] { return verify_password("password", stored); }),
                ::testing::ExitedWithCode(0), "");
  }
}

TEST(IsVerifiable, EveryFormIs) {
  EXPECT_TRUE(is_verifiable(stored_of("plain")));
  EXPECT_TRUE(is_verifiable(stored_of("plain").substr(3))) << "two parts";
  EXPECT_TRUE(is_verifiable(kReferenceHash));
  EXPECT_TRUE(is_verifiable(kBcrypt[0].stored));
  for (const HashScheme scheme : {HashScheme::argon2id, HashScheme::lucia_scrypt}) {
    EXPECT_TRUE(is_verifiable(hash("x", scheme)));
  }
}

TEST(IsVerifiable, WhatNothingIsComputedForIsNot) {
  const std::string head = "$argon2id$v=19$m=256,t=2,p=1$";
  const std::string salt = "c29tZXNhbHQ$";
  const std::string sum = "nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
  ASSERT_TRUE(is_verifiable(head + salt + sum));
  for (const std::string& stored : {std::string(),
                                    std::string("garbage"),
                                    std::string("s2:x"),
                                    std::string("$2a$10$abc"),
                                    head,
                                    head + salt,
                                    head + "$" + sum,
                                    head + "c29tZQ$" + sum,
                                    head + salt + "nf65E",
                                    head + salt + "nf65EOgL=",
                                    head + sum,
                                    head + salt + "nf65EOgLr",
                                    head + salt + sum.substr(0, 42) + "5",
                                    head + salt + sum + "$",
                                    "$argon2id$v=19$m=0256,t=2,p=1$" + salt + sum,
                                    "$argon2id$v=19$m=256,t=0,p=1$" + salt + sum,
                                    "$argon2id$v=19$m=256,t=2,p=0$" + salt + sum,
                                    "$argon2id$v=19$m=15,t=2,p=2$" + salt + sum,
                                    "$argon2id$v=19$m=262145,t=2,p=1$" + salt + sum,
                                    "$argon2i$v=19$m=256,t=2,p=1$" + salt + sum,
                                    head + salt + sum + std::string("\0x", 2),
                                    stored_of("plain") + "0",
                                    std::string(2000, 'a')}) {
    EXPECT_FALSE(is_verifiable(stored)) << stored;
    EXPECT_EQ(check("password", stored), PasswordCheck::wrong) << stored;
  }
}

TEST(NeedsRehash, OtherSchemesAndLowerCostsDo) {
  const std::string ours = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA";
  const auto lucia = stored_of("plain");
  const auto old = stored_of("old two-part, r=8");
  EXPECT_FALSE(needs_rehash(ours, HashScheme::argon2id));
  EXPECT_TRUE(needs_rehash(ours, HashScheme::lucia_scrypt));
  EXPECT_FALSE(needs_rehash(lucia, HashScheme::lucia_scrypt));
  EXPECT_TRUE(needs_rehash(lucia, HashScheme::argon2id));
  EXPECT_TRUE(needs_rehash(old, HashScheme::lucia_scrypt));
  EXPECT_TRUE(needs_rehash(kReferenceHash, HashScheme::argon2id));
  EXPECT_TRUE(needs_rehash("", HashScheme::argon2id));
  EXPECT_TRUE(needs_rehash(kBcrypt[0].stored, HashScheme::argon2id));
  EXPECT_TRUE(needs_rehash(kBcrypt[0].stored, HashScheme::lucia_scrypt));
  EXPECT_TRUE(needs_rehash("$argon2id$v=19$m=19456,t=1,p=1$c2FsdA$aGFzaA", HashScheme::argon2id));
  EXPECT_FALSE(needs_rehash("$argon2id$v=19$m=47104,t=1,p=1$c2FsdA$aGFzaA", HashScheme::argon2id));
}

TEST(NeedsRehash, MalformedHashesDo) {
  const auto good = stored_of("plain");
  EXPECT_TRUE(needs_rehash(good + "0", HashScheme::lucia_scrypt));
  EXPECT_TRUE(needs_rehash(good.substr(0, good.size() - 1) + "A", HashScheme::lucia_scrypt));
  EXPECT_TRUE(needs_rehash("s2::" + good.substr(20), HashScheme::lucia_scrypt));
}

TEST(NeedsRehash, OurOwnHashesDoNot) {
  EXPECT_FALSE(needs_rehash(hash("x", HashScheme::argon2id), HashScheme::argon2id));
  EXPECT_FALSE(needs_rehash(hash("x", HashScheme::lucia_scrypt), HashScheme::lucia_scrypt));
}

TEST(Nfkc, ComposesAndReplacesCompatibilityForms) {
  EXPECT_EQ(nfkc("a\u0308"), "\u00E4");
  EXPECT_EQ(nfkc("\uFB01"), "fi");
  EXPECT_EQ(nfkc("\uFF21\u2460"), "A1");
  EXPECT_EQ(nfkc("\u1112\u1161\u11AB"), "\uD55C");
  EXPECT_EQ(nfkc("\uFDFA").size(), 33U);  // one character of three bytes becomes eighteen
  EXPECT_EQ(nfkc("plain"), "plain");
  EXPECT_EQ(nfkc(""), "");
}

TEST(Nfkc, KeepsNulBytesAndWhatIsNoUtf8) {
  EXPECT_EQ(nfkc(std::string("\uFB01\0\uFB01", 7)), std::string("fi\0fi", 5));
  EXPECT_EQ(nfkc("\uFB01\xFF"), "\uFB01\xFF");
  EXPECT_EQ(nfkc("\xED\xA0\x80"), "\xED\xA0\x80");
}

TEST(CountCodePoints, BytesThatAreNoUtf8CountOneEach) {
  EXPECT_EQ(count_code_points(""), 0U);
  EXPECT_EQ(count_code_points("a\u00E4\u20AC\U0001F600"), 4U);
  EXPECT_EQ(count_code_points("\xFF\xC3"), 2U);
  EXPECT_EQ(count_code_points("a\xE2\x82"), 3U);
  EXPECT_EQ(count_code_points(std::string("a\0b", 3)), 3U);
}

}  // namespace
}  // namespace gatehouse::auth
