// What a program writes to its stderr, as lines fit for a log: whatever a visitor could make a script print must not
// look like a line of ours, drive a terminal or fill the disk. Pure. Inner header of cgi/.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace gatehouse::cgi {

/// Returns the text with control characters (C0, DEL, C1, the Unicode line ends) and bytes that are no UTF-8 as \xNN.
[[nodiscard]] std::string escape_for_log(std::string_view bytes);

/// Cuts a stream into lines. Confined to one thread.
class StderrLines {
 public:
  static constexpr std::size_t kMaxLine = 2048;     ///< bytes of an escaped line; a longer one becomes several
  static constexpr std::size_t kMaxBytes = 65'536;  ///< of one request; then one line says so, and no more come …
  static constexpr std::size_t kMaxLines = 256;  ///< … and the same for so many lines: each costs more than its bytes

  /// `sink` may be empty.
  explicit StderrLines(std::function<void(std::string_view)> sink) : sink_(std::move(sink)) {}

  /// Takes the next piece. Returns false if all of it was dropped.
  bool add(std::string_view piece);
  /// Gives out the last line, which has no end.
  void finish();

 private:
  void add_to_line(std::string_view part);
  void give_out_line();
  void give_out(std::string_view line);
  void drop_the_rest();

  std::function<void(std::string_view)> sink_;
  std::string line_;
  std::size_t bytes_ = 0;
  std::size_t lines_ = 0;
  bool is_full_ = false;
};

}  // namespace gatehouse::cgi
