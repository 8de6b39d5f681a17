// http::safe_return_path and http::Origin: no `rd` leads a browser to a host that the configuration does not name. The
// browser is the oracle of the unit tests, written from the WHATWG URL standard.
// Input: `rd` as it was decoded from the form, which is taken for an origin too.
#include "http/return_path.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "fuzz/fuzz.hpp"
#include "http/headers.hpp"
#include "http/origin.hpp"
#include "unit/http/browser_url.hpp"

namespace gatehouse::fuzz {
namespace {

const std::string kOwnHost = "gate.example";

void check_location(const std::string& location, const std::vector<std::string>& hosts) {
  require(!location.empty() && location.size() <= http::kMaxReturnBytes, "a Location is neither empty nor too long");
  require(std::ranges::all_of(location, [](char byte) { return byte > 0x20 && byte < 0x7f && byte != '\\'; }),
          "a Location has no byte that a browser or a header would read in its own way");
  for (const char* scheme : {"http", "https"}) {
    const auto host = test::host_reached(scheme, kOwnHost, location);
    require(host == kOwnHost || std::ranges::count(hosts, host) > 0, "a Location leads nowhere else");
  }
}

void check_return(std::string_view rd, const std::vector<std::string>& allowed,
                  const std::vector<std::string>& reached) {
  const auto location = http::safe_return_path(rd, allowed);
  check_location(location, reached);
  require(http::safe_return_path(location, allowed) == location, "a safe Location is returned as it is");
}

// What would lead away is not mended but dropped.
void check_dropped(std::string_view rd) {
  if (test::host_reached("https", kOwnHost, rd) == kOwnHost) return;
  require(http::safe_return_path(rd, {}) == "/", "what would lead to another host becomes the root");
}

void check_origin(std::string_view text) {
  const auto origin = http::Origin::parse(text);
  if (!origin) return;
  require(!text.ends_with(':') && !text.ends_with(":/"), "an origin without a port has no colon for it");
  require(origin->scheme == "http" || origin->scheme == "https", "an origin is one of the web");
  require(!origin->host.empty() && origin->port != 0, "an origin has a host and a port");
  require(http::to_lower(origin->host) == origin->host, "a host is in lower case");
  require(http::Origin::parse(origin->text()) == *origin, "an origin is read from its own text");
  const auto reached = test::host_reached("http", kOwnHost, text);
  require(http::host_without_port(reached) == origin->host, "a browser goes to the host that we read");
}

void check_host(std::string_view text) {
  const auto host = http::host_without_port(text);
  if (host.empty()) return;
  require(http::host_without_port(host) == host, "a host is read from its own text");
  require(http::Origin::of_request("https", host, 0).has_value(), "a host makes an origin");
}

}  // namespace
}  // namespace gatehouse::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gatehouse::fuzz;
  const auto text = Input(data, size).rest();
  check_return(text, {}, {});
  check_dropped(text);
  check_return(text, {"good.example", "Other.Example:8443", "[2001:db8::1]"},
               {"good.example", "other.example:8443", "[2001:db8::1]"});
  check_return("/" + std::string(text), {}, {});
  check_return("https://good.example" + std::string(text), {"good.example"}, {"good.example"});
  check_origin(text);
  check_host(text);
  return 0;
}
