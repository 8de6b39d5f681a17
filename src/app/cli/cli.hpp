// What the binary is this time, and its commands.
#pragma once

namespace gatehouse::app {

/// Decides in the order of PRODUCT.md section 1: a CGI or FastCGI environment (argv is ignored whole: a query can
/// become argv), a command, a listening fd 0, usage. Returns the exit code: 0 done, 1 failed, 2 usage, 69 store, 78
/// configuration.
[[nodiscard]] int run(int argc, char** argv);

}  // namespace gatehouse::app
