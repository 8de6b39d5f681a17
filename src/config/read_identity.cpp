// What downstream learns: a preset of headers, or a map of header to attribute.
#include <algorithm>
#include <utility>

#include "config/read.hpp"
#include "config/values.hpp"

namespace gatehouse::config {
namespace {

constexpr std::array<Word<Encoding>, 2> kEncodings{{{"utf8", Encoding::utf8}, {"percent", Encoding::percent}}};
constexpr std::string_view kAttributePrefix = "user.";

Wrong check_source(const std::string& text) {
  if (text.starts_with(kAttributePrefix) && !check_attribute(text.substr(kAttributePrefix.size()))) return std::nullopt;
  return in_quotes(text) + " is no attribute of the user; allowed: user.username, user.email, user.roles and so on";
}

// Two spellings of one name would let a client's header stand beside ours (X-User, x_user).
const std::string* find_alias(const HeaderMap& headers, const std::string& name) {
  const std::string wanted = variable_name(name);
  const auto found = std::ranges::find(headers, wanted, [](const auto& header) { return variable_name(header.first); });
  return found == headers.end() ? nullptr : &found->first;
}

void add_header(Reading& reading, HeaderMap& headers, const TextItem& name, const TextItem& source) {
  if (auto wrong = check_header(name.text)) {
    reading.problem(name.place, name.path, std::move(*wrong));
  } else if (const std::string* alias = find_alias(headers, name.text)) {
    reading.problem(name.place, name.path, "is the same header as " + *alias + " to a script; allowed: one of the two");
  }
  if (auto wrong = check_source(source.text)) {
    reading.problem(source.place, source.path, std::move(*wrong));
    return;
  }
  headers.emplace_back(name.text, source.text.substr(kAttributePrefix.size()));
}

void read_headers(Section& identity, HeaderMap& headers) {
  std::vector<std::pair<TextItem, TextItem>> members;
  const auto preset = identity.preset_or_map("headers", "remote", members);
  if (preset) {
    auto known = header_preset(*preset);
    if (known) {
      headers = std::move(*known);
    } else {
      identity.reading().problem_at(identity.path_of("headers"),
                                    in_quotes(*preset) +
                                        " is no preset; allowed: remote, x-auth-request, x-forwarded, or a map "
                                        "such as { X-User: user.username }");
    }
  } else if (identity.has_map("headers")) {
    headers.clear();
    for (const auto& [name, source] : members) add_header(identity.reading(), headers, name, source);
  }
}

}  // namespace

void read_identity(Section& root, Identity& identity) {
  Section section = root.section("identity");
  read_headers(section, identity.headers);
  section.choice("encoding", identity.encoding, kEncodings);
  section.flag("hide_session_cookie", identity.hide_session_cookie);
  section.refuse_unknown();
}

}  // namespace gatehouse::config
