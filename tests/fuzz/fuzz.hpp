// What the fuzz targets share. A target is one .cpp with LLVMFuzzerTestOneInput: it feeds one input to a reader of
// untrusted bytes and checks what must hold for every input. A sentence that does not hold ends the process, and so
// does a sanitizer. scripts/fuzz searches for such inputs; replay.cpp runs the kept ones in every ctest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string_view>
#include <vector>

namespace gatehouse::fuzz {

/// Ends the process with the sentence, if it does not hold for this input.
inline void require(bool holds, std::string_view sentence) {
  if (holds) return;
  std::cerr << "broken: " << sentence << '\n';
  std::abort();
}

/// One input: text in front, small choices taken off its end, so that a seed reads as what it is about.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : text_(reinterpret_cast<const char*>(data), size) {}

  /// Takes one byte off the end; 0 if there is none.
  std::uint8_t choice() {
    if (text_.empty()) return 0;
    const auto last = static_cast<std::uint8_t>(text_.back());
    text_.remove_suffix(1);
    return last;
  }
  /// Takes eight bytes off the end; fewer if there are no more.
  std::int64_t number() {
    std::uint64_t bits = 0;
    for (int i = 0; i < 8; ++i) bits = bits << 8U | choice();
    return static_cast<std::int64_t>(bits);
  }
  /// Takes the text up to the next LF, or all of it.
  std::string_view line() {
    const auto line = text_.substr(0, text_.find('\n'));
    text_.remove_prefix(line.size() == text_.size() ? line.size() : line.size() + 1);
    return line;
  }
  [[nodiscard]] std::string_view rest() const { return text_; }

 private:
  std::string_view text_;
};

/// Cuts a stream into pieces as a network might: 0 is no cut, 1 cuts at every byte, others draw lengths up to a power
/// of two. Each piece has its own memory, so that a read past its end is seen.
inline std::vector<std::vector<char>> cut(std::string_view whole, std::uint8_t how) {
  std::vector<std::vector<char>> pieces;
  std::minstd_rand random(how);
  const std::size_t longest = std::size_t{1} << (how + 11U) % 12U;
  while (!whole.empty()) {
    const auto part = whole.substr(0, how == 0 ? whole.size() : 1 + random() % longest);
    pieces.emplace_back(part.begin(), part.end());
    whole.remove_prefix(part.size());
  }
  return pieces;
}

/// The ways in which a stream is cut and must read the same: whole, as the input says, and a short one at every byte;
/// for a long one that takes the time of many other inputs.
inline std::vector<std::uint8_t> ways_to_cut(std::string_view whole, std::uint8_t how) {
  constexpr std::size_t kShort = 256;
  return whole.size() <= kShort ? std::vector<std::uint8_t>{0, how, 1} : std::vector<std::uint8_t>{0, how};
}

inline std::string_view view(const std::vector<char>& bytes) {
  return {bytes.data(), bytes.size()};
}

}  // namespace gatehouse::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
