// fastcgi::PairDecoder against a reader that has the whole list: the same pairs wherever the stream is cut, never more
// than the limits allow; and pairs that come back as they went in, through records too.
// Input: the list of pairs; at its end one byte (1: tight limits; 14: pairs for several records) and one for how it is
// cut.
#include <string>
#include <utility>
#include <vector>

#include "fastcgi/name_value.hpp"
#include "fastcgi/record.hpp"
#include "fuzz/fuzz.hpp"

namespace gatehouse::fuzz {
namespace {

using fastcgi::NameValue;
using fastcgi::PairDecoder;
using fastcgi::PairLimits;
using Step = PairDecoder::Step;

using Pairs = std::vector<std::pair<std::string, std::string>>;

enum class End { between_pairs, within_a_pair, too_large };

struct List {
  Pairs pairs;
  End end = End::between_pairs;

  bool operator==(const List&) const = default;
};

// FastCGI 1.0 section 3.4: one byte, or four with the highest bit set. False if they are not all there.
bool take_length(std::string_view& bytes, std::size_t& length) {
  if (bytes.empty()) return false;
  const bool is_long = (static_cast<std::uint8_t>(bytes.front()) & 0x80U) != 0;
  const std::size_t size = is_long ? 4 : 1;
  if (bytes.size() < size) return false;
  length = 0;
  for (const char byte : bytes.substr(0, size)) length = length << 8U | static_cast<std::uint8_t>(byte);
  if (is_long) length &= 0x7fffffffU;
  bytes.remove_prefix(size);
  return true;
}

List read_whole(std::string_view bytes, const PairLimits& limits) {
  List list;
  std::size_t total = 0;
  while (!bytes.empty()) {
    std::size_t name = 0;
    std::size_t value = 0;
    list.end = End::within_a_pair;
    if (!take_length(bytes, name) || !take_length(bytes, value)) return list;
    total += name + value;
    if (name + value > limits.pair_bytes || total > limits.total_bytes || list.pairs.size() == limits.count) {
      list.end = End::too_large;
      return list;
    }
    if (bytes.size() < name + value) return list;
    list.pairs.emplace_back(bytes.substr(0, name), bytes.substr(name, value));
    bytes.remove_prefix(name + value);
    list.end = End::between_pairs;
  }
  return list;
}

// Takes every pair that the bytes give; false if a limit is exceeded.
bool feed(PairDecoder& decoder, std::string_view bytes, Pairs& pairs) {
  NameValue pair;
  Step step = decoder.next(bytes, pair);
  for (; step == Step::pair; step = decoder.next(bytes, pair)) pairs.emplace_back(pair.name, pair.value);
  if (step == Step::too_large) {
    require(decoder.next(bytes, pair) == Step::too_large, "too_large is final");
    return false;
  }
  require(bytes.empty(), "need_more has consumed everything");
  return true;
}

List read_cut(std::string_view bytes, const PairLimits& limits, std::uint8_t how) {
  PairDecoder decoder(limits);
  List list;
  for (const auto& piece : cut(bytes, how)) {
    if (feed(decoder, view(piece), list.pairs)) continue;
    list.end = End::too_large;
    return list;
  }
  list.end = decoder.at_boundary() ? End::between_pairs : End::within_a_pair;
  return list;
}

void check_limits(const Pairs& pairs, const PairLimits& limits) {
  std::size_t total = 0;
  for (const auto& [name, value] : pairs) {
    require(name.size() + value.size() <= limits.pair_bytes, "no pair is larger than one may be");
    total += name.size() + value.size();
  }
  require(total <= limits.total_bytes && pairs.size() <= limits.count, "all pairs are within the limits");
}

void check_round_trip(const Pairs& pairs, const PairLimits& limits) {
  std::string encoded;
  for (const auto& [name, value] : pairs) fastcgi::append_name_value(encoded, name, value);
  require(read_cut(encoded, limits, 0) == List{pairs, End::between_pairs}, "encoded pairs decode to themselves");
}

// No pair crosses a record, and no record is empty: that one would end the stream.
void check_records(const Pairs& pairs, const PairLimits& limits) {
  std::string stream;
  if (!fastcgi::append_params(stream, 7, pairs)) {
    require(stream.empty(), "what does not fit leaves nothing behind");
    return;
  }
  Pairs decoded;
  fastcgi::RecordDecoder decoder;
  fastcgi::RecordPiece piece;
  std::string_view input = stream;
  while (decoder.next(input, piece) == fastcgi::RecordDecoder::Step::piece) {
    require(piece.header.type == fastcgi::RecordType::params && piece.header.request_id == 7, "they are PARAMS of 7");
    require(piece.first && piece.last && !piece.content.empty(), "each record is whole and not empty");
    const List list = read_whole(piece.content, limits);
    require(list.end == End::between_pairs, "no pair crosses a record");
    decoded.insert(decoded.end(), list.pairs.begin(), list.pairs.end());
  }
  require(decoder.at_boundary() && input.empty(), "the records are whole");
  require(decoded == pairs, "pairs come back through records");
}

// The pairs again and again, until they need more than one record; tiny ones never do, within reasonable time.
Pairs repeated(const Pairs& pairs) {
  constexpr std::size_t kEnough = 70'000;
  std::size_t bytes = 0;
  for (const auto& [name, value] : pairs) bytes += name.size() + value.size() + 2;
  Pairs many;
  for (std::size_t sum = 0; bytes > 0 && sum < kEnough && many.size() < 1000; sum += bytes) {
    many.insert(many.end(), pairs.begin(), pairs.end());
  }
  return many;
}

constexpr PairLimits kNone{.pair_bytes = SIZE_MAX, .total_bytes = SIZE_MAX, .count = SIZE_MAX};
constexpr PairLimits kTight{.pair_bytes = 40, .total_bytes = 100, .count = 5};

}  // namespace
}  // namespace gatehouse::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gatehouse::fuzz;
  Input input(data, size);
  const auto how = input.choice();
  const auto choice = input.choice();
  const PairLimits limits = (choice & 1U) == 0 ? PairLimits{} : kTight;
  const List expected = read_whole(input.rest(), limits);
  for (const auto each : ways_to_cut(input.rest(), how)) {
    require(read_cut(input.rest(), limits, each) == expected, "the pairs are the same wherever the stream is cut");
  }
  check_limits(expected.pairs, limits);
  check_round_trip(expected.pairs, limits);
  check_records(expected.pairs, limits);
  if ((choice & 0x0eU) == 0x0eU) check_records(repeated(expected.pairs), kNone);
  return 0;
}
