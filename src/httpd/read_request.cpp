#include "httpd/read_request.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "http/negotiation.hpp"
#include "http/number.hpp"
#include "http/origin.hpp"
#include "http/percent.hpp"
#include "http/syntax.hpp"

namespace gatehouse::httpd {
namespace {

using std::string_view_literals::operator""sv;

// Fails with the reason.
using Read = std::expected<void, std::string>;

template <std::size_t N>
bool is_one_of(std::string_view name, const std::array<std::string_view, N>& names) {
  return std::ranges::find(names, name) != names.end();
}

// ---- Fields ----

// Read here, and two of them would be two answers. Whoever may not say them has them taken out by their "x-".
constexpr std::array kRead{"host"sv,
                           "content-type"sv,
                           "x-original-uri"sv,
                           "x-original-method"sv,
                           "x-original-proto"sv,
                           "x-forwarded-uri"sv,
                           "x-forwarded-method"sv,
                           "x-forwarded-host"sv,
                           "x-forwarded-proto"sv,
                           "x-forwarded-for"sv,
                           "x-gatehouse-cookies"sv};

// Of this connection only (RFC 9110 section 7.6.1), of a body that is framed already, or what would pass for something
// that we had checked.
constexpr std::array kDropped{"authorization"sv,
                              "proxy"sv,
                              "connection"sv,
                              "keep-alive"sv,
                              "proxy-connection"sv,
                              "te"sv,
                              "proxy-authorization"sv,
                              "proxy-authenticate"sv,
                              "transfer-encoding"sv,
                              "trailer"sv,
                              "upgrade"sv,
                              "http2-settings"sv,
                              "content-length"sv};

bool must_agree(std::string_view name) {
  return name == "origin" || name.starts_with("sec-fetch-");
}

// PHP makes '_' of '.', and other languages of more: such a name may be another one's there.
bool is_plain_name(std::string_view name) {
  const auto is_plain = [](char byte) { return http::is_alphanumeric(byte) || byte == '-' || byte == '_'; };
  return !name.empty() && std::ranges::all_of(name, is_plain);
}

void join(http::Headers& fields, const std::string& name, std::string_view value) {
  std::string list(fields.get(name).value_or(""));
  http::append_part(list, name == "cookie" ? "; " : ", ", value);
  fields.set(name, std::move(list));
}

// The fields of a request by what is done with them, names in lower case, each once.
struct Fields {
  http::Headers read;
  http::Headers kept;

  // Fails with the reason.
  static std::expected<Fields, std::string> of(const http::Headers& raw, bool refuses_other_names) {
    Fields fields;
    for (const auto& [spelled, value] : raw.fields()) {
      if (is_plain_name(spelled)) {
        if (auto taken = fields.take(http::to_lower(spelled), value); !taken) return std::unexpected(taken.error());
      } else if (refuses_other_names) {
        return std::unexpected("the name of a header is another one's in some language");
      }
    }
    return fields;
  }

 private:
  Read take(const std::string& name, const std::string& value) {
    if (is_one_of(name, kDropped)) return {};
    if (is_one_of(name, kRead)) {
      if (read.has(name)) return std::unexpected(name + " is there twice");
      read.add(name, value);
    } else if (!kept.has(name)) {
      kept.add(name, value);
    } else if (!must_agree(name)) {
      join(kept, name, value);
    } else if (kept.get(name) != value) {
      return std::unexpected(name + " is there twice and differs");
    }
    return {};
  }
};

// ---- What is asked ----

enum class Asks { itself, check, forward, login };

Asks what_asks(const http::Path& path, std::string_view prefix) {
  std::string_view name = path.text();
  if (!name.starts_with(prefix)) return Asks::itself;
  name.remove_prefix(prefix.size());
  if (name == "/check") return Asks::check;
  if (name == "/forward") return Asks::forward;
  return name == "/login" ? Asks::login : Asks::itself;
}

struct SplitTarget {
  std::string_view target;
  std::string_view page;
};

// "/auth/check/a/b?c" asks about "/a/b?c". It is cut before anything is decoded, so that no ".." of the page can reach
// into our own path.
SplitTarget split_page(std::string_view target, const std::string& prefix) {
  const std::string check = prefix + "/check";
  if (!target.starts_with(check + "/")) return {target, {}};
  return {target.substr(0, check.size()), target.substr(check.size())};
}

bool asks_about_another(Asks asks) {
  return asks == Asks::check || asks == Asks::forward;
}

// A request on its way: the head, and what of it may be believed.
struct Asked {
  const RequestHead& head;
  const Peer& peer;
  const ReadOptions& options;
  http::Path endpoint;
  Asks asks = Asks::itself;
  std::string_view page_in_target;  // escaped; empty: none there
  http::Headers said;               // of kRead; without those that this peer may not say
  bool is_believed = false;

  // An absent field and an empty one read the same.
  [[nodiscard]] std::string_view get(std::string_view name) const { return said.get(name).value_or(""); }
};

bool is_trusted(const http::Address& address, const ReadOptions& options) {
  return options.trusted != nullptr && options.trusted->contains(address);
}

bool is_believed(const Peer& peer, const ReadOptions& options) {
  if (peer.is_unix) return true;
  const auto address = http::Address::parse(peer.address);
  return address && is_trusted(*address, options);
}

Read set_page(http::Request& request, std::string_view field, std::string_view uri) {
  const auto target = http::split_target(uri);
  auto path = http::Path::parse(target.path);
  if (!path) return std::unexpected(std::string(field) + ": " + std::string(http::describe(path.error())));
  request.path = std::move(*path);
  request.query = target.query;
  return {};
}

// Where the front server says nothing of another page, it is the target.
Read read_own_page(const Asked& asked, http::Request& request) {
  request.method = asked.head.method;
  request.path = asked.endpoint;
  request.query = http::split_target(asked.head.target).query;
  return {};
}

Read read_login_page(const Asked& asked, http::Request& request) {
  const auto uri = asked.get("x-original-uri");
  if (!uri.empty()) {
    if (auto page = set_page(request, "x-original-uri", uri); !page) return page;
  }
  if (uri.empty() || request.path == asked.endpoint) return read_own_page(asked, request);
  request.method = asked.head.method;
  return {};
}

Read read_other_page(const Asked& asked, http::Request& request) {
  const bool is_check = asked.asks == Asks::check;
  const auto uri = is_check ? "x-original-uri"sv : "x-forwarded-uri"sv;
  const auto method = asked.get(is_check ? "x-original-method" : "x-forwarded-method");
  const auto others_uri = asked.get(is_check ? "x-forwarded-uri" : "x-original-uri");
  const auto others_method = asked.get(is_check ? "x-forwarded-method" : "x-original-method");
  if (!others_uri.empty() || !others_method.empty()) {
    return std::unexpected("x-original-* and x-forwarded-* are both there");
  }
  if (!asked.is_believed)
    return std::unexpected("no path is known: " + asked.peer.address + " is not in trusted_proxies");
  const bool is_in_target = !asked.page_in_target.empty();
  if (is_in_target && !asked.get(uri).empty()) return std::unexpected("two pages are named");
  if (!is_in_target && asked.get(uri).empty()) return std::unexpected("no path is known");
  if (!method.empty() && !http::is_token(method)) return std::unexpected("the method is not a token");
  request.method = method;
  return is_in_target ? set_page(request, "the target", asked.page_in_target) : set_page(request, uri, asked.get(uri));
}

Read read_page(const Asked& asked, http::Request& request) {
  if (asks_about_another(asked.asks)) return read_other_page(asked, request);
  return asked.asks == Asks::login ? read_login_page(asked, request) : read_own_page(asked, request);
}

// Traefik names a WebSocket's handshake by the scheme that it is going to speak (RFC 6455 section 3).
Read read_scheme(const Asked& asked, http::Request& request) {
  const auto scheme = asked.get(asked.asks == Asks::check ? "x-original-proto" : "x-forwarded-proto");
  if (scheme == "https" || scheme == "wss") {
    request.scheme = "https";
  } else if (scheme.empty() || scheme == "http" || scheme == "ws") {
    request.scheme = "http";
  } else {
    return std::unexpected("the scheme is neither http nor https");
  }
  return {};
}

// An X-Forwarded-Host that is empty says that the visitor named no host. Host is then the name that the front server
// has for us, and a rule for that host is not about the page.
Read read_host(const Asked& asked, http::Request& request) {
  const auto forwarded = asked.asks == Asks::check ? std::nullopt : asked.said.get("x-forwarded-host");
  request.host = forwarded.value_or(asked.get("host"));
  if (request.host.empty() || !http::host_without_port(request.host).empty()) return {};
  return std::unexpected("the host is not one");
}

bool is_port(std::string_view digits) {
  return http::parse_number<std::uint16_t>(digits).has_value();
}

// An address of IPv6 may stand in brackets; a port may follow those, or an address of IPv4.
std::optional<http::Address> client_of(std::string_view entry) {
  const bool has_brackets = entry.starts_with('[');
  const auto colon = has_brackets ? entry.find("]:") : entry.find(':');
  const bool has_port = colon != std::string_view::npos && (has_brackets || colon == entry.rfind(':'));
  if (has_port) {
    const auto port = entry.substr(colon + (has_brackets ? 2 : 1));
    if (!is_port(port)) return std::nullopt;
    entry = entry.substr(0, has_brackets ? colon + 1 : colon);
  }
  if (!has_brackets) return http::Address::parse(entry);
  if (!entry.ends_with(']') || !entry.contains(':')) return std::nullopt;
  return http::Address::parse(entry.substr(1, entry.size() - 2));
}

// The addresses of a list that is not empty; nullopt if one of them is none.
std::optional<std::vector<http::Address>> clients_of(std::string_view list) {
  std::vector<http::Address> clients;
  for (std::size_t begin = 0; begin <= list.size();) {
    const auto end = std::min(list.find(',', begin), list.size());
    const auto client = client_of(http::trim(list.substr(begin, end - begin)));
    if (!client) return std::nullopt;
    clients.push_back(*client);
    begin = end + 1;
  }
  return clients;
}

// Each proxy adds at the right whom it talks to, so what stands left of the first stranger is only that one's word.
Read read_client(const Asked& asked, http::Request& request) {
  const auto list = asked.get("x-forwarded-for");
  if (list.empty()) {
    const auto address = http::Address::parse(asked.peer.address);
    request.remote_addr = address ? address->text() : asked.peer.address;
    request.remote_port = asked.peer.port;
    return {};
  }
  const auto clients = clients_of(list);
  if (!clients) return std::unexpected("x-forwarded-for has an entry that is no address");
  const auto is_stranger = [&](const http::Address& address) { return !is_trusted(address, asked.options); };
  const auto stranger = std::find_if(clients->rbegin(), clients->rend(), is_stranger);
  request.remote_addr = (stranger == clients->rend() ? clients->front() : *stranger).text();
  return {};
}

Read read_cookie_delivery(const Asked& asked, http::Request& request) {
  const auto value = asked.get("x-gatehouse-cookies");
  request.delivers_cookies = value == "1";
  if (value.empty() || value == "0" || value == "1") return {};
  return std::unexpected("x-gatehouse-cookies is neither 0 nor 1");
}

// A check has no body, whatever the visitor's Content-Length, which some front servers leave in, says.
Read read_body_description(const Asked& asked, http::Request& request) {
  if (asks_about_another(asked.asks)) return {};
  request.content_type = asked.get("content-type");
  request.content_length = asked.head.content_length;
  return {};
}

std::expected<http::Request, std::string> read(Asked asked) {
  auto fields = Fields::of(asked.head.fields, asks_about_another(asked.asks));
  if (!fields) return std::unexpected(fields.error());
  asked.said = std::move(fields->read);
  asked.is_believed = is_believed(asked.peer, asked.options);
  if (!asked.is_believed) {
    asked.said.remove_if([](const http::Header& field) { return field.name.starts_with("x-"); });
  }
  http::Request request;
  request.id = asked.options.request_id;
  request.endpoint_path = asked.endpoint.text();
  request.server_protocol = asked.head.is_http_1_0 ? "HTTP/1.0" : "HTTP/1.1";
  for (const auto step :
       {read_page, read_scheme, read_host, read_client, read_cookie_delivery, read_body_description}) {
    if (auto done = step(asked, request); !done) return std::unexpected(done.error());
  }
  request.headers = std::move(fields->kept);
  return request;
}

// Of the fields as they came: a refusal, too, is shown in the form that the visitor reads.
bool accepts_html(const http::Headers& fields) {
  std::string accept;
  for (const auto& [name, value] : fields.fields()) {
    if (http::equals_ignoring_case(name, "accept")) http::append_part(accept, ", ", value);
  }
  return http::prefers_html(accept);
}

}  // namespace

std::expected<http::Request, http::Malformed> read_request(const RequestHead& head, const Peer& peer,
                                                           const ReadOptions& options) {
  const auto refused = [&](std::string reason, int status, bool is_check = false) {
    return std::unexpected(http::Malformed{.request_id = options.request_id,
                                           .reason = std::move(reason),
                                           .wants_html = accepts_html(head.fields),
                                           .status = status,
                                           .is_check = is_check});
  };
  const auto [target, page] = split_page(head.target, options.prefix);
  auto endpoint = http::Path::parse(http::split_target(target).path);
  if (!endpoint) return refused("the target: " + std::string(http::describe(endpoint.error())), 400);
  const auto asks = what_asks(*endpoint, options.prefix);
  auto request = read({head, peer, options, std::move(*endpoint), asks, page, {}});
  if (!request) return refused(request.error(), asks_about_another(asks) ? 403 : 400, asks == Asks::check);
  return std::move(*request);
}

}  // namespace gatehouse::httpd
