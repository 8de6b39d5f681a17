// One reading of one file: what all its sections share. Problems are collected here, never thrown.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/keys.hpp"
#include "config/load.hpp"
#include "config/yaml.hpp"

namespace gatehouse::config {

/// Confined to one thread; lives while a file is read.
class Reading {
 public:
  explicit Reading(std::string file);

  void problem(Place place, const std::string& key, std::string text);
  void warning(Place place, const std::string& key, std::string text);
  /// The same at the place of a key: of its value if the file gives it, else of the nearest section that the file
  /// gives.
  void problem_at(const std::string& key, std::string text);
  void warning_at(const std::string& key, std::string text);

  /// Notes that the file gives a key, and where.
  void found(const std::string& key, Place place) { places_.try_emplace(key, place); }
  [[nodiscard]] bool is_given(const std::string& key) const { return places_.contains(key); }
  /// Notes that a key is known (the first default counts) and which values it has.
  void known(const std::string& pattern, const std::optional<std::string>& default_text);
  void shown(const std::string& pattern, const std::string& text) { keys_[pattern].shown.push_back(text); }

  /// A relative path is relative to the config file, whatever the working folder becomes later.
  [[nodiscard]] std::string absolute(const std::string& path) const;
  /// The same for the path of a "unix:PATH"; another address is returned as it is.
  [[nodiscard]] std::string absolute_address(const std::string& address) const;

  [[nodiscard]] const std::string& file() const { return file_; }
  [[nodiscard]] std::string absolute_file() const { return absolute_.string(); }
  [[nodiscard]] std::size_t problem_count() const { return problems_.size(); }
  /// Both in the order of the file.
  [[nodiscard]] std::vector<Problem> take_problems();
  [[nodiscard]] std::vector<std::string> take_warnings();
  [[nodiscard]] std::vector<KnownKey> take_keys();

  bool everybody_may_read = false;  ///< the file's mode lets every user of the machine read it

 private:
  [[nodiscard]] Place place_of(std::string key) const;

  std::string file_;
  std::filesystem::path absolute_;
  std::multimap<Place, Problem> problems_;  // in the order of the file; at one place in the order of noting
  std::multimap<Place, Problem> warnings_;
  std::map<std::string, Place> places_;
  std::map<std::string, KnownKey> keys_;
};

}  // namespace gatehouse::config
