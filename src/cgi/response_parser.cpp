#include "cgi/response_parser.hpp"

#include <algorithm>
#include <array>
#include <expected>
#include <utility>

#include "http/syntax.hpp"

namespace gatehouse::cgi {
namespace {

bool is_digit(char byte) {
  return byte >= '0' && byte <= '9';
}

// A web server that reads another number in it loses track of where the next answer begins.
bool is_length(std::string_view value) {
  constexpr std::size_t kMostDigits = 18;  // fits into 63 bits, which is what web servers count with
  return !value.empty() && value.size() <= kMostDigits && std::ranges::all_of(value, is_digit);
}

// Returns the position after the empty line that ends the block, npos if it has not come yet. `from`: where the search
// may begin; every line before it is known not to be empty. Before `searched` there is no end of that line.
std::size_t end_of_block(std::string_view bytes, std::size_t& from, std::size_t searched) {
  for (;;) {
    const auto end = bytes.find('\n', std::max(from, searched));
    if (end == std::string_view::npos) return end;
    const auto line = bytes.substr(from, end - from);
    if (line.empty() || line == "\r") return end + 1;
    from = end + 1;
  }
}

// The fields that may stand there once: two of them are two answers. Content-Length because a web server that takes
// the other one loses track of where the next answer begins.
constexpr std::array<std::string_view, 4> kOnce{"status", "location", "content-type", "content-length"};

// Reads the lines of one complete block. Every function fails with the reason.
class BlockReader {
 public:
  std::expected<void, std::string> read(std::string_view block) {
    for (bool is_first = true; !block.empty(); is_first = false) {
      const auto end = block.find('\n');
      auto line = block.substr(0, end);
      block.remove_prefix(std::min(block.size(), line.size() + 1));
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (line.empty()) break;
      auto taken = is_first && line.starts_with("HTTP/1.") ? read_status_line(line) : read_field(line);
      if (!taken) return taken;
    }
    const bool is_answer = has_status_ || head_.headers.has("Location") || head_.headers.has("Content-Type");
    if (!is_answer) return std::unexpected("neither Content-Type nor Location nor Status");
    return {};
  }

  http::ResponseHead take_head() {
    if (!has_status_) head_.status = head_.headers.has("Location") ? 302 : 200;
    return std::move(head_);
  }

  // RFC 3875 section 6.2.2.
  [[nodiscard]] std::optional<std::string> local_redirect() const {
    const auto location = head_.headers.get("Location");
    const bool is_local = !has_status_ && head_.headers.fields().size() == 1 && location && location->starts_with('/');
    return is_local ? std::optional<std::string>(*location) : std::nullopt;
  }

 private:
  using Result = std::expected<void, std::string>;

  // "HTTP/1.1 404 Not Found": some scripts know only the web's own form.
  Result read_status_line(std::string_view line) {
    const auto space = line.find(' ');
    if (space == std::string_view::npos) return std::unexpected("a status line without a status");
    return read_status(http::trim(line.substr(space)));
  }

  Result read_field(std::string_view line) {
    if (line.front() == ' ' || line.front() == '\t') return std::unexpected("a folded header line");
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return std::unexpected("a header line without a colon");
    const auto name = line.substr(0, colon);
    if (!http::is_token(name)) return std::unexpected("a header name that is not a token");
    const auto value = http::trim(line.substr(colon + 1));
    if (http::has_control_byte(value)) return std::unexpected("a control byte in a header value");
    return take_field(name, value);
  }

  Result take_field(std::string_view name, std::string_view value) {
    if (http::equals_ignoring_case(name, "Status")) return read_status(value);
    const auto is_this = [name](std::string_view other) { return http::equals_ignoring_case(name, other); };
    if (std::ranges::any_of(kOnce, is_this) && head_.headers.has(name)) {
      return std::unexpected(http::to_lower(name) + " twice");
    }
    if (is_this("Content-Length") && !is_length(value)) return std::unexpected("a content-length that is no number");
    if (head_.headers.fields().size() == ResponseParser::kMaxHeaders) return std::unexpected("too many header lines");
    head_.headers.add(std::string(name), std::string(value));
    return {};
  }

  // "404 Not Found"; interim answers (1xx) are not a script's to send.
  Result read_status(std::string_view value) {
    if (has_status_) return std::unexpected("status twice");
    const auto digits = value.substr(0, 3);
    const bool is_number = digits.size() == 3 && std::ranges::all_of(digits, is_digit);
    const bool ends_there = value.size() <= 3 || value[3] == ' ';
    if (!is_number || !ends_there || digits[0] < '2' || digits[0] > '5') return std::unexpected("an impossible status");
    if (http::has_control_byte(value)) return std::unexpected("a control byte in the status");
    head_.status = (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0');
    head_.reason = http::trim(value.substr(3));
    has_status_ = true;
    return {};
  }

  http::ResponseHead head_;
  bool has_status_ = false;
};

}  // namespace

ResponseParser::Step ResponseParser::feed(std::string_view piece) {
  const auto before = buffer_.size();
  const auto taken = piece.substr(0, kMaxHeaderBytes + 1 - before);
  buffer_ += taken;
  const auto end = end_of_block(buffer_, line_begin_, before);
  if (std::min(end, buffer_.size()) > kMaxHeaderBytes) return Malformed{"the header is too long"};
  if (end == std::string::npos) return NeedMore{};
  BlockReader reader;
  if (const auto read = reader.read(std::string_view(buffer_).substr(0, end)); !read) return Malformed{read.error()};
  Complete complete;
  complete.rest = piece.substr(end - before);
  complete.local_redirect = reader.local_redirect();
  complete.head = reader.take_head();
  return complete;
}

}  // namespace gatehouse::cgi
