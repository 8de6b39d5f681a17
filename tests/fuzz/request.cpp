// cgi::read_request and script_environment with the gateway's filter between them: whatever variables come, a script
// learns who the user is from us alone, and runs the path that was decided.
// Input: variables as FastCGI name-value pairs; at its end one byte: 1 the door is mounted below a path, 2 somebody is
// signed in.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "auth/cookie.hpp"
#include "cgi/read_request.hpp"
#include "fastcgi/name_value.hpp"
#include "fuzz/fuzz.hpp"
#include "gateway/identity.hpp"
#include "http/negotiation.hpp"
#include "http/percent.hpp"
#include "http/syntax.hpp"

namespace gatehouse::fuzz {
namespace {

using cgi::Variables;
using Environment = std::map<std::string, std::string>;

const std::string kCookie = "session";
const std::string kUser = "alice@the-store";

const gateway::IdentitySettings kIdentity{.headers = {{"Remote-User", "username"}, {"X-Role", "roles"}},
                                          .percent_encode = false,
                                          .hide_session_cookie = true};

Variables variables_of(std::string_view bytes) {
  fastcgi::PairDecoder decoder({});
  fastcgi::NameValue pair;
  Variables variables;
  while (decoder.next(bytes, pair) == fastcgi::PairDecoder::Step::pair) variables.emplace_back(pair.name, pair.value);
  return variables;
}

void check_refusal(const http::Malformed& refusal) {
  require(refusal.request_id == "id", "a refusal keeps the request's id");
  require(refusal.status == 400 || refusal.status == 403, "a refusal is a refusal");
  require(!refusal.reason.empty() && std::ranges::none_of(refusal.reason, http::is_control), "a reason is one line");
}

// PRODUCT: GATEHOUSE_*, HTTP_ORIGIN and HTTP_SEC_FETCH_* with two values are no request.
void check_agreement(const Variables& variables) {
  std::map<std::string, std::string> seen;
  for (const auto& [name, value] : variables) {
    const bool must_agree = name == "HTTP_ORIGIN" || name == "GATEHOUSE_PATH" || name == "HTTP_SEC_FETCH_SITE";
    if (must_agree) require(seen.try_emplace(name, value).first->second == value, "two answers are none");
  }
}

void check_request(const http::Request& request, const Variables& variables) {
  check_agreement(variables);
  require(!request.method.empty() && std::ranges::none_of(request.method, http::is_control), "a method is there");
  require(http::Path::from_decoded(request.path.text()) == request.path, "the path is normal");
  require(request.scheme == "http" || request.scheme == "https", "the scheme is one of two");
  require(request.mount.empty() || (request.mount.starts_with('/') && !request.mount.starts_with("//")),
          "a mount is a local path");
  for (const auto& [name, value] : request.headers.fields()) {
    require(!name.empty() &&
                std::ranges::all_of(
                    name, [](char c) { return c == '-' || (http::is_alphanumeric(c) && !(c >= 'A' && c <= 'Z')); }),
            "a header's name is in lower case, plain");
    require(!http::has_control_byte(value), "no control byte in a header");
  }
  for (const char* name : {"proxy", "authorization", "content-length", "content-type"}) {
    require(!request.headers.has(name), "what is never believed is not kept");
  }
  (void)http::is_navigation(request);
}

// Names that any reader could take for one of ours are gone before a script is thought of.
void check_owned(const http::Request& request) {
  for (const http::Header& header : request.headers.fields()) {
    std::string name = http::to_lower(header.name);
    std::ranges::replace_if(name, [](char c) { return !http::is_alphanumeric(c); }, '_');
    require(name != "remote_user" && name != "x_role" && name != "proxy" && name != "authorization",
            "no header that is ours is left, however it is spelled");
    require(!name.starts_with("x_gatehouse_") && !name.starts_with("variable_"), "nor one that looks like it");
  }
}

Environment environment_of(const http::Request& request, const cgi::Identity& identity) {
  const cgi::Script script{
      .filename = "/srv/cgi/run", .script_name = "/run", .path_info = request.path.text(), .root = "/srv/cgi"};
  Environment environment;
  for (const std::string& line : cgi::script_environment(request, script, identity, {})) {
    require(!line.contains('\0') && line.contains('='), "a line of the environment is NAME=value");
    const auto equals = line.find('=');
    const bool is_new = environment.try_emplace(line.substr(0, equals), line.substr(equals + 1)).second;
    require(is_new, "every name is there once");
  }
  return environment;
}

std::optional<std::string> value_of(const Environment& environment, const std::string& name) {
  const auto found = environment.find(name);
  return found == environment.end() ? std::nullopt : std::optional(found->second);
}

void check_never_set(const Environment& environment) {
  for (const auto& [name, value] : environment) {
    require(
        std::ranges::all_of(name, [](char c) { return c == '_' || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }),
        "every name is plain: no program reads it as another");
    require(!name.starts_with("LD_") && !name.starts_with("HTTP_VARIABLE_") && !name.starts_with("HTTP_X_GATEHOUSE_"),
            "no name of the loader's or of ours");
  }
  for (const char* name : {"HTTP_PROXY", "HTTP_AUTHORIZATION", "HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE",
                           "HTTP_REDIRECT_STATUS", "PHP_VALUE", "PHP_ADMIN_VALUE"}) {
    require(!environment.contains(name), "what must never reach a script does not");
  }
  const auto cookies = value_of(environment, "HTTP_COOKIE");
  require(!cookies || auth::cookie_values(*cookies, kCookie).empty(), "the session cookie is hidden");
}

void check_nobody(const Environment& environment) {
  for (const char* name : {"REMOTE_USER", "AUTH_TYPE", "GATEHOUSE_USER_ID", "GATEHOUSE_SESSION_STATE"}) {
    require(!environment.contains(name), "without a user no variable names one");
  }
  require(value_of(environment, "HTTP_REMOTE_USER") == "" && value_of(environment, "HTTP_X_ROLE") == "",
          "without a user our headers are empty");
}

void check_user(const Environment& environment) {
  require(value_of(environment, "REMOTE_USER") == kUser && value_of(environment, "HTTP_REMOTE_USER") == kUser,
          "the user is the one of the store");
  require(value_of(environment, "AUTH_TYPE") == "Gatehouse" && value_of(environment, "GATEHOUSE_USER_ID") == "u1" &&
              value_of(environment, "HTTP_X_ROLE") == "reader",
          "so is all that is said of him");
}

// The decided path is the executed path: whoever reads the script's variables as we read ours comes to the same.
void check_same_path(const Environment& environment, const http::Request& request) {
  const auto again = cgi::read_request({environment.begin(), environment.end()}, {.request_id = "id"});
  require(again.has_value(), "a script's variables are a request");
  require(again->method == request.method && again->query == request.query, "with the same method and query");
  const auto mount = request.mount.empty() ? http::Path() : *http::Path::parse(request.mount);
  const auto whole = http::Path::from_decoded(mount.text() + request.path.text());
  require(whole && again->path == *whole, "and the same path");
}

auth::User signed_in_user() {
  auth::User person;
  person.id = "u1";
  person.username = kUser;
  person.roles = {"reader"};
  return person;
}

cgi::Identity identity_of(bool is_signed_in) {
  static const auth::User person = signed_in_user();
  const auto* who = is_signed_in ? &person : nullptr;
  const auto identity = gateway::make_identity(kIdentity, who, auth::SessionState::active);
  require(identity.has_value(), "an identity without control bytes is one");
  return *identity;
}

// The whole way of a request to the script's variables.
void check_run(const http::Request& request, bool is_signed_in) {
  const auto seen = gateway::without_owned_headers(request, kIdentity, kCookie);
  check_owned(seen);
  const auto environment = environment_of(seen, identity_of(is_signed_in));
  check_never_set(environment);
  if (is_signed_in) {
    check_user(environment);
  } else {
    check_nobody(environment);
  }
  check_same_path(environment, request);
}

// Headers as HTTP has them, where the letters' case, '-', '_' and '.' differ: any token is a name.
http::Request with_headers(http::Request request, const Variables& variables) {
  for (const auto& [name, value] : variables) {
    const std::string header = name.starts_with("HTTP_") ? name.substr(5) : name;
    const bool is_clean = !http::has_control_byte(value);
    if (http::is_token(header) && is_clean) request.headers.add(header, value);
  }
  return request;
}

}  // namespace
}  // namespace gatehouse::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gatehouse::fuzz;
  Input input(data, size);
  const auto choice = input.choice();
  const bool is_signed_in = (choice & 2U) != 0;
  const auto variables = variables_of(input.rest());
  const auto request = gatehouse::cgi::read_request(variables, {.request_id = "id", .is_mounted = (choice & 1U) != 0});
  if (!request) {
    check_refusal(request.error());
    return 0;
  }
  check_request(*request, variables);
  check_run(*request, is_signed_in);
  check_run(with_headers(*request, variables), is_signed_in);
  return 0;
}
