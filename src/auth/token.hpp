// The secret in the cookie and the id in the store: two types, so that neither can be taken for the other.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "auth/random.hpp"

namespace gatehouse::auth {

inline constexpr std::size_t kTokenLength = 40;

/// Which tokens a profile accepts: hardened [a-z0-9]{40}, lucia [A-Za-z0-9]{40}.
enum class TokenAlphabet { base36, base62 };
/// How a token is written down: its SHA-256 in lower-case hex, or itself (Lucia's tables).
enum class TokenStorage { sha256, plain };

/// What a rotation writes down to make the successor computable by whoever holds the old token.
using Nonce = std::array<std::byte, 32>;

/// A session's id as the store has it. Not a secret under sha256 storage, one under plain storage.
class SessionId {
 public:
  explicit SessionId(std::string text) : text_(std::move(text)) {}
  [[nodiscard]] const std::string& text() const { return text_; }
  auto operator<=>(const SessionId&) const = default;

 private:
  std::string text_;
};

/// The secret that a browser holds. Has no operator<< and must not be logged.
class SessionToken {
 public:
  /// Returns nullopt for anything but exactly 40 characters of the alphabet.
  [[nodiscard]] static std::optional<SessionToken> parse(std::string_view text, TokenAlphabet alphabet);
  /// Draws a new token of 40 base-36 characters (206.8 bits).
  [[nodiscard]] static Result<SessionToken> generate(Random& random);

  /// Computes the token that follows this one: the last 40 base-36 digits of HMAC-SHA-512(key = this token, nonce).
  /// Whoever presents the old token lets any node compute it; nothing stored gives it away.
  [[nodiscard]] SessionToken successor(const Nonce& nonce) const;
  [[nodiscard]] SessionId id(TokenStorage storage) const;

  /// The only way out, for the Set-Cookie line.
  [[nodiscard]] const std::string& reveal() const { return text_; }
  bool operator==(const SessionToken&) const = default;

 private:
  explicit SessionToken(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

/// Returns the lower-case hex SHA-256 of a text.
[[nodiscard]] std::string sha256_hex(std::string_view text);

}  // namespace gatehouse::auth
