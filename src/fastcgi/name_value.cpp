// Name-value pairs: lengths of one or four bytes, whole pairs in place, split pairs gathered.
#include "fastcgi/name_value.hpp"

#include <algorithm>
#include <array>
#include <cassert>

#include "fastcgi/record.hpp"

namespace gatehouse::fastcgi {
namespace {

constexpr std::size_t kMaxShortLength = 127;
constexpr std::uint8_t kLongLength = 0x80;

std::uint8_t byte_at(std::string_view bytes, std::size_t index) {
  return static_cast<std::uint8_t>(bytes[index]);
}

// Reads one length at `offset`. Returns how many bytes it takes, 0 if they are not all there.
std::size_t read_length(std::string_view bytes, std::size_t offset, std::size_t& length) {
  if (offset >= bytes.size()) return 0;
  const std::uint8_t first = byte_at(bytes, offset);
  if (first < kLongLength) {
    length = first;
    return 1;
  }
  if (bytes.size() - offset < 4) return 0;
  length = static_cast<std::size_t>(first & 0x7fU) << 24U |
           static_cast<std::size_t>(byte_at(bytes, offset + 1)) << 16U |
           static_cast<std::size_t>(byte_at(bytes, offset + 2)) << 8U | byte_at(bytes, offset + 3);
  return 4;
}

std::size_t length_size(std::size_t length) {
  return length <= kMaxShortLength ? 1 : 4;
}

void append_length(std::string& out, std::size_t length) {
  assert(length < 0x80000000U);
  if (length <= kMaxShortLength) {
    out.push_back(static_cast<char>(length));
    return;
  }
  const std::array<char, 4> bytes{static_cast<char>(kLongLength | length >> 24U), static_cast<char>(length >> 16U),
                                  static_cast<char>(length >> 8U), static_cast<char>(length)};
  out.append(bytes.data(), bytes.size());
}

std::size_t encoded_size(std::string_view name, std::string_view value) {
  return length_size(name.size()) + length_size(value.size()) + name.size() + value.size();
}

NameValue split(std::string_view whole, std::size_t prefix, std::size_t name) {
  return {.name = whole.substr(prefix, name), .value = whole.substr(prefix + name)};
}

}  // namespace

PairDecoder::Lengths PairDecoder::read_lengths(std::string_view bytes) {
  Lengths lengths;
  const std::size_t name_size = read_length(bytes, 0, lengths.name);
  if (name_size == 0) return {};
  const std::size_t value_size = read_length(bytes, name_size, lengths.value);
  if (value_size == 0) return {};
  lengths.prefix = name_size + value_size;
  return lengths;
}

// Both lengths are below 2^31 and size_t has 64 bits: no sum here can wrap.
PairDecoder::Step PairDecoder::admit(const Lengths& lengths) {
  static_assert(sizeof(std::size_t) >= 8);
  const std::size_t bytes = lengths.name + lengths.value;
  ++count_;
  total_bytes_ += bytes;
  too_large_ = bytes > limits_.pair_bytes || total_bytes_ > limits_.total_bytes || count_ > limits_.count;
  return too_large_ ? Step::too_large : Step::pair;
}

PairDecoder::Step PairDecoder::next(std::string_view& input, NameValue& pair) {
  if (too_large_) return Step::too_large;
  return partial_.empty() ? next_whole(input, pair) : next_split(input, pair);
}

PairDecoder::Step PairDecoder::next_whole(std::string_view& input, NameValue& pair) {
  if (input.empty()) return Step::need_more;
  lengths_ = read_lengths(input);
  if (lengths_.prefix > 0) {
    if (admit(lengths_) == Step::too_large) return Step::too_large;
    if (input.size() >= lengths_.total()) {
      pair = split(input.substr(0, lengths_.total()), lengths_.prefix, lengths_.name);
      input.remove_prefix(lengths_.total());
      return Step::pair;
    }
  }
  partial_ = input;
  input = {};
  return Step::need_more;
}

PairDecoder::Step PairDecoder::next_split(std::string_view& input, NameValue& pair) {
  while (lengths_.prefix == 0) {
    if (input.empty()) return Step::need_more;
    partial_.push_back(input.front());
    input.remove_prefix(1);
    lengths_ = read_lengths(partial_);
    if (lengths_.prefix > 0 && admit(lengths_) == Step::too_large) return Step::too_large;
  }
  const std::size_t count = std::min(lengths_.total() - partial_.size(), input.size());
  partial_.append(input.substr(0, count));
  input.remove_prefix(count);
  if (partial_.size() < lengths_.total()) return Step::need_more;
  given_.swap(partial_);
  partial_.clear();
  pair = split(given_, lengths_.prefix, lengths_.name);
  return Step::pair;
}

void append_name_value(std::string& out, std::string_view name, std::string_view value) {
  append_length(out, name.size());
  append_length(out, value.size());
  out.append(name);
  out.append(value);
}

bool append_params(std::string& out, std::uint16_t request_id,
                   std::span<const std::pair<std::string, std::string>> params) {
  const std::size_t before = out.size();
  std::string content;
  for (const auto& [name, value] : params) {
    const std::size_t size = encoded_size(name, value);
    if (size > kMaxContent) {
      out.resize(before);
      return false;
    }
    if (content.size() + size > kMaxContent) {
      append_record(out, RecordType::params, request_id, content);
      content.clear();
    }
    append_name_value(content, name, value);
  }
  // An empty record would end the stream.
  if (!content.empty()) append_record(out, RecordType::params, request_id, content);
  return true;
}

}  // namespace gatehouse::fastcgi
