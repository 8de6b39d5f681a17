// Gatehouse: one binary, several doors. What it is this time is decided in app/cli/cli.cpp.
#include <cstdio>
#include <exception>
#include <tuple>

#include "app/cli/cli.hpp"

int main(int argc, char** argv) {
  try {
    return gatehouse::app::run(argc, argv);
  } catch (const std::exception& error) {
    std::ignore = std::fprintf(stderr, "gatehouse: %s\n", error.what());
  } catch (...) {
    std::ignore = std::fputs("gatehouse: an error without a name\n", stderr);
  }
  return 1;
}
