// Root's commands on a SQLite file: they work as the owner of its folder, so that no root-owned file is left in it.
#pragma once

#include <expected>
#include <string>

#include "config/config.hpp"

namespace gatehouse::app::cli {

/// As root with driver sqlite: becomes the owner (and group) of the database's folder for good. Otherwise, and where
/// root owns the folder, does nothing. Fails with a sentence.
[[nodiscard]] std::expected<void, std::string> become_owner_of_store(const config::Store& store);

}  // namespace gatehouse::app::cli
