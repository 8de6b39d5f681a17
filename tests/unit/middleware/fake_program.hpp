// A program's request without a web server: variables and body given, the answer kept.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "middleware/program_context.hpp"

namespace gatehouse::middleware::testing {

// Its lines have to be there before the context that reads them is made.
struct Lines {
  explicit Lines(std::vector<std::string> texts) : texts_(std::move(texts)) {
    for (const std::string& text : texts_) pointers.push_back(text.c_str());
    pointers.push_back(nullptr);
  }
  Lines(const Lines&) = delete;
  Lines& operator=(const Lines&) = delete;

  std::vector<const char*> pointers;

 private:
  std::vector<std::string> texts_;
};

class FakeProgram final : private Lines, public ProgramContext {
 public:
  explicit FakeProgram(std::vector<std::string> lines, std::string body = {})
      : Lines(std::move(lines)), ProgramContext(Environment(pointers.data())), body_(std::move(body)) {}

  std::string answer;
  bool is_input_broken = false;
  std::size_t piece = 7;  ///< what one read brings at most
  int reads = 0;

 private:
  std::optional<std::size_t> read_some(std::span<char> into, Deadline) override {
    ++reads;
    if (is_input_broken) return std::nullopt;
    const std::size_t size = std::min({into.size(), body_.size(), piece});
    body_.copy(into.data(), size);
    body_.erase(0, size);
    return size;
  }
  void write_answer(std::string_view bytes) override { answer += bytes; }

  std::string body_;
};

/// The lines of a POST of a form from our own page.
inline std::vector<std::string> form_post(const std::string& body, std::vector<std::string> more = {}) {
  std::vector<std::string> lines{"REQUEST_METHOD=POST",
                                 "HTTP_HOST=app.example.org",
                                 "HTTPS=on",
                                 "HTTP_ORIGIN=https://app.example.org",
                                 "CONTENT_TYPE=application/x-www-form-urlencoded",
                                 "CONTENT_LENGTH=" + std::to_string(body.size())};
  lines.insert(lines.end(), more.begin(), more.end());
  return lines;
}

}  // namespace gatehouse::middleware::testing
