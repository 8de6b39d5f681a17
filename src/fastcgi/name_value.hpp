// Name-value pairs of PARAMS, GET_VALUES and GET_VALUES_RESULT (FastCGI 1.0 section 3.4). Pure, like record.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace gatehouse::fastcgi {

struct NameValue {
  std::string_view name;
  std::string_view value;
};

/// What one list of pairs may hold. Bytes are those of names and values, without their lengths.
struct PairLimits {
  std::size_t pair_bytes = std::size_t{64} * 1024;
  std::size_t total_bytes = std::size_t{256} * 1024;
  std::size_t count = 1000;
};

/// Reads pairs from a stream of bytes that arrives in pieces of any size: a pair may be split anywhere. Confined to one
/// thread. Keeps only a pair that is not complete yet, and only as many of its bytes as have arrived, so an announced
/// length costs nothing.
class PairDecoder {
 public:
  enum class Step : std::uint8_t {
    need_more,  ///< all input is consumed
    pair,       ///< `pair` is filled
    too_large,  ///< a limit is exceeded; known from the lengths, before the bytes come; final
  };

  explicit PairDecoder(const PairLimits& limits) : limits_(limits) {}

  /// Consumes from the front of `input`. Call until it does not return `pair`. The pair's views are valid until the
  /// next call, and no longer than the bytes that were fed.
  [[nodiscard]] Step next(std::string_view& input, NameValue& pair);

  /// True between pairs: a stream that ends anywhere else is malformed.
  [[nodiscard]] bool at_boundary() const { return partial_.empty(); }

 private:
  struct Lengths {
    std::size_t prefix = 0;  ///< bytes of the two lengths themselves; 0 while they are not complete
    std::size_t name = 0;
    std::size_t value = 0;
    [[nodiscard]] std::size_t total() const { return prefix + name + value; }
  };

  static Lengths read_lengths(std::string_view bytes);
  Step admit(const Lengths& lengths);
  Step next_whole(std::string_view& input, NameValue& pair);
  Step next_split(std::string_view& input, NameValue& pair);

  PairLimits limits_;
  std::size_t total_bytes_ = 0;
  std::size_t count_ = 0;
  std::string partial_;  // the beginning of a pair whose rest has not come
  std::string given_;    // the pair last given, if it came in parts: what its views point into
  Lengths lengths_;      // of partial_
  bool too_large_ = false;
};

/// Appends one pair. Requires name and value below 2^31 bytes each.
void append_name_value(std::string& out, std::string_view name, std::string_view value);

/// Appends pairs as PARAMS records, padded to multiples of 8, without the empty record that ends the stream. No pair
/// crosses a record, because php-fpm resets a connection on which one does.
/// Returns false, with `out` as it was, if a pair does not fit into one record (65535 bytes with its lengths).
[[nodiscard]] bool append_params(std::string& out, std::uint16_t request_id,
                                 std::span<const std::pair<std::string, std::string>> params);

}  // namespace gatehouse::fastcgi
