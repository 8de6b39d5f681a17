// One request's bytes (RFC 9112), read by Boost.Beast's parser and then by a stricter eye: whatever two readers on the
// way could take for two different requests is refused. Pure.
#pragma once

#include <cstddef>
#include <expected>
#include <memory>
#include <string>
#include <string_view>

#include "httpd/request.hpp"

namespace gatehouse::httpd {

struct ParserLimits {
  std::size_t head_bytes = std::size_t{64} * 1024;
  std::size_t fields = 1000;
};

class Parser {
 public:
  explicit Parser(const ParserLimits& limits);
  ~Parser();
  Parser(Parser&&) noexcept;
  Parser& operator=(Parser&&) noexcept;

  /// Takes the head from the front of `input`, which has to hold it whole. Returns its length, 0 if it is not there
  /// yet: then come again with more.
  [[nodiscard]] std::expected<std::size_t, ParseProblem> take_head(std::string_view input);
  /// After a head: takes bytes of the body's framing from the front of `input` and appends those of its content to
  /// `body`, at most one chunk's. Returns how many it took, 0 if it needs more.
  [[nodiscard]] std::expected<std::size_t, ParseProblem> take_body(std::string_view input, std::string& body);

  [[nodiscard]] const RequestHead& head() const;
  /// True once the whole request was taken.
  [[nodiscard]] bool is_done() const;
  /// The peer wants the connection kept (RFC 9112 section 9.3).
  [[nodiscard]] bool keeps() const;
  /// The peer waits for "100 Continue" before it sends the body.
  [[nodiscard]] bool expects_continue() const;

 private:
  class Beast;

  [[nodiscard]] bool has_lone_line_feed(std::string_view input) const;

  ParserLimits limits_;
  std::size_t searched_ = 0;  // of a head that is not whole yet
  std::unique_ptr<Beast> beast_;
};

}  // namespace gatehouse::httpd
