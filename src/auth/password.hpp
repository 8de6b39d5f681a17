// Passwords: hashed with argon2id or Lucia's scrypt, verified in every form that Lucia 0.1 to 2.x and we wrote, and in
// bcrypt, which people brought to Lucia's tables.
//
// What is hashed is NFKC(password), as in Lucia: a name typed on another keyboard layout stays the same. Costs about
// 25 ms and 19 MiB (argon2id) or 80 ms and 32 MiB (s2): call from a bounded pool, never from a reactor.
#pragma once

#include <string>
#include <string_view>

#include "auth/error.hpp"
#include "auth/random.hpp"

namespace gatehouse::auth {

enum class HashScheme {
  argon2id,      ///< PHC string, m=19456 KiB, t=2, p=1 (OWASP minimum)
  lucia_scrypt,  ///< "s2:SALT:HEX": N=16384, r=16, p=1, 64 bytes; 16-character text salt
};

inline constexpr std::size_t kMaxPasswordBytes = 4096;

/// Hashes a password. Fails: invalid_password (longer than kMaxPasswordBytes), internal. Thread-safe.
[[nodiscard]] Result<std::string> hash_password(std::string_view password, HashScheme scheme, Random& random);

enum class PasswordCheck {
  wrong,  ///< does not fit, or the stored text is nothing we can verify (empty, garbage, too costly)
  correct,
};

/// Compares a password with a stored hash in constant time; anything that is none of these is wrong, never a pass; so
/// is a password longer than kMaxPasswordBytes. "s2:SALT:HEX" (r=16), the old "SALT:HEX" (r=8), "$argon2id$v=19$…" (at
/// most 256 MiB, t=16, p=8): NFKC first, then the bytes as typed. "$2a$", "$2b$", "$2y$" (bcrypt, cost 4 to 14: a
/// second or so): the bytes as typed first, then NFKC; as everywhere, bytes after the 72nd do not count, and a password
/// with a NUL byte is wrong. Fails: internal (no memory for the hash): then nobody may be let in. Thread-safe.
[[nodiscard]] Result<PasswordCheck> verify_password(std::string_view password, std::string_view stored);

/// True if a stored text is one of those forms, so that verifying it costs a hash; what is not answers at once.
[[nodiscard]] bool is_verifiable(std::string_view stored);

/// True if a stored hash should be replaced after a successful login: other scheme, or argon2id with lower costs.
[[nodiscard]] bool needs_rehash(std::string_view stored, HashScheme wanted);

/// NFKC by utf8proc; text that is no UTF-8 is returned as it is.
[[nodiscard]] std::string nfkc(std::string_view text);
/// Number of code points; bytes that are no UTF-8 count one each.
[[nodiscard]] std::size_t count_code_points(std::string_view text);

}  // namespace gatehouse::auth
