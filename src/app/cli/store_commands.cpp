#include <fmt/format.h>

#include "app/cli/commands.hpp"
#include "app/cli/output.hpp"

namespace gatehouse::app::cli {

int db_migrate(const config::Config& config) {
  Session session(config);
  auto status = session.store->migrate();
  if (!status) return complain(status.error(), "db migrate");
  fmt::print("schema version {}\n", status->version);
  return kDone;
}

int db_status(const config::Config& config) {
  Session session(config);
  auto status = session.store->schema_status();
  if (!status) return complain(status.error(), "db status");
  fmt::print("schema version {}, expected {}\n", status->version, status->expected);
  for (const std::string& problem : status->problems) fmt::print("{}\n", problem);
  return status->is_current() ? kDone : kStoreUnavailable;
}

}  // namespace gatehouse::app::cli
