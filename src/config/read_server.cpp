// The listeners and what stands around them: sockets, threads, trusted addresses, admin, log.
#include <sys/stat.h>

#include <algorithm>
#include <optional>

#include "config/read.hpp"
#include "config/values.hpp"

namespace gatehouse::config {
namespace {

constexpr std::array<Word<LogLevel>, 4> kLevels{
    {{"debug", LogLevel::debug}, {"info", LogLevel::info}, {"warn", LogLevel::warn}, {"error", LogLevel::error}}};
constexpr std::array<Word<LogFormat>, 2> kFormats{{{"text", LogFormat::text}, {"json", LogFormat::json}}};

std::optional<mode_t> parse_mode(const std::string& text) {
  const bool has_zero = text.size() == 4 && text.front() == '0';
  const std::string_view digits = std::string_view(text).substr(has_zero ? 1 : 0);
  if (digits.size() != 3 || digits.find_first_not_of("01234567") != std::string_view::npos) return std::nullopt;
  mode_t mode = 0;
  for (const char digit : digits) mode = mode * 8 + static_cast<mode_t>(digit - '0');
  return mode;
}

Wrong check_mode(const std::string& text) {
  if (parse_mode(text)) return std::nullopt;
  return in_quotes(text) + " is no mode; allowed: three octal digits with a 0 before them, such as \"0660\"";
}

Wrong check_group(const std::string& text) {
  const auto allowed = [](char c) { return c > 0x20 && c < 0x7f && c != ':' && c != '/'; };
  if (std::ranges::all_of(text, allowed)) return std::nullopt;
  return in_quotes(text) + " is no group; allowed: a name, a number, or \"\" to leave it alone";
}

std::string format_mode(mode_t mode) {
  const auto digit = [&](unsigned shift) { return static_cast<char>('0' + ((mode >> shift) & 7U)); };
  return {'0', digit(6), digit(3), digit(0)};
}

void read_socket(Section socket, Socket& value) {
  std::string mode = format_mode(value.mode);
  socket.text("mode", mode, check_mode);
  value.mode = parse_mode(mode).value_or(value.mode);
  socket.text("group", value.group, check_group);
  socket.refuse_unknown();
  if ((value.mode & S_IRWXO) != 0) {
    socket.reading().warning_at(socket.path_of("mode"), "lets every user of this machine speak for the web server");
  }
}

}  // namespace

void read_server(Section& root, Config& config) {
  root.addresses("listen", config.listen, check_listen);
  root.addresses("listen_http", config.listen_http, check_listen);
  read_socket(root.section("socket"), config.socket);
  root.number_or_auto("threads", config.threads, {.least = 1, .most = 256});

  Section csrf = root.section("csrf");
  csrf.texts("allowed_origins", config.csrf_allowed_origins, check_origin);
  csrf.refuse_unknown();
  root.texts("trusted_proxies", config.trusted_proxies, check_proxy);

  Section admin = root.section("admin");
  admin.address("listen", config.admin_listen, check_listen_or_none);
  admin.refuse_unknown();

  Section log = root.section("log");
  log.choice("level", config.log.level, kLevels);
  log.choice("format", config.log.format, kFormats);
  log.refuse_unknown();
}

}  // namespace gatehouse::config
