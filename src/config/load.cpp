// The order of a load: the text, its tree, its sections, then what only the whole can tell.
#include "config/load.hpp"

#include <sys/stat.h>

#include <cstdlib>
#include <map>
#include <utility>

#include "config/file.hpp"
#include "config/keys.hpp"
#include "config/read.hpp"
#include "config/values.hpp"
#include "config/yaml.hpp"

namespace gatehouse::config {
namespace {

constexpr std::size_t kMostBytes = 1024UL * 1024UL;

// YAML says that the last one counts, a reader of the file believes the first one: neither is a good answer.
void refuse_duplicates(Reading& reading, const YamlNode& node, const std::string& path) {
  std::map<std::string, int> lines;
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    const YamlNode& child = node.children[i];
    if (node.kind == YamlNode::Kind::list) {
      refuse_duplicates(reading, child, path + "[" + std::to_string(i) + "]");
      continue;
    }
    const std::string child_path = join_path(path, child.key);
    const auto [first, is_new] = lines.emplace(child.key, child.key_place.line);
    if (!is_new) {
      reading.problem(child.key_place, child_path,
                      "is there twice, first in line " + std::to_string(first->second) + "; allowed: once");
    }
    refuse_duplicates(reading, child, child_path);
  }
}

void read_sections(Section root, Config& config) {
  read_server(root, config);
  read_store(root, config.store);
  read_session(root, config.session);
  read_identity(root, config.identity);
  read_downstreams(root, config.downstreams);
  read_routes(root, config.routes);
  read_login(root, config);
  root.refuse_unknown();
}

std::expected<Loaded, std::vector<Problem>> read_text(Reading& reading, const std::string& text) {
  Loaded loaded;
  loaded.config.file = reading.absolute_file();
  const auto tree = parse_yaml(text);
  if (!tree) {
    reading.problem(tree.error().place, "", tree.error().text);
    return std::unexpected(reading.take_problems());
  }
  refuse_duplicates(reading, *tree, "");
  read_sections(Section(reading, *tree), loaded.config);
  validate(reading, loaded.config);
  refuse_unserved(reading, loaded.config);
  if (reading.problem_count() != 0) return std::unexpected(reading.take_problems());
  loaded.warnings = reading.take_warnings();
  return loaded;
}

}  // namespace

std::expected<Loaded, std::vector<Problem>> load(const std::string& file) {
  Reading reading(file);
  const auto content = read_file(file, kMostBytes);
  if (!content) {
    reading.problem({}, "", content.error());
    return std::unexpected(reading.take_problems());
  }
  reading.everybody_may_read = (content->permissions & S_IROTH) != 0;
  if ((content->permissions & S_IWOTH) != 0) {
    reading.problem({}, "", "can be written by every user of this machine; allowed: mode 0644 or less");
  }
  return read_text(reading, content->text);
}

std::expected<Loaded, std::vector<Problem>> load_text(const std::string& text, const std::string& file) {
  Reading reading(file);
  return read_text(reading, text);
}

std::string default_file(const std::string& argument) {
  if (!argument.empty()) return argument;
  // Read at the start, before there are threads.
  const char* const file = std::getenv("GATEHOUSE_CONFIG");
  return file != nullptr && *file != '\0' ? file : "/etc/gatehouse/gatehouse.yaml";
}

std::vector<KnownKey> known_keys(const std::string& text) {
  constexpr std::string_view kEveryKind = "{downstreams: {name: {cgi: {}, fastcgi: {}}}, routes: [{}]}";
  Reading reading("");
  Config config;
  const auto every_kind = parse_yaml(std::string(kEveryKind));
  if (every_kind) read_sections(Section(reading, *every_kind), config);
  if (const auto tree = parse_yaml(text)) read_sections(Section(reading, *tree), config);
  return reading.take_keys();
}

}  // namespace gatehouse::config
