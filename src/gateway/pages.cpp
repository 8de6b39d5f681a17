#include "gateway/pages.hpp"

#include <filesystem>
#include <fstream>
#include <kainjow/mustache.hpp>
#include <sstream>
#include <string_view>

namespace gatehouse::gateway {

namespace {

constexpr std::string_view kStyle = R"css(
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --paper: #ffffff; --ground: #eef1f5; --line: #cfd6df;
        --accent: #1f5fae; --bad: #a3242b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa5b4; --paper: #1b212a; --ground: #12161c;
        --line: #36404d; --accent: #7fb0ee; --bad: #f0868c; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--ground); color: var(--ink);
       font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { width: min(24rem, calc(100vw - 2rem)); padding: 2rem; background: var(--paper); border: 1px solid var(--line);
       border-radius: 12px; box-shadow: 0 8px 30px rgb(0 0 0 / 8%); }
h1 { margin: 0 0 1.25rem; font-size: 1.375rem; }
label { display: block; margin: 0 0 .25rem; font-weight: 600; font-size: .9rem; }
input { width: 100%; margin: 0 0 1rem; padding: .625rem .75rem; font: inherit; color: inherit; background: var(--ground);
        border: 1px solid var(--line); border-radius: 8px; }
input:focus-visible, button:focus-visible, a:focus-visible { outline: 3px solid var(--accent); outline-offset: 1px; }
button { width: 100%; padding: .7rem; font: inherit; font-weight: 600; color: var(--paper); background: var(--accent);
         border: 0; border-radius: 8px; cursor: pointer; }
.message { margin: 0 0 1rem; padding: .625rem .75rem; border-left: 4px solid var(--bad); color: var(--bad); background: var(--ground); }
.small { margin: 1.25rem 0 0; font-size: .8rem; color: var(--soft); overflow-wrap: anywhere; }
)css";

constexpr std::string_view kLoginTemplate = R"html(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in</title>
<style nonce="{{nonce}}">{{{style}}}</style>
</head>
<body>
<main>
<h1>Sign in</h1>
{{#message}}<p class="message" role="alert">{{message}}</p>{{/message}}
<form method="post" action="{{action}}">
<input type="hidden" name="csrf" value="{{csrf}}">
<input type="hidden" name="rd" value="{{rd}}">
<label for="username">Name</label>
<input id="username" name="username" type="text" value="{{username}}" autocomplete="username" autocapitalize="none" spellcheck="false" required autofocus>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button type="submit">Sign in</button>
</form>
</main>
</body>
</html>
)html";

constexpr std::string_view kErrorTemplate = R"html(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{status}} {{title}}</title>
<style nonce="{{nonce}}">{{{style}}}</style>
</head>
<body>
<main>
<h1>{{title}}</h1>
<p>{{message}}</p>
<p class="small">Status {{status}}, request {{request_id}}</p>
</main>
</body>
</html>
)html";

std::expected<std::string, std::string> read_template(const std::string& folder, const char* name,
                                                      std::string_view built_in) {
  if (folder.empty()) return std::string(built_in);
  const std::filesystem::path path = std::filesystem::path(folder) / name;
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return std::string(built_in);
  const std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return std::unexpected(path.string() + " cannot be read");
  const kainjow::mustache::mustache parsed(text.str());
  if (!parsed.is_valid()) return std::unexpected(path.string() + ": " + parsed.error_message());
  return text.str();
}

// Mustache escapes {{…}} for HTML; the style element is ours and goes in as it is.
std::string render(const std::string& text, kainjow::mustache::data data) {
  data.set("style", std::string(kStyle));
  kainjow::mustache::mustache page(text);
  return page.render(data);
}

}  // namespace

Pages::Pages(std::string login_template, std::string error_template)
    : login_template_(std::move(login_template)), error_template_(std::move(error_template)) {}

std::expected<std::shared_ptr<const Pages>, std::string> Pages::load(const std::string& folder) {
  auto login = read_template(folder, "login.mustache", kLoginTemplate);
  if (!login) return std::unexpected(login.error());
  auto error = read_template(folder, "error.mustache", kErrorTemplate);
  if (!error) return std::unexpected(error.error());
  return std::shared_ptr<const Pages>(new Pages(std::move(*login), std::move(*error)));
}

std::string Pages::login(const LoginPage& page) const {
  kainjow::mustache::data data;
  data.set("action", page.action);
  data.set("rd", page.rd);
  data.set("csrf", page.csrf);
  data.set("username", page.username);
  data.set("nonce", page.nonce);
  if (!page.message.empty()) data.set("message", page.message);
  return render(login_template_, std::move(data));
}

std::string Pages::error(const ErrorPage& page) const {
  kainjow::mustache::data data;
  data.set("status", std::to_string(page.status));
  data.set("title", page.title);
  data.set("message", page.message);
  data.set("request_id", page.request_id);
  data.set("nonce", page.nonce);
  return render(error_template_, std::move(data));
}

}  // namespace gatehouse::gateway
