// Password hashes by OpenSSL (scrypt), libargon2 and the system's libcrypt (bcrypt), Unicode by utf8proc. A stored text
// is parsed into one of the forms that we verify before anything is computed; what is left over is "wrong".
#include "auth/password.hpp"

#include <argon2.h>
#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <variant>
#include <vector>

namespace gatehouse::auth {

namespace {

// Nothing that we verify is longer; libargon2 would allocate by the length of the text.
constexpr std::size_t kMaxStoredBytes = 1024;

// ── Unicode ───────────────────────────────────────────────────────────────────────────────────────────────────────

const utf8proc_uint8_t* bytes_of(std::string_view text) {
  return reinterpret_cast<const utf8proc_uint8_t*>(text.data());
}

// What is hashed: NFKC of a password, wiped when it is no longer needed.
class NormalizedPassword {
 public:
  explicit NormalizedPassword(std::string_view password) : text_(nfkc(password)) {}
  NormalizedPassword(const NormalizedPassword&) = delete;
  NormalizedPassword& operator=(const NormalizedPassword&) = delete;
  NormalizedPassword(NormalizedPassword&&) = delete;
  NormalizedPassword& operator=(NormalizedPassword&&) = delete;
  ~NormalizedPassword() { OPENSSL_cleanse(text_.data(), text_.size()); }

  [[nodiscard]] std::string_view text() const { return text_; }

 private:
  std::string text_;
};

// ── scrypt, as Lucia does it ──────────────────────────────────────────────────────────────────────────────────────

constexpr std::size_t kScryptBytes = 64;
constexpr std::size_t kLuciaSaltLength = 16;
constexpr std::uint64_t kLuciaBlockSize = 16;  // r since 0.2.1
constexpr std::uint64_t kOldBlockSize = 8;     // r before, in hashes of two parts

/// "s2:SALT:HEX" or "SALT:HEX"; the salt is used as the text that it is.
struct LuciaHash {
  std::string_view salt;
  std::string_view hex;
  std::uint64_t block_size = kLuciaBlockSize;
};

bool is_lower_hex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::optional<LuciaHash> parse_lucia(std::string_view stored) {
  LuciaHash hash;
  if (std::ranges::count(stored, ':') == 1) {
    hash.block_size = kOldBlockSize;
  } else if (stored.starts_with("s2:")) {
    stored.remove_prefix(3);
  } else {
    return std::nullopt;
  }
  const auto colon = stored.find(':');
  hash.salt = stored.substr(0, colon);
  hash.hex = stored.substr(colon + 1);
  // A further colon would be in the hex part, and fails there.
  if (hash.salt.empty() || hash.hex.size() != 2 * kScryptBytes || !is_lower_hex(hash.hex)) {
    return std::nullopt;
  }
  return hash;
}

std::string hex_of(std::span<const unsigned char> bytes) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string hex;
  hex.reserve(2 * bytes.size());
  for (const unsigned char byte : bytes) {
    hex.push_back(kHex[byte >> 4U]);
    hex.push_back(kHex[byte & 0x0FU]);
  }
  return hex;
}

Result<std::string> scrypt_hex(std::string_view password, std::string_view salt, std::uint64_t block_size) {
  constexpr std::uint64_t kCost = 16384;
  constexpr std::uint64_t kParallelism = 1;
  // OpenSSL refuses more than 32 MiB unless told otherwise, and this needs 32 MiB and a little (128 * N * r).
  constexpr std::uint64_t kMaxMemory = 64ULL * 1024 * 1024;
  std::array<unsigned char, kScryptBytes> key{};
  if (EVP_PBE_scrypt(password.data(), password.size(), reinterpret_cast<const unsigned char*>(salt.data()), salt.size(),
                     kCost, block_size, kParallelism, kMaxMemory, key.data(), key.size()) != 1) {
    ERR_clear_error();
    return fail(ErrorCode::internal, "scrypt failed: no memory?");
  }
  return hex_of(key);
}

Result<PasswordCheck> check_scrypt(std::string_view password, const LuciaHash& hash) {
  auto hex = scrypt_hex(password, hash.salt, hash.block_size);
  if (!hex) {
    return std::unexpected(std::move(hex.error()));
  }
  const bool fits = hex->size() == hash.hex.size() && CRYPTO_memcmp(hex->data(), hash.hex.data(), hex->size()) == 0;
  return fits ? PasswordCheck::correct : PasswordCheck::wrong;
}

Result<std::string> hash_by_scrypt(std::string_view password, Random& random) {
  auto salt = random_text(random, kBase36, kLuciaSaltLength);
  if (!salt) {
    return salt;
  }
  auto hex = scrypt_hex(password, *salt, kLuciaBlockSize);
  if (!hex) {
    return hex;
  }
  return "s2:" + *salt + ":" + *hex;
}

// ── argon2id ──────────────────────────────────────────────────────────────────────────────────────────────────────

struct Argon2Costs {
  std::uint32_t memory_kib = 0;
  std::uint32_t passes = 0;
  std::uint32_t lanes = 0;
};

constexpr Argon2Costs kOurCosts{.memory_kib = 19456, .passes = 2, .lanes = 1};
// A stored text must not be able to make us compute for minutes or take all memory.
constexpr Argon2Costs kMaxCosts{.memory_kib = 256 * 1024, .passes = 16, .lanes = 8};
constexpr std::size_t kArgon2SaltBytes = 16;
constexpr std::size_t kArgon2HashBytes = 32;

// Takes "PREFIX<number>" from the front of a text.
bool take_number(std::string_view& text, std::string_view prefix, std::uint32_t& number) {
  if (!text.starts_with(prefix)) {
    return false;
  }
  text.remove_prefix(prefix.size());
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return error == std::errc{};
}

// Reads the costs of "$argon2id$v=19$m=M,t=T,p=P$…"; libargon2 judges the rest.
std::optional<Argon2Costs> parse_argon2id(std::string_view stored) {
  Argon2Costs costs;
  const bool is_complete = take_number(stored, "$argon2id$v=19$m=", costs.memory_kib) &&
                           take_number(stored, ",t=", costs.passes) && take_number(stored, ",p=", costs.lanes) &&
                           stored.starts_with('$');
  return is_complete ? std::optional(costs) : std::nullopt;
}

bool is_affordable(const Argon2Costs& costs) {
  return costs.memory_kib <= kMaxCosts.memory_kib && costs.passes <= kMaxCosts.passes && costs.lanes <= kMaxCosts.lanes;
}

// As libargon2 reads it: no padding, and the bits after the last byte are 0.
bool is_base64(std::string_view text, std::size_t min_bytes) {
  static constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (text.size() * 6 / 8 < min_bytes || text.find_first_not_of(kAlphabet) != std::string_view::npos) return false;
  const std::size_t bits_left = text.size() * 6 % 8;
  return bits_left < 6 && kAlphabet.find(text.back()) % (std::size_t{1} << bits_left) == 0;
}

// What libargon2 would not compute: a text that is cut off, numbers with zeros in front, too little of anything.
bool is_complete_argon2id(std::string_view stored, const Argon2Costs& costs) {
  const std::string head = "$argon2id$v=19$m=" + std::to_string(costs.memory_kib) +
                           ",t=" + std::to_string(costs.passes) + ",p=" + std::to_string(costs.lanes) + "$";
  if (costs.passes == 0 || costs.lanes == 0 || costs.memory_kib < 8 * costs.lanes || !stored.starts_with(head)) {
    return false;
  }
  const std::string_view rest = stored.substr(head.size());
  const auto dollar = rest.find('$');
  return dollar != std::string_view::npos && is_base64(rest.substr(0, dollar), ARGON2_MIN_SALT_LENGTH) &&
         is_base64(rest.substr(dollar + 1), ARGON2_MIN_OUTLEN);
}

// OWASP's equal settings trade memory against passes, so the product counts; but never less memory than ours.
bool is_cheaper_than_ours(const Argon2Costs& costs) {
  const auto work = [](const Argon2Costs& c) { return std::uint64_t{c.memory_kib} * c.passes; };
  return costs.memory_kib < kOurCosts.memory_kib || work(costs) < work(kOurCosts);
}

Result<PasswordCheck> check_argon2id(std::string_view password, const std::string& stored) {
  const int status = argon2id_verify(stored.c_str(), password.data(), password.size());
  switch (status) {
    case ARGON2_OK: return PasswordCheck::correct;
    case ARGON2_MEMORY_ALLOCATION_ERROR:
    case ARGON2_THREAD_FAIL: return fail(ErrorCode::internal, argon2_error_message(status));
    default: return PasswordCheck::wrong;
  }
}

Result<std::string> hash_by_argon2id(std::string_view password, Random& random) {
  std::array<std::byte, kArgon2SaltBytes> salt{};
  if (auto filled = random.fill(salt); !filled) {
    return std::unexpected(std::move(filled.error()));
  }
  std::string text(argon2_encodedlen(kOurCosts.passes, kOurCosts.memory_kib, kOurCosts.lanes, kArgon2SaltBytes,
                                     kArgon2HashBytes, Argon2_id),
                   '\0');
  const int status =
      argon2id_hash_encoded(kOurCosts.passes, kOurCosts.memory_kib, kOurCosts.lanes, password.data(), password.size(),
                            salt.data(), salt.size(), kArgon2HashBytes, text.data(), text.size());
  if (status != ARGON2_OK) {
    return fail(ErrorCode::internal, argon2_error_message(status));
  }
  text.resize(text.find('\0'));
  return text;
}

// ── bcrypt, of other programs ─────────────────────────────────────────────────────────────────────────────────────

constexpr std::size_t kBcryptBytes = 60;
constexpr std::size_t kBcryptPasswordBytes = 72;
constexpr std::uint32_t kMinBcryptCost = 4;
constexpr std::uint32_t kMaxBcryptCost = 14;

// "$2a$", "$2b$" or "$2y$", two digits of cost, "$", 22 characters of salt and 31 of hash. "$2x$" marks hashes of a
// broken implementation, which different passwords fit.
bool is_bcrypt(std::string_view stored) {
  static constexpr std::string_view kAlphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  if (stored.size() != kBcryptBytes || !stored.starts_with("$2") || !std::string_view("aby").contains(stored[2])) {
    return false;
  }
  std::string_view rest = stored.substr(3);
  std::uint32_t cost = 0;
  const bool has_cost = take_number(rest, "$", cost) && rest.size() == 54 && rest.front() == '$';
  return has_cost && cost >= kMinBcryptCost && cost <= kMaxBcryptCost &&
         rest.substr(1).find_first_not_of(kAlphabet) == std::string_view::npos;
}

Result<PasswordCheck> check_bcrypt(std::string_view password, const std::string& stored) {
  // A C string ends at a NUL: what stands before it would do.
  if (password.contains('\0')) {
    return PasswordCheck::wrong;
  }
  std::string key(password.substr(0, kBcryptPasswordBytes));
  const auto work = std::make_unique<crypt_data>();
  const char* made = crypt_rn(key.c_str(), stored.c_str(), work.get(), sizeof(crypt_data));
  const int error = errno;
  const bool fits = made != nullptr && std::string_view(made).size() == stored.size() &&
                    CRYPTO_memcmp(made, stored.data(), stored.size()) == 0;
  OPENSSL_cleanse(key.data(), key.size());
  OPENSSL_cleanse(work.get(), sizeof(crypt_data));
  if (made == nullptr && error == ENOMEM) {
    return fail(ErrorCode::internal, "bcrypt failed: no memory");
  }
  return fits ? PasswordCheck::correct : PasswordCheck::wrong;
}

// ── a stored text ─────────────────────────────────────────────────────────────────────────────────────────────────

struct Argon2idHash {};
struct BcryptHash {};
/// monostate: nothing that we verify.
using StoredHash = std::variant<std::monostate, LuciaHash, Argon2idHash, BcryptHash>;

StoredHash parse_stored(std::string_view stored) {
  // libargon2 would stop at a NUL byte and judge only what stands before it.
  if (stored.size() > kMaxStoredBytes || stored.contains('\0')) return {};
  if (const auto hash = parse_lucia(stored)) return *hash;
  if (const auto costs = parse_argon2id(stored)) {
    return is_affordable(*costs) && is_complete_argon2id(stored, *costs) ? StoredHash(Argon2idHash()) : StoredHash();
  }
  return is_bcrypt(stored) ? StoredHash(BcryptHash()) : StoredHash();
}

// ── the two forms of a password ───────────────────────────────────────────────────────────────────────────────────

enum class FirstForm { normalized, as_typed };

// Lucia before 2.0 and other programs did not normalise what they hashed, so both forms are tried; first the one that
// is likelier, for each costs a whole hash.
template <typename Check>
Result<PasswordCheck> check_both_forms(std::string_view password, FirstForm first, Check check) {
  const NormalizedPassword normalized(password);
  const bool normalized_first = first == FirstForm::normalized;
  Result<PasswordCheck> result = check(normalized_first ? normalized.text() : password);
  if (result == PasswordCheck::wrong && normalized.text() != password) {
    return check(normalized_first ? password : normalized.text());
  }
  return result;
}

}  // namespace

Result<std::string> hash_password(std::string_view password, HashScheme scheme, Random& random) {
  if (password.size() > kMaxPasswordBytes) {
    return fail(ErrorCode::invalid_password, "the password is too long");
  }
  const NormalizedPassword normalized(password);
  switch (scheme) {
    case HashScheme::argon2id: return hash_by_argon2id(normalized.text(), random);
    case HashScheme::lucia_scrypt: return hash_by_scrypt(normalized.text(), random);
  }
  return fail(ErrorCode::internal, "unknown hash scheme");
}

Result<PasswordCheck> verify_password(std::string_view password, std::string_view stored) {
  if (password.size() > kMaxPasswordBytes) return PasswordCheck::wrong;
  const StoredHash hash = parse_stored(stored);
  const std::string text(stored);
  if (const auto* lucia = std::get_if<LuciaHash>(&hash)) {
    return check_both_forms(password, FirstForm::normalized,
                            [&](std::string_view form) { return check_scrypt(form, *lucia); });
  }
  if (std::holds_alternative<Argon2idHash>(hash)) {
    return check_both_forms(password, FirstForm::normalized,
                            [&](std::string_view form) { return check_argon2id(form, text); });
  }
  if (std::holds_alternative<BcryptHash>(hash)) {
    return check_both_forms(password, FirstForm::as_typed,
                            [&](std::string_view form) { return check_bcrypt(form, text); });
  }
  return PasswordCheck::wrong;
}

bool is_verifiable(std::string_view stored) {
  return !std::holds_alternative<std::monostate>(parse_stored(stored));
}

bool needs_rehash(std::string_view stored, HashScheme wanted) {
  switch (wanted) {
    case HashScheme::argon2id: {
      const auto costs = parse_argon2id(stored);
      return !costs || is_cheaper_than_ours(*costs);
    }
    case HashScheme::lucia_scrypt: {
      const auto hash = parse_lucia(stored);
      return !hash || hash->block_size != kLuciaBlockSize;
    }
  }
  return false;
}

// Not utf8proc_NFKC: that one stops at a NUL byte and leaves the password in memory that it frees.
std::string nfkc(std::string_view text) {
  // NOLINTNEXTLINE(clang-analyzer-optin.core.EnumCastOutOfRange): C flags, meant to be added up
  constexpr auto kOptions = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT);
  const auto size = static_cast<utf8proc_ssize_t>(text.size());
  const utf8proc_ssize_t count = utf8proc_decompose(bytes_of(text), size, nullptr, 0, kOptions);
  if (count <= 0) {
    return std::string(text);
  }
  // One more, for the NUL that utf8proc_reencode writes after the text.
  std::vector<utf8proc_int32_t> buffer(static_cast<std::size_t>(count) + 1);
  utf8proc_decompose(bytes_of(text), size, buffer.data(), count, kOptions);
  const utf8proc_ssize_t length = utf8proc_reencode(buffer.data(), count, kOptions);
  std::string result =
      length < 0 ? std::string(text)
                 : std::string(reinterpret_cast<const char*>(buffer.data()), static_cast<std::size_t>(length));
  OPENSSL_cleanse(buffer.data(), buffer.size() * sizeof(utf8proc_int32_t));
  return result;
}

std::size_t count_code_points(std::string_view text) {
  std::size_t count = 0;
  while (!text.empty()) {
    utf8proc_int32_t code_point = 0;
    const auto length = utf8proc_iterate(bytes_of(text), static_cast<utf8proc_ssize_t>(text.size()), &code_point);
    text.remove_prefix(length > 0 ? static_cast<std::size_t>(length) : 1);
    ++count;
  }
  return count;
}

}  // namespace gatehouse::auth
