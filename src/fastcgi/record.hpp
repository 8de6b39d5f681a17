// The records of FastCGI 1.0, bytes to values and back. Pure: no socket, no clock, no request. Both ends use it: the
// server that answers a web server and the client that relays to an application.
//
// Whoever reads from a peer feeds RecordDecoder whatever bytes it has; content is handed on in pieces, as views into
// those bytes, and never gathered here. Source: FastCGI 1.0 sections 3.3, 4, 5 and 8.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace gatehouse::fastcgi {

inline constexpr std::size_t kHeaderSize = 8;
inline constexpr std::size_t kMaxContent = 65535;
/// The longest content that needs no padding: what a stream is cut into.
inline constexpr std::size_t kMaxAlignedContent = 65528;

/// Section 8. A peer may send any other number, which is kept as it came.
enum class RecordType : std::uint8_t {
  begin_request = 1,
  abort_request = 2,
  end_request = 3,
  params = 4,
  stdin_stream = 5,
  stdout_stream = 6,
  stderr_stream = 7,
  data_stream = 8,
  get_values = 9,
  get_values_result = 10,
  unknown_type = 11,
};

enum class ProtocolStatus : std::uint8_t {
  request_complete = 0,
  cant_mpx_conn = 1,
  overloaded = 2,
  unknown_role = 3,
};

/// Set in BeginRequest::flags by a web server that wants the connection kept.
inline constexpr std::uint8_t kKeepConnection = 1;

struct RecordHeader {
  RecordType type{};
  std::uint16_t request_id = 0;  ///< 0 belongs to management records
  std::uint16_t content_length = 0;
  std::uint8_t padding_length = 0;

  bool operator==(const RecordHeader&) const = default;
};

struct BeginRequest {
  std::uint16_t role = 0;  ///< as it came: 1 responder, 2 authorizer, 3 filter, anything else unknown
  std::uint8_t flags = 0;

  bool operator==(const BeginRequest&) const = default;
};

struct EndRequest {
  std::uint32_t app_status = 0;
  ProtocolStatus protocol_status{};

  bool operator==(const EndRequest&) const = default;
};

/// A part of one record's content. An empty record gives one empty piece.
struct RecordPiece {
  RecordHeader header;
  std::string_view content;  ///< valid until the decoder's next call, and no longer than the bytes that were fed
  bool first = false;        ///< the record begins with this piece
  bool last = false;         ///< the content ends with it; padding may follow and is never shown
};

/// Cuts a stream of bytes, arriving in pieces of any size, into records. Confined to one thread; holds 8 bytes.
/// BEGIN_REQUEST, END_REQUEST and UNKNOWN_TYPE have a fixed body and are given whole, in one piece of 8 bytes.
class RecordDecoder {
 public:
  enum class Step : std::uint8_t {
    need_more,  ///< all input is consumed
    piece,      ///< `piece` is filled
    malformed,  ///< version other than 1, or a fixed body of another length; final
  };

  /// Consumes from the front of `input`. Call until it does not return `piece`.
  [[nodiscard]] Step next(std::string_view& input, RecordPiece& piece);

  /// True between records: the stream may end here, or wait for ever.
  [[nodiscard]] bool at_boundary() const { return state_ == State::header && gathered_size_ == 0; }

 private:
  enum class State : std::uint8_t { header, fixed_body, content, padding, malformed };

  bool gather(std::string_view& input, std::string_view& eight);
  Step begin_record(std::string_view eight);
  Step give_fixed_body(std::string_view& input, RecordPiece& piece);
  Step give_content(std::string_view& input, RecordPiece& piece);
  void skip_padding(std::string_view& input);
  void end_content();

  std::array<char, kHeaderSize> gathered_{};  // a header or a fixed body that came in parts
  std::uint8_t gathered_size_ = 0;
  State state_ = State::header;
  RecordHeader header_;
  std::uint16_t content_left_ = 0;
  std::uint8_t padding_left_ = 0;
};

/// Returns the number of padding bytes that bring a content to a multiple of 8 (section 3.3 recommends it).
[[nodiscard]] constexpr std::uint8_t padding_for(std::size_t content_length) {
  return static_cast<std::uint8_t>((8 - content_length % 8) % 8);
}

[[nodiscard]] std::array<char, kHeaderSize> encode_header(const RecordHeader& header);

/// Each requires the 8 bytes of a fixed body, as the decoder gives them.
[[nodiscard]] BeginRequest decode_begin_request(std::string_view body);
[[nodiscard]] EndRequest decode_end_request(std::string_view body);

/// Each appends one whole record to `out`.
void append_begin_request(std::string& out, std::uint16_t request_id, const BeginRequest& body);
void append_abort_request(std::string& out, std::uint16_t request_id);
void append_end_request(std::string& out, std::uint16_t request_id, const EndRequest& body);
/// Says that a management record of this type is not understood (section 4.2).
void append_unknown_type(std::string& out, RecordType type);

/// Appends a record of `type` whose content is in `content`, padded to a multiple of 8. Requires at most kMaxContent.
void append_record(std::string& out, RecordType type, std::uint16_t request_id, std::string_view content);
/// Appends bytes of a stream (STDIN, STDOUT, STDERR, DATA) in as many records as they need; none for no bytes, because
/// an empty record ends a stream.
void append_stream(std::string& out, RecordType type, std::uint16_t request_id, std::string_view bytes);
void append_stream_end(std::string& out, RecordType type, std::uint16_t request_id);

}  // namespace gatehouse::fastcgi
