// Programs and applications behind us, by name.
#include <algorithm>

#include "config/read.hpp"

namespace gatehouse::config {
namespace {

constexpr std::size_t kMostProcesses = 4096;
constexpr std::size_t kMostPathBytes = 107;

void read_cgi(Section section, CgiDownstream& cgi) {
  section.file("root", cgi.root);
  section.file("program", cgi.program);
  section.duration("timeout", cgi.timeout);
  section.number("max_processes", cgi.max_processes, {.least = 1, .most = kMostProcesses});
  section.size("max_body", cgi.max_body);
  section.text_map("env", cgi.env, check_variable);
  section.refuse_unknown();
  if (cgi.root.empty() == cgi.program.empty()) {
    section.reading().problem_at(section.path(),
                                 "needs exactly one of root and program; allowed: root (a folder of "
                                 "programs) or program (one program for every path)");
  }
}

// What each key allows by itself, and the others do not.
void validate_together(Reading& reading, const std::string& path, const FastCgiDownstream& fastcgi,
                       bool writes_extensions) {
  const auto ends_index = [&](const std::string& extension) { return fastcgi.index.ends_with(extension); };
  const bool is_script = fastcgi.extensions.empty() || std::ranges::any_of(fastcgi.extensions, ends_index);
  const bool has_folders = !fastcgi.root.empty() && fastcgi.program.empty();
  if (fastcgi.address.starts_with("unix:") && fastcgi.address.size() - 5 > kMostPathBytes) {
    reading.problem_at(path + ".address", "is longer than a unix socket's path may be; allowed: at most 107 bytes");
  }
  if (!fastcgi.index.empty() && !has_folders) {
    reading.problem_at(path + ".index", "stands for a folder; allowed: with root, and without program");
  } else if (!fastcgi.index.empty() && !is_script) {
    reading.problem_at(path + ".index", "has none of the extensions; allowed: a name that ends in one of them");
  }
  if (writes_extensions && !has_folders) {
    reading.problem_at(path + ".extensions",
                       "are those of scripts in a folder; allowed: with root, and without program");
  }
  if (fastcgi.keep_connections > fastcgi.max_connections) {
    reading.problem_at(path + ".keep_connections",
                       "is more than max_connections; allowed: at most " + std::to_string(fastcgi.max_connections));
  }
}

void read_fastcgi(Section section, FastCgiDownstream& fastcgi) {
  section.required_text("address", fastcgi.address, check_connect, "unix:PATH or tcp:HOST:PORT");
  fastcgi.address = section.reading().absolute_address(fastcgi.address);
  section.file("root", fastcgi.root);
  section.file("program", fastcgi.program);
  section.text("index", fastcgi.index, check_file_name);
  section.texts("extensions", fastcgi.extensions, check_extension);
  section.duration("timeout", fastcgi.timeout);
  section.number("max_connections", fastcgi.max_connections, {.least = 1, .most = kMostProcesses});
  section.number("keep_connections", fastcgi.keep_connections, {.most = kMostProcesses});
  section.size("max_body", fastcgi.max_body);
  section.size("answer_buffer", fastcgi.answer_buffer);
  section.flag("allow_x_accel", fastcgi.allow_x_accel);
  section.text_map("env", fastcgi.env, check_variable);
  section.refuse_unknown();
  validate_together(section.reading(), section.path(), fastcgi, section.has("extensions"));
}

Downstream read_downstream(Section& section) {
  Downstream downstream;
  if (!section.is_map()) return downstream;
  const bool has_cgi = section.has("cgi");
  const bool has_fastcgi = section.has("fastcgi");
  if (has_cgi) read_cgi(section.section("cgi"), downstream.emplace<CgiDownstream>());
  if (has_fastcgi) read_fastcgi(section.section("fastcgi"), downstream.emplace<FastCgiDownstream>());
  if (has_cgi == has_fastcgi) {
    section.reading().problem_at(section.path(), "needs exactly one kind; allowed: cgi or fastcgi");
  }
  section.refuse_unknown();
  return downstream;
}

}  // namespace

void read_downstreams(Section& root, std::map<std::string, Downstream>& downstreams) {
  for (Section& section : root.sections_of_map("downstreams")) {
    if (auto wrong = check_downstream_name(section.name()))
      section.reading().problem_at(section.path(), std::move(*wrong));
    // Also a faulty one has its name from here on, so that the routes that name it are not faulty too.
    downstreams.insert_or_assign(section.name(), read_downstream(section));
  }
}

}  // namespace gatehouse::config
