// Randomness as a port, so that rules can be tested and so that a broken generator means "no login".
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "auth/error.hpp"

namespace gatehouse::auth {

/// Thread-safe.
class Random {
 public:
  virtual ~Random() = default;
  /// Fills the bytes from a CSPRNG. Fails: internal (then nothing may be issued).
  [[nodiscard]] virtual Result<void> fill(std::span<std::byte> bytes) = 0;
};

/// OpenSSL's CSPRNG, seeded by getrandom(2).
class SystemRandom final : public Random {
 public:
  [[nodiscard]] Result<void> fill(std::span<std::byte> bytes) override;
};

/// Draws `length` characters uniformly from `alphabet` (2 to 256 characters; rejection, no modulo bias).
[[nodiscard]] Result<std::string> random_text(Random& random, std::string_view alphabet, std::size_t length);

inline constexpr std::string_view kBase36 = "0123456789abcdefghijklmnopqrstuvwxyz";

}  // namespace gatehouse::auth
