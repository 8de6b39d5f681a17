// Reads the small bodies of our own forms. What goes to a script is streamed by its runner and never comes through
// here.
#pragma once

#include <cstdint>
#include <expected>
#include <string>

#include "http/form.hpp"
#include "http/request.hpp"
#include "net/exchange.hpp"

namespace gatehouse::gateway {

inline constexpr std::size_t kMaxFormBytes = std::size_t{64} * 1024;

/// True if the request's Content-Type is that of a form.
[[nodiscard]] bool has_form_body(const http::Request& request);

/// Reads and decodes a form body within ten seconds in all. An empty body is an empty form.
/// Fails with a status: 400 (no form, bad escapes, a body that ends early), 413, or 0: the visitor is gone.
[[nodiscard]] net::Task<std::expected<http::Form, int>> read_form(const http::Request& request,
                                                                  net::Exchange& exchange);

}  // namespace gatehouse::gateway
