// Records of FastCGI 1.0: the decoder's state machine, and encoders of a few lines each.
#include "fastcgi/record.hpp"

#include <algorithm>
#include <cassert>

namespace gatehouse::fastcgi {
namespace {

constexpr char kVersion = 1;

std::uint8_t byte_at(std::string_view bytes, std::size_t index) {
  return static_cast<std::uint8_t>(bytes[index]);
}

std::uint16_t read_u16(std::string_view bytes, std::size_t index) {
  return static_cast<std::uint16_t>(byte_at(bytes, index) << 8U | byte_at(bytes, index + 1));
}

char low_byte(std::uint32_t number) {
  return static_cast<char>(static_cast<unsigned char>(number & 0xffU));
}

bool has_fixed_body(RecordType type) {
  return type == RecordType::begin_request || type == RecordType::end_request || type == RecordType::unknown_type;
}

void append_header(std::string& out, const RecordHeader& header) {
  const auto bytes = encode_header(header);
  out.append(bytes.data(), bytes.size());
}

void append_fixed(std::string& out, RecordType type, std::uint16_t request_id, const std::array<char, 8>& body) {
  append_header(out, {.type = type, .request_id = request_id, .content_length = 8, .padding_length = 0});
  out.append(body.data(), body.size());
}

}  // namespace

RecordDecoder::Step RecordDecoder::next(std::string_view& input, RecordPiece& piece) {
  while (true) {
    switch (state_) {
      case State::header: {
        std::string_view eight;
        if (!gather(input, eight)) return Step::need_more;
        if (begin_record(eight) == Step::malformed) return Step::malformed;
        break;
      }
      case State::fixed_body: return give_fixed_body(input, piece);
      case State::content: return give_content(input, piece);
      case State::padding:
        if (input.empty()) return Step::need_more;
        skip_padding(input);
        break;
      case State::malformed: return Step::malformed;
    }
  }
}

// Gives the next 8 bytes: in place if the input has them, else from what was gathered over several calls.
bool RecordDecoder::gather(std::string_view& input, std::string_view& eight) {
  if (gathered_size_ == 0 && input.size() >= kHeaderSize) {
    eight = input.substr(0, kHeaderSize);
    input.remove_prefix(kHeaderSize);
    return true;
  }
  const std::size_t count = std::min(kHeaderSize - gathered_size_, input.size());
  input.copy(gathered_.data() + gathered_size_, count);
  input.remove_prefix(count);
  gathered_size_ = static_cast<std::uint8_t>(gathered_size_ + count);
  if (gathered_size_ < kHeaderSize) return false;
  gathered_size_ = 0;
  eight = {gathered_.data(), kHeaderSize};
  return true;
}

RecordDecoder::Step RecordDecoder::begin_record(std::string_view eight) {
  header_ = {.type = static_cast<RecordType>(byte_at(eight, 1)),
             .request_id = read_u16(eight, 2),
             .content_length = read_u16(eight, 4),
             .padding_length = byte_at(eight, 6)};
  content_left_ = header_.content_length;
  padding_left_ = header_.padding_length;
  const bool fixed = has_fixed_body(header_.type);
  if (eight[0] != kVersion || (fixed && header_.content_length != 8)) {
    state_ = State::malformed;
    return Step::malformed;
  }
  state_ = fixed ? State::fixed_body : State::content;
  return Step::need_more;
}

RecordDecoder::Step RecordDecoder::give_fixed_body(std::string_view& input, RecordPiece& piece) {
  std::string_view body;
  if (!gather(input, body)) return Step::need_more;
  piece = {.header = header_, .content = body, .first = true, .last = true};
  end_content();
  return Step::piece;
}

RecordDecoder::Step RecordDecoder::give_content(std::string_view& input, RecordPiece& piece) {
  if (input.empty() && content_left_ > 0) return Step::need_more;
  const std::size_t count = std::min<std::size_t>(content_left_, input.size());
  piece.header = header_;
  piece.content = input.substr(0, count);
  piece.first = content_left_ == header_.content_length;
  piece.last = content_left_ == count;
  input.remove_prefix(count);
  content_left_ = static_cast<std::uint16_t>(content_left_ - count);
  if (piece.last) end_content();
  return Step::piece;
}

void RecordDecoder::end_content() {
  state_ = padding_left_ > 0 ? State::padding : State::header;
}

void RecordDecoder::skip_padding(std::string_view& input) {
  const std::size_t count = std::min<std::size_t>(padding_left_, input.size());
  input.remove_prefix(count);
  padding_left_ = static_cast<std::uint8_t>(padding_left_ - count);
  if (padding_left_ == 0) state_ = State::header;
}

std::array<char, kHeaderSize> encode_header(const RecordHeader& header) {
  return {kVersion,
          static_cast<char>(header.type),
          low_byte(header.request_id >> 8U),
          low_byte(header.request_id),
          low_byte(header.content_length >> 8U),
          low_byte(header.content_length),
          low_byte(header.padding_length),
          0};
}

BeginRequest decode_begin_request(std::string_view body) {
  assert(body.size() == 8);
  return {.role = read_u16(body, 0), .flags = byte_at(body, 2)};
}

EndRequest decode_end_request(std::string_view body) {
  assert(body.size() == 8);
  const std::uint32_t app_status = static_cast<std::uint32_t>(read_u16(body, 0)) << 16U | read_u16(body, 2);
  return {.app_status = app_status, .protocol_status = static_cast<ProtocolStatus>(byte_at(body, 4))};
}

void append_begin_request(std::string& out, std::uint16_t request_id, const BeginRequest& body) {
  append_fixed(out, RecordType::begin_request, request_id,
               {low_byte(body.role >> 8U), low_byte(body.role), low_byte(body.flags)});
}

void append_abort_request(std::string& out, std::uint16_t request_id) {
  append_stream_end(out, RecordType::abort_request, request_id);
}

void append_end_request(std::string& out, std::uint16_t request_id, const EndRequest& body) {
  append_fixed(out, RecordType::end_request, request_id,
               {low_byte(body.app_status >> 24U), low_byte(body.app_status >> 16U), low_byte(body.app_status >> 8U),
                low_byte(body.app_status), static_cast<char>(body.protocol_status)});
}

void append_unknown_type(std::string& out, RecordType type) {
  append_fixed(out, RecordType::unknown_type, 0, {static_cast<char>(type)});
}

void append_record(std::string& out, RecordType type, std::uint16_t request_id, std::string_view content) {
  assert(content.size() <= kMaxContent);
  const std::uint8_t padding = padding_for(content.size());
  append_header(out, {.type = type,
                      .request_id = request_id,
                      .content_length = static_cast<std::uint16_t>(content.size()),
                      .padding_length = padding});
  out.append(content);
  out.append(padding, '\0');
}

void append_stream(std::string& out, RecordType type, std::uint16_t request_id, std::string_view bytes) {
  while (!bytes.empty()) {
    const std::string_view part = bytes.substr(0, kMaxAlignedContent);
    append_record(out, type, request_id, part);
    bytes.remove_prefix(part.size());
  }
}

void append_stream_end(std::string& out, RecordType type, std::uint16_t request_id) {
  append_record(out, type, request_id, {});
}

}  // namespace gatehouse::fastcgi
