// fastcgi::RecordDecoder against a reader of twenty lines that has the whole stream: the same records, wherever the
// network cuts it; and encoders whose records come back as they went in.
// Input: the stream; at its end one byte, how it is cut.
#include "fastcgi/record.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "fuzz/fuzz.hpp"

namespace gatehouse::fuzz {
namespace {

using fastcgi::RecordDecoder;
using fastcgi::RecordHeader;
using fastcgi::RecordPiece;
using fastcgi::RecordType;
using Step = RecordDecoder::Step;

struct Record {
  RecordHeader header;
  std::string content;
  bool is_whole = false;

  bool operator==(const Record&) const = default;
};

enum class End { between_records, within_a_record, malformed };

struct Stream {
  std::vector<Record> records;
  End end = End::between_records;

  bool operator==(const Stream&) const = default;
};

std::size_t number_at(std::string_view bytes, std::size_t index, std::size_t size) {
  std::size_t number = 0;
  for (const char byte : bytes.substr(index, size)) number = number << 8U | static_cast<std::uint8_t>(byte);
  return number;
}

bool has_fixed_body(RecordType type) {
  return type == RecordType::begin_request || type == RecordType::end_request || type == RecordType::unknown_type;
}

// FastCGI 1.0 section 3.3, with all bytes at hand.
Stream read_whole(std::string_view bytes) {
  Stream stream;
  while (!bytes.empty()) {
    stream.end = End::within_a_record;
    if (bytes.size() < 8) return stream;
    Record record;
    record.header = {.type = static_cast<RecordType>(bytes[1]),
                     .request_id = static_cast<std::uint16_t>(number_at(bytes, 2, 2)),
                     .content_length = static_cast<std::uint16_t>(number_at(bytes, 4, 2)),
                     .padding_length = static_cast<std::uint8_t>(bytes[6])};
    const std::size_t length = record.header.content_length;
    const bool is_fixed = has_fixed_body(record.header.type);
    if (bytes[0] != 1 || (is_fixed && length != 8)) {
      stream.end = End::malformed;
      return stream;
    }
    record.content = bytes.substr(8, length);
    record.is_whole = record.content.size() == length;
    if (record.is_whole || (!is_fixed && !record.content.empty())) stream.records.push_back(record);
    const std::size_t size = 8 + length + record.header.padding_length;
    if (bytes.size() < size) return stream;
    bytes.remove_prefix(size);
    stream.end = End::between_records;
  }
  return stream;
}

void take(Stream& stream, const RecordPiece& piece) {
  if (piece.first) {
    require(stream.records.empty() || stream.records.back().is_whole, "a record begins after the end of the last one");
    stream.records.push_back({.header = piece.header, .content = {}, .is_whole = false});
  }
  require(!stream.records.empty() && !stream.records.back().is_whole, "a piece belongs to a record that has begun");
  Record& record = stream.records.back();
  require(record.header == piece.header, "every piece of a record has its header");
  require(piece.first || !piece.content.empty(), "only an empty record has an empty piece");
  record.content += piece.content;
  record.is_whole = piece.last;
  const std::size_t length = piece.header.content_length;
  require(piece.last ? record.content.size() == length : record.content.size() < length,
          "`last` says that the content is complete");
  if (has_fixed_body(piece.header.type)) require(piece.first && piece.last, "a fixed body comes in one piece");
}

// Takes every piece that the bytes give; false if they are malformed.
bool feed(RecordDecoder& decoder, std::string_view bytes, Stream& stream) {
  RecordPiece piece;
  Step step = decoder.next(bytes, piece);
  for (; step == Step::piece; step = decoder.next(bytes, piece)) take(stream, piece);
  if (step == Step::malformed) {
    require(decoder.next(bytes, piece) == Step::malformed, "malformed is final");
    return false;
  }
  require(bytes.empty(), "need_more has consumed everything");
  return true;
}

Stream read_cut(std::string_view bytes, std::uint8_t how) {
  RecordDecoder decoder;
  Stream stream;
  for (const auto& piece : cut(bytes, how)) {
    if (feed(decoder, view(piece), stream)) continue;
    stream.end = End::malformed;
    return stream;
  }
  stream.end = decoder.at_boundary() ? End::between_records : End::within_a_record;
  return stream;
}

void check_bodies(const Record& record) {
  std::string again;
  const auto id = record.header.request_id;
  if (record.header.type == RecordType::begin_request) {
    const auto body = fastcgi::decode_begin_request(record.content);
    fastcgi::append_begin_request(again, id, body);
    require(fastcgi::decode_begin_request(std::string_view(again).substr(8)) == body, "BEGIN_REQUEST comes back");
  } else if (record.header.type == RecordType::end_request) {
    const auto body = fastcgi::decode_end_request(record.content);
    fastcgi::append_end_request(again, id, body);
    require(fastcgi::decode_end_request(std::string_view(again).substr(8)) == body, "END_REQUEST comes back");
  }
}

void check_encoding(const Record& record) {
  std::string again;
  fastcgi::append_record(again, record.header.type, record.header.request_id, record.content);
  require(again.size() % 8 == 0, "a record is padded to a multiple of 8");
  const Stream stream = read_cut(again, 0);
  require(stream.end == End::between_records && stream.records.size() == 1, "an encoded record is one record");
  const Record& decoded = stream.records.front();
  require(decoded.header.type == record.header.type && decoded.header.request_id == record.header.request_id &&
              decoded.content == record.content,
          "an encoded record decodes to what it was made of");
}

// All contents as one stream of STDOUT: an empty record would end it too early.
void check_stream(const Stream& stream) {
  std::string bytes;
  for (const Record& record : stream.records) bytes += record.content;
  std::string encoded;
  fastcgi::append_stream(encoded, RecordType::stdout_stream, 1, bytes);
  std::string decoded;
  for (const Record& record : read_whole(encoded).records) {
    require(!record.content.empty(), "a stream holds no empty record before its end");
    decoded += record.content;
  }
  require(decoded == bytes, "a stream decodes to its bytes");
}

}  // namespace
}  // namespace gatehouse::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gatehouse::fuzz;
  Input input(data, size);
  const auto how = input.choice();
  const Stream expected = read_whole(input.rest());
  for (const auto each : ways_to_cut(input.rest(), how)) {
    require(read_cut(input.rest(), each) == expected, "the records are the same wherever the stream is cut");
  }
  for (const Record& record : expected.records) {
    if (!record.is_whole) continue;
    check_bodies(record);
    check_encoding(record);
  }
  check_stream(expected);
  return 0;
}
