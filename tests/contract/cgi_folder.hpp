// A folder of scripts that is gone after the test.
#pragma once

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include <stdlib.h>
#include <sys/stat.h>

namespace gatehouse::cgi {

class ScriptFolder {
 public:
  ScriptFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "gatehouse-cgi-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  ~ScriptFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScriptFolder(const ScriptFolder&) = delete;
  ScriptFolder& operator=(const ScriptFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  /// Writes an executable file and returns its name.
  std::string script(const std::string& name, const std::string& text) { return file(name, text, 0755); }
  std::string file(const std::string& name, const std::string& text, mode_t mode) {
    const auto path = path_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
    if (::chmod(path.c_str(), mode) != 0) throw std::runtime_error("no such mode");
    return path.string();
  }
  /// Returns the first line of a file that a script has written, empty if it is not there.
  [[nodiscard]] std::string line_of(const std::string& name) const {
    std::ifstream stream(path_ / name);
    std::string line;
    std::getline(stream, line);
    return line;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace gatehouse::cgi
