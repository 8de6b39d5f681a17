#include "bench/responder.hpp"

#include <fstream>
#include <iterator>

namespace bench {

std::string read_answer(const char* path) {
  std::ifstream file(path, std::ios::binary);
  std::string answer(std::istreambuf_iterator<char>(file), {});
  if (answer.empty()) fail("the answer cannot be read");
  return answer;
}

}  // namespace bench
