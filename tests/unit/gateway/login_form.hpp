// A browser with the login form before it: its cookie and its csrf value, and what it sends.
#pragma once

#include <string>

#include "fakes.hpp"

namespace gatehouse::gateway::testing {

inline std::string between(const std::string& text, const std::string& before, const std::string& after) {
  const auto begin = text.find(before);
  if (begin == std::string::npos) return "";
  const auto start = begin + before.size();
  return text.substr(start, text.find(after, start) - start);
}

/// The site's own cookie, if any, is sent besides.
struct Form {
  explicit Form(Site& of) : site(of) {
    const FakeExchange page = site.serve(site.navigation("/auth/login"));
    cookie = between(page.first("Set-Cookie"), "", ";");
    csrf = between(page.written, "name=\"csrf\" value=\"", "\"");
  }
  http::Request filled(const std::string& username, const std::string& password, const std::string& rd = "%2Fapp%2Fx") {
    const std::string before = site.cookie;
    site.cookie = before.empty() ? cookie : before + "; " + cookie;
    http::Request request =
        site.post("/auth/login", "username=" + username + "&password=" + password + "&rd=" + rd + "&csrf=" + csrf);
    site.cookie = before;
    return request;
  }
  Site& site;
  std::string cookie;
  std::string csrf;
};

}  // namespace gatehouse::gateway::testing
