// The few pages a person sees from us: the login form and the refusals. Mustache templates, built in or from a folder.
#pragma once

#include <expected>
#include <memory>
#include <string>

namespace gatehouse::gateway {

struct LoginPage {
  std::string action;  ///< where the form posts to
  std::string rd;
  std::string csrf;
  std::string username;  ///< what was typed, to be shown again
  std::string message;   ///< why the form is shown again; empty the first time
  std::string nonce;     ///< of the style element, as in the Content-Security-Policy
};

struct ErrorPage {
  int status = 500;
  std::string title;
  std::string message;
  std::string request_id;
  std::string nonce;
};

/// Immutable, thread-safe.
class Pages {
 public:
  /// Reads login.mustache and error.mustache from the folder, where they are there; an empty folder name means the
  /// built-in ones. Returns the sentence that is wrong with a template.
  [[nodiscard]] static std::expected<std::shared_ptr<const Pages>, std::string> load(const std::string& folder);

  [[nodiscard]] std::string login(const LoginPage& page) const;
  [[nodiscard]] std::string error(const ErrorPage& page) const;

 private:
  Pages(std::string login_template, std::string error_template);
  std::string login_template_;
  std::string error_template_;
};

}  // namespace gatehouse::gateway
