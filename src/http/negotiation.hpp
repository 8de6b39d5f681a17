// What kind of client asks: a person's browser on its way to a page, or a program.
#pragma once

#include "http/request.hpp"

namespace gatehouse::http {

/// True for GET or HEAD with `Sec-Fetch-Mode: navigate`, or without that header and with an Accept that
/// contains text/html. Only a navigation is sent to the login page. Source: PRODUCT.md section 3.
[[nodiscard]] bool is_navigation(const Request& request);
/// True if an error should be HTML: Accept prefers text/html to application/json (q-values count).
/// "*/*" alone or no Accept means JSON, so that curl and programs get JSON.
[[nodiscard]] bool prefers_html(std::string_view accept);
/// True if Accept names application/json and does not prefer text/html: a program that wants JSON where a form wants a
/// redirect. "*/*" is what a form sends too.
[[nodiscard]] bool wants_json(std::string_view accept);

}  // namespace gatehouse::http
