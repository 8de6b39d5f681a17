#include "middleware/environment.hpp"

#include <iterator>
#include <utility>

#include "http/number.hpp"
#include "http/origin.hpp"

namespace gatehouse::middleware {
namespace {

std::optional<std::string_view> value_of(std::string_view line, std::string_view name) {
  if (line.size() <= name.size() || !line.starts_with(name) || line[name.size()] != '=') return std::nullopt;
  return line.substr(name.size() + 1);
}

}  // namespace

std::optional<std::string_view> Environment::get(std::string_view name) const {
  std::optional<std::string_view> found;
  for (const char* const* line = lines_; line != nullptr && *line != nullptr; std::advance(line, 1)) {
    if (const auto value = value_of(*line, name)) found = value;
  }
  return found;
}

std::optional<std::string> Environment::joined(std::string_view name, std::string_view separator) const {
  std::optional<std::string> list;
  for (const char* const* line = lines_; line != nullptr && *line != nullptr; std::advance(line, 1)) {
    const auto value = value_of(*line, name);
    if (!value || list == *value) continue;
    if (list) {
      list->append(separator).append(*value);  // an empty one too: it is another value
    } else {
      list.emplace(*value);
    }
  }
  return list;
}

auth::RequestView read_request(const Environment& environment) {
  const auto text = [&](std::string_view name) { return environment.get(name).value_or(""); };
  auth::RequestView view;
  view.method = text("REQUEST_METHOD");
  view.scheme = http::scheme_of(text("HTTPS"), text("REQUEST_SCHEME"));
  view.host = text("HTTP_HOST");
  view.server_port = http::parse_number<std::uint16_t>(text("SERVER_PORT")).value_or(0);
  view.cookie = environment.joined("HTTP_COOKIE", "; ").value_or("");
  view.origin = environment.joined("HTTP_ORIGIN", ", ");
  view.sec_fetch_site = environment.joined("HTTP_SEC_FETCH_SITE", ", ");
  view.authorization = environment.joined("HTTP_AUTHORIZATION", ", ");
  view.address = text("REMOTE_ADDR");
  view.device = text("HTTP_USER_AGENT");
  return view;
}

std::expected<std::uint64_t, std::string> body_length(const Environment& environment) {
  const auto text = environment.get("CONTENT_LENGTH").value_or("");
  if (text.empty()) return environment.get("HTTP_TRANSFER_ENCODING").value_or("").empty() ? 0 : kUnknownLength;
  const auto length = http::parse_number<std::uint64_t>(text);
  if (!length) return std::unexpected("CONTENT_LENGTH is no number");
  return *length;
}

}  // namespace gatehouse::middleware
