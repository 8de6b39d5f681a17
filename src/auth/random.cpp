// OpenSSL's generator behind the port, and uniform text drawn from whatever stands behind it.
#include "auth/random.hpp"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <utility>
#include <vector>

namespace gatehouse::auth {

namespace {

constexpr std::size_t kByteValues = 256;
// A round accepts each byte with a chance of at least one half; only a stuck generator needs this many.
constexpr int kMaxRounds = 256;

// Appends a character for every byte that is below the largest multiple of the alphabet's size: the others would
// make the first characters likelier.
void append_accepted(std::string& text, std::span<const std::byte> bytes, std::string_view alphabet,
                     std::size_t length) {
  const std::size_t limit = kByteValues - kByteValues % alphabet.size();
  for (const std::byte byte : bytes) {
    const auto value = std::to_integer<std::size_t>(byte);
    if (text.size() < length && value < limit) {
      text.push_back(alphabet[value % alphabet.size()]);
    }
  }
}

}  // namespace

Result<void> SystemRandom::fill(std::span<std::byte> bytes) {
  if (!std::in_range<int>(bytes.size())) {
    return fail(ErrorCode::internal, "too many random bytes at once");
  }
  if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size())) != 1) {
    return fail(ErrorCode::internal, "the random generator failed");
  }
  return {};
}

Result<std::string> random_text(Random& random, std::string_view alphabet, std::size_t length) {
  if (alphabet.size() < 2 || alphabet.size() > kByteValues) {
    return fail(ErrorCode::internal, "an alphabet has 2 to 256 characters");
  }
  std::string text;
  text.reserve(length);
  std::vector<std::byte> bytes(length);
  for (int round = 0; text.size() < length; ++round) {
    if (round == kMaxRounds) {
      return fail(ErrorCode::internal, "the random generator is stuck");
    }
    if (auto filled = random.fill(bytes); !filled) {
      return std::unexpected(std::move(filled.error()));
    }
    append_accepted(text, bytes, alphabet, length);
  }
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return text;
}

}  // namespace gatehouse::auth
