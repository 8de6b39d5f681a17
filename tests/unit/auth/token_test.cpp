// Tokens, ids and randomness. The expected digits were computed by another program.
#include "auth/token.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace gatehouse::auth {
namespace {

constexpr std::string_view kText = "abcdefghijklmnopqrstuvwxyz0123456789abcd";

SessionToken token_of(std::string_view text) {
  auto token = SessionToken::parse(text, TokenAlphabet::base62);
  if (!token) {
    throw std::invalid_argument("no token");
  }
  return *token;
}

// Hands out the given bytes again and again.
class ScriptedRandom final : public Random {
 public:
  explicit ScriptedRandom(std::vector<int> bytes) : bytes_(std::move(bytes)) {}
  Result<void> fill(std::span<std::byte> bytes) override {
    for (std::byte& byte : bytes) {
      byte = static_cast<std::byte>(bytes_[next_++ % bytes_.size()]);
    }
    return {};
  }

 private:
  std::vector<int> bytes_;
  std::size_t next_ = 0;
};

class BrokenRandom final : public Random {
 public:
  Result<void> fill(std::span<std::byte> /*bytes*/) override { return fail(ErrorCode::internal, "broken"); }
};

TEST(SessionToken, ParseAcceptsExactlyFortyCharacters) {
  EXPECT_TRUE(SessionToken::parse(kText, TokenAlphabet::base36));
  EXPECT_EQ(token_of(kText).reveal(), kText);
  EXPECT_FALSE(SessionToken::parse("", TokenAlphabet::base36));
  EXPECT_FALSE(SessionToken::parse(kText.substr(1), TokenAlphabet::base36));
  EXPECT_FALSE(SessionToken::parse(std::string(kText) + "a", TokenAlphabet::base36));
  EXPECT_FALSE(SessionToken::parse(std::string(4096, 'a'), TokenAlphabet::base62));
}

TEST(SessionToken, ParseAcceptsEachByteOnlyIfItsAlphabetHasIt) {
  for (int byte = 0; byte < 256; ++byte) {
    std::string text(kText);
    text[39] = static_cast<char>(byte);
    const bool is_lower = (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9');
    const bool is_upper = byte >= 'A' && byte <= 'Z';
    EXPECT_EQ(SessionToken::parse(text, TokenAlphabet::base36).has_value(), is_lower) << byte;
    EXPECT_EQ(SessionToken::parse(text, TokenAlphabet::base62).has_value(), is_lower || is_upper) << byte;
  }
}

TEST(SessionToken, GeneratedTokensParseAndDiffer) {
  SystemRandom random;
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const auto token = SessionToken::generate(random);
    ASSERT_TRUE(token);
    EXPECT_TRUE(SessionToken::parse(token->reveal(), TokenAlphabet::base36));
    seen.insert(token->reveal());
  }
  EXPECT_EQ(seen.size(), 100U);
}

TEST(SessionToken, BrokenGeneratorMakesNoToken) {
  BrokenRandom random;
  const auto token = SessionToken::generate(random);
  ASSERT_FALSE(token);
  EXPECT_EQ(token.error().code, ErrorCode::internal);
}

TEST(SessionToken, IdIsTheHashOrTheTextItself) {
  const auto token = token_of(kText);
  EXPECT_EQ(token.id(TokenStorage::sha256).text(), "0f595b824eb4eb7d9fb3b8c7aa23dbc305a92a2cd21bb9180722507216ba3871");
  EXPECT_EQ(token.id(TokenStorage::plain).text(), kText);
}

TEST(SessionToken, Sha256OfTheStandardsExample) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(SessionToken, SuccessorIsTheLastFortyDigitsOfTheHmac) {
  Nonce counting{};
  for (std::size_t i = 0; i < counting.size(); ++i) {
    counting[i] = static_cast<std::byte>(i);
  }
  Nonce ones{};
  ones.fill(std::byte{0xFF});
  EXPECT_EQ(token_of(kText).successor(counting).reveal(), "y1t5xn3seac30ttof3hd0cpm8rbqyk0p7o83s7g4");
  EXPECT_EQ(token_of(kText).successor(Nonce{}).reveal(), "5redbvcag7lu4aas5j9ymok44mytaqs7757ra4hx");
  EXPECT_EQ(token_of("ABCDEFGHIJabcdefghij0123456789ABCDEFGHIJ").successor(ones).reveal(),
            "e29ia6zda2upow0c3jomovnsdmyq76em3tr3kf71");
}

TEST(SessionToken, SuccessorKeepsLeadingZeros) {
  Nonce nonce{};  // 1730, big-endian
  nonce[30] = std::byte{0x06};
  nonce[31] = std::byte{0xC2};
  EXPECT_EQ(token_of(kText).successor(nonce).reveal(), "00t734qldssjxgj7el15lvpcn4m9b13578sfra3s");
}

TEST(RandomText, RejectsBytesThatWouldFavourTheFirstCharacters) {
  // 252 is the largest multiple of 36: 252 to 255 would be '0' to '3' once more.
  ScriptedRandom random({255, 254, 253, 252, 251, 0, 35, 36});
  EXPECT_EQ(random_text(random, kBase36, 4).value(), "z0z0");
}

TEST(RandomText, EveryByteOfAFullAlphabetCounts) {
  std::string alphabet;
  for (int i = 0; i < 256; ++i) {
    alphabet.push_back(static_cast<char>(i));
  }
  ScriptedRandom random({255, 0, 128});
  EXPECT_EQ(random_text(random, alphabet, 3).value(), std::string("\xFF\x00\x80", 3));
}

TEST(RandomText, AllByteValuesGiveEachCharacterEquallyOften) {
  std::vector<int> bytes(256);
  for (int i = 0; i < 256; ++i) {
    bytes[static_cast<std::size_t>(i)] = i;
  }
  ScriptedRandom random(bytes);
  std::map<char, int> counts;
  const auto text = random_text(random, kBase36, 252).value();
  for (const char c : text) {
    ++counts[c];
  }
  EXPECT_EQ(counts.size(), 36U);
  EXPECT_TRUE(std::ranges::all_of(counts, [](const auto& entry) { return entry.second == 7; }));
}

TEST(RandomText, StuckGeneratorFailsInsteadOfHanging) {
  ScriptedRandom random({255});
  EXPECT_EQ(random_text(random, kBase36, 40).error().code, ErrorCode::internal);
}

TEST(RandomText, AlphabetsOfOneOrNoCharacterFail) {
  SystemRandom random;
  EXPECT_FALSE(random_text(random, "", 4));
  EXPECT_FALSE(random_text(random, "a", 4));
  EXPECT_FALSE(random_text(random, std::string(257, 'a'), 4));
  EXPECT_EQ(random_text(random, "ab", 0).value(), "");
}

TEST(SystemRandom, FillsEveryByte) {
  SystemRandom random;
  std::array<std::byte, 64> first{};
  std::array<std::byte, 64> second{};
  ASSERT_TRUE(random.fill(first));
  ASSERT_TRUE(random.fill(second));
  EXPECT_NE(first, second);
  EXPECT_TRUE(random.fill({}));
}

}  // namespace
}  // namespace gatehouse::auth
