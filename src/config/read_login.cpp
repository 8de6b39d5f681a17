// The pages of our own: endpoints, login, logout.
#include "config/read.hpp"
#include "http/origin.hpp"

namespace gatehouse::config {
namespace {

void read_endpoints(Section section, Endpoints& endpoints) {
  section.text("prefix", endpoints.prefix, check_prefix);
  section.text("url", endpoints.url, check_origin_or_none);
  section.refuse_unknown();
  if (const auto origin = http::Origin::parse(endpoints.url)) endpoints.url = origin->text();
}

void read_throttle(Section section, Login& login) {
  section.flag("enabled", login.throttle);
  section.refuse_unknown();
}

void read_hashes(Section section, Login& login) {
  section.number_or_auto("max", login.max_hashes, {.least = 1, .most = 256});
  section.number("queue", login.hash_queue, {.least = 0, .most = 1000});
  section.refuse_unknown();
}

void read_login_section(Section section, Login& login) {
  section.flag("enabled", login.enabled);
  section.text("url", login.url, check_location_or_none);
  section.file("templates", login.templates);
  section.number("min_password", login.min_password, {.least = 1, .most = 1024});
  section.file("breached_file", login.breached_file);
  section.flag("remember", login.remember);
  section.texts("allowed_return_hosts", login.allowed_return_hosts, check_host);
  read_throttle(section.section("throttle"), login);
  read_hashes(section.section("hashes"), login);
  section.refuse_unknown();
}

}  // namespace

void read_login(Section& root, Config& config) {
  read_endpoints(root.section("endpoints"), config.endpoints);
  read_login_section(root.section("login"), config.login);
  Section logout = root.section("logout");
  logout.text("redirect", config.logout_redirect, check_location);
  logout.refuse_unknown();
}

}  // namespace gatehouse::config
