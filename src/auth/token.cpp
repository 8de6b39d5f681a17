// Tokens by OpenSSL: SHA-256 for the id in the store, HMAC-SHA-512 for the token that follows another.
#include "auth/token.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <algorithm>
#include <span>
#include <stdexcept>
#include <utility>

namespace gatehouse::auth {

namespace {

bool is_in(TokenAlphabet alphabet, char c) {
  const bool is_base36 = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z');
  return is_base36 || (alphabet == TokenAlphabet::base62 && c >= 'A' && c <= 'Z');
}

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// Divides a big-endian number in place and returns the remainder.
unsigned divide(std::span<unsigned char> number, unsigned divisor) {
  unsigned remainder = 0;
  for (unsigned char& digit : number) {
    const unsigned dividend = remainder * 256 + digit;
    digit = static_cast<unsigned char>(dividend / divisor);
    remainder = dividend % divisor;
  }
  return remainder;
}

}  // namespace

std::optional<SessionToken> SessionToken::parse(std::string_view text, TokenAlphabet alphabet) {
  if (text.size() != kTokenLength || !std::ranges::all_of(text, [&](char c) { return is_in(alphabet, c); })) {
    return std::nullopt;
  }
  return SessionToken(std::string(text));
}

Result<SessionToken> SessionToken::generate(Random& random) {
  auto text = random_text(random, kBase36, kTokenLength);
  if (!text) {
    return std::unexpected(std::move(text.error()));
  }
  return SessionToken(std::move(*text));
}

// 512 bits modulo 36^40 (207 bits): the bias is below 2^-300.
SessionToken SessionToken::successor(const Nonce& nonce) const {
  std::array<unsigned char, SHA512_DIGEST_LENGTH> number{};
  unsigned length = 0;
  if (HMAC(EVP_sha512(), text_.data(), static_cast<int>(text_.size()),
           reinterpret_cast<const unsigned char*>(nonce.data()), nonce.size(), number.data(), &length) == nullptr) {
    throw std::runtime_error("HMAC-SHA-512 failed");
  }
  std::string text(kTokenLength, '0');
  for (auto digit = text.rbegin(); digit != text.rend(); ++digit) {
    *digit = kBase36[divide(number, kBase36.size())];
  }
  OPENSSL_cleanse(number.data(), number.size());
  return SessionToken(std::move(text));
}

SessionId SessionToken::id(TokenStorage storage) const {
  return SessionId(storage == TokenStorage::sha256 ? sha256_hex(text_) : text_);
}

std::string sha256_hex(std::string_view text) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  if (SHA256(bytes_of(text), text.size(), digest.data()) == nullptr) {
    throw std::runtime_error("SHA-256 failed");
  }
  std::string hex;
  hex.reserve(2 * digest.size());
  for (const unsigned char byte : digest) {
    hex.push_back(kHex[byte >> 4U]);
    hex.push_back(kHex[byte & 0x0FU]);
  }
  return hex;
}

}  // namespace gatehouse::auth
