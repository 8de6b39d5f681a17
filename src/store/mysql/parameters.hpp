// Our spelling of parameters (?1, ?2, …, each as often as one likes) in the server's (?, one for each). Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::store::mysql {

struct Translated {
  std::string sql;                 ///< with ? alone
  std::vector<std::size_t> order;  ///< for each ? in turn the index of its value, from 0
};

/// Leaves alone what is quoted: "names", 'texts' (a doubled quote is two texts side by side, which comes to the same).
/// A ? without a number is a ? without a value.
[[nodiscard]] Translated translate(std::string_view sql);

}  // namespace gatehouse::store::mysql
