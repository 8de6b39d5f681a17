// Text in a page. For pages of a few lines that a program writes itself; a page with a layout wants a template.
#pragma once

#include <string>
#include <string_view>

namespace gatehouse::http {

/// Escapes & < > " ' so that a text stays text between tags and in a quoted attribute's value. Not for scripts, styles
/// and URLs.
[[nodiscard]] std::string escape_html(std::string_view text);

}  // namespace gatehouse::http
