// One FastCGI record at the front of a buffer (FastCGI 1.0 section 3.3). Not src/fastcgi's decoder: what the house is
// compared with shall not share its cost.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace bench {

enum class Type : std::uint8_t {
  begin_request = 1,
  end_request = 3,
  params = 4,
  standard_input = 5,
  standard_output = 6
};

struct Record {
  Type type{};
  std::string_view content;
  std::size_t size = 0;  ///< header, content and padding
};

/// Returns nullopt if the record is not all there.
inline std::optional<Record> front_record(std::string_view bytes) {
  if (bytes.size() < 8) return std::nullopt;
  const auto byte = [bytes](std::size_t at) { return static_cast<std::uint8_t>(bytes[at]); };
  const std::size_t content = std::size_t{byte(4)} * 256 + byte(5);
  const std::size_t size = 8 + content + byte(6);
  if (bytes.size() < size) return std::nullopt;
  return Record{static_cast<Type>(byte(1)), bytes.substr(8, content), size};
}

}  // namespace bench
