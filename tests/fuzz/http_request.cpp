// httpd::read_request: whatever head comes, the page asked about is read once, by the rules, and a peer that is not
// trusted decides nothing with the headers of one that is.
// Input: a line "METHOD target", then lines "name: value"; at its end one byte: 1 HTTP/1.0, 2 nobody is trusted, 4 from
// a trusted peer, 8 from a stranger; else from a unix socket.
#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "fuzz/fuzz.hpp"
#include "http/negotiation.hpp"
#include "http/networks.hpp"
#include "http/origin.hpp"
#include "http/syntax.hpp"
#include "httpd/read_request.hpp"

namespace gatehouse::fuzz {
namespace {

using httpd::Peer;
using httpd::RequestHead;

const std::vector<std::string> kTrustedTexts{"10.0.0.0/8", "2001:db8::/32"};
const http::Networks kTrusted(kTrustedTexts);

const std::set<std::string, std::less<>> kFrontServers{
    "x-original-uri",   "x-original-method", "x-original-proto", "x-forwarded-uri",    "x-forwarded-method",
    "x-forwarded-host", "x-forwarded-proto", "x-forwarded-for",  "x-gatehouse-cookies"};

bool is_front_servers(const http::Header& field) {
  return kFrontServers.contains(http::to_lower(field.name));
}

// What the server guarantees: tokens, and no control bytes.
RequestHead head_of(Input& input) {
  RequestHead head;
  const auto line = input.line();
  const auto space = std::min(line.find(' '), line.size());
  head.method = http::is_token(line.substr(0, space)) ? line.substr(0, space) : "GET";
  head.target = line.substr(std::min(space + 1, line.size()));
  while (!input.rest().empty() && head.fields.fields().size() < 200) {
    const auto field = input.line();
    const auto colon = std::min(field.find(':'), field.size());
    const auto name = field.substr(0, colon);
    const auto value = http::trim(field.substr(std::min(colon + 1, field.size())));
    if (http::is_token(name) && !http::has_control_byte(value)) head.fields.add(std::string(name), std::string(value));
  }
  return head;
}

struct Case {
  RequestHead head;
  Peer peer;
  bool is_believed = true;
  bool is_door = false;
  httpd::ReadOptions options;
};

// Nothing if it cannot be told.
std::optional<http::Path> endpoint_of(std::string_view target) {
  constexpr std::string_view kCheck = "/auth/check";
  const bool names_page = target.starts_with(kCheck) && target.substr(kCheck.size()).starts_with('/');
  const auto path = http::Path::parse(names_page ? kCheck : http::split_target(target).path);
  return path ? std::optional(*path) : std::nullopt;
}

Case case_of(Input& input) {
  const auto choice = input.choice();
  Case made{.head = head_of(input), .peer = {}, .options = {.request_id = "id", .prefix = "/auth"}};
  made.head.is_http_1_0 = (choice & 1U) != 0;
  made.head.content_length = choice;
  made.options.trusted = (choice & 2U) == 0 ? &kTrusted : nullptr;
  made.peer = {.is_unix = (choice & 12U) == 0, .address = "", .port = ""};
  if (!made.peer.is_unix) made.peer = {false, (choice & 4U) != 0 ? "10.0.0.1" : "203.0.113.9", "4711"};
  made.is_believed = made.peer.is_unix || ((choice & 4U) != 0 && made.options.trusted != nullptr);
  const auto endpoint = endpoint_of(made.head.target);
  made.is_door = endpoint && (endpoint->text() == "/auth/check" || endpoint->text() == "/auth/forward");
  return made;
}

auto read(const Case& asked) {
  return httpd::read_request(asked.head, asked.peer, asked.options);
}

bool has_twice(const http::Headers& fields, std::string_view name) {
  return std::ranges::count_if(fields.fields(), [name](const http::Header& field) {
           return http::equals_ignoring_case(field.name, name);
         }) > 1;
}

bool has_a_front_servers_twice(const http::Headers& fields) {
  return std::ranges::any_of(kFrontServers, [&](const std::string& name) { return has_twice(fields, name); });
}

void check_refusal(const http::Malformed& refusal, const Case& asked) {
  require(refusal.request_id == "id", "a refusal keeps the request's id");
  require(refusal.status == (asked.is_door ? 403 : 400), "what is malformed is 403 in check and forward, else 400");
  require(!refusal.reason.empty() && std::ranges::none_of(refusal.reason, http::is_control), "a reason is one line");
}

bool is_kept_byte(char byte) {
  return byte == '-' || byte == '_' || (http::is_alphanumeric(byte) && !(byte >= 'A' && byte <= 'Z'));
}

void check_headers(const http::Request& request) {
  for (const auto& [name, value] : request.headers.fields()) {
    require(!name.empty() && std::ranges::all_of(name, is_kept_byte), "a header's name is in lower case, plain");
    require(!http::has_control_byte(value), "no control byte in a header");
    require(!has_twice(request.headers, name), "every header is there once");
    require(!kFrontServers.contains(name), "what was read here is not kept");
  }
  for (const char* name : {"host", "proxy", "authorization", "content-length", "content-type", "connection"}) {
    require(!request.headers.has(name), "what is never believed is not kept");
  }
}

void check_page(const http::Request& request, const Case& asked) {
  require(request.path.text().starts_with('/'), "a path begins with '/'");
  require(http::Path::from_decoded(request.path.text()) == request.path, "the path is normal");
  const auto endpoint = endpoint_of(asked.head.target);
  require(endpoint && request.endpoint_path == endpoint->text(), "the endpoint is the target's path");
  require(asked.is_door || request.endpoint_path == "/auth/login" || request.path == *endpoint,
          "every other endpoint is about itself");
  require(asked.is_door || request.method == asked.head.method, "its method is the request's");
  require(request.method.empty() ? asked.is_door : http::is_token(request.method), "a method is a token, or unknown");
  require(!asked.is_door || asked.is_believed, "nobody but a trusted peer asks about a page");
  require(!asked.is_door || (request.content_type.empty() && !request.content_length), "a check has no body");
}

void check_connection(const http::Request& request, const Case& asked) {
  require(request.scheme == "http" || request.scheme == "https", "the scheme is one of two");
  require(request.host.empty() || !http::host_without_port(request.host).empty(), "a host is one");
  const auto client = http::Address::parse(request.remote_addr);
  require(client ? client->text() == request.remote_addr : asked.peer.is_unix && request.remote_addr.empty(),
          "the client is an address, in one spelling");
  require(!has_a_front_servers_twice(asked.head.fields) && !has_twice(asked.head.fields, "host"),
          "what is read is there once");
}

bool is_same(const http::Request& a, const http::Request& b) {
  return a.method == b.method && a.path == b.path && a.query == b.query && a.delivers_cookies == b.delivers_cookies &&
         a.endpoint_path == b.endpoint_path && a.scheme == b.scheme && a.host == b.host &&
         a.remote_addr == b.remote_addr && a.remote_port == b.remote_port && a.content_type == b.content_type &&
         a.headers == b.headers;
}

// Their names may not be there twice, even from a stranger; else they are as good as absent.
void check_stranger(const Case& asked) {
  Case silent = asked;
  silent.head.fields.remove_if(is_front_servers);
  const auto said = read(asked);
  const auto unsaid = read(silent);
  if (said) {
    require(unsaid && is_same(*said, *unsaid), "a stranger's X- headers change nothing");
  } else if (unsaid) {
    require(has_a_front_servers_twice(asked.head.fields), "a stranger's X- headers are no reason to refuse");
  }
}

std::string client_with(const Case& asked, const std::string& list) {
  Case other = asked;
  other.head.fields.set("X-Forwarded-For", list);
  const auto request = read(other);
  require(request.has_value(), "one address more is no reason to refuse");
  return request->remote_addr;
}

// One more proxy of ours adds its entry at the right; whatever the client wrote stands at the left.
void check_client(const http::Request& request, const Case& asked) {
  const auto sent = asked.head.fields.get("x-forwarded-for").value_or("");
  if (sent.empty() || !asked.is_believed || asked.options.trusted == nullptr) return;
  const std::string list(sent);
  require(client_with(asked, list + ",10.0.0.2") == request.remote_addr, "a trusted entry at the right says nothing");
  if (kTrusted.contains(http::Address::parse(request.remote_addr).value())) return;
  require(client_with(asked, "192.0.2.66 ," + list) == request.remote_addr, "an entry left of a stranger says nothing");
}

}  // namespace
}  // namespace gatehouse::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gatehouse::fuzz;
  Input input(data, size);
  const auto asked = case_of(input);
  const auto request = read(asked);
  if (!asked.is_believed) check_stranger(asked);
  if (!request) {
    check_refusal(request.error(), asked);
    return 0;
  }
  check_headers(*request);
  check_page(*request, asked);
  check_connection(*request, asked);
  check_client(*request, asked);
  (void)gatehouse::http::is_navigation(*request);
  return 0;
}
