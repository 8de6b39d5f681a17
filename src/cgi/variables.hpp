// Meta-variables as they come and go: in order, doubled ones included.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace gatehouse::cgi {

using Variables = std::vector<std::pair<std::string, std::string>>;

}  // namespace gatehouse::cgi
