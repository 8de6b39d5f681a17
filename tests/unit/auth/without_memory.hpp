// For death tests: a process that has no memory left for a password's hash, which tells whether one is computed.
#pragma once

#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <fstream>

#include "auth/error.hpp"

namespace gatehouse::auth::testing {

inline std::size_t pages_in_use() {
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages;
}

/// False under a sanitizer, whose shadow memory leaves no limit to set.
inline bool can_limit_memory() {
  return pages_in_use() <= (1ULL << 28U);
}

/// Leaves the process 8 MiB and exits with 0 if `check` fails for want of more.
template <typename Check>
[[noreturn]] void exit_by_check_without_memory(Check check) {
  malloc_trim(0);
  const auto bytes = pages_in_use() * static_cast<std::size_t>(sysconf(_SC_PAGESIZE)) + (8ULL << 20U);
  const rlimit limit{.rlim_cur = bytes, .rlim_max = bytes};
  if (setrlimit(RLIMIT_AS, &limit) != 0) std::_Exit(2);
  const auto result = check();
  std::_Exit(!result && result.error().code == ErrorCode::internal ? 0 : 1);
}

}  // namespace gatehouse::auth::testing
