// What the contract has and this version does not serve yet. The keys parse in full and their values are checked;
// whoever builds a thing deletes its lines here.
#include "config/read.hpp"

namespace gatehouse::config {
namespace {

constexpr std::string_view kNotYet = "is not in this version yet; allowed: ";

void refuse(Reading& reading, const std::string& key, std::string_view allowed) {
  reading.problem_at(key, std::string(kNotYet).append(allowed));
}

}  // namespace

void refuse_unserved(Reading& reading, const Config& config) {
  if (!config.admin_listen.empty()) refuse(reading, "admin.listen", "\"\"");
  if (!config.login.breached_file.empty()) refuse(reading, "login.breached_file", "\"\"");
}

}  // namespace gatehouse::config
