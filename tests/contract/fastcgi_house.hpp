// A FastCGI server of ours for tests.
#pragma once

#include "contract/house.hpp"
#include "fastcgi/server.hpp"

namespace gatehouse::fastcgi::test {

using gatehouse::test::Folder;
using gatehouse::test::unix_at;

class House : public gatehouse::test::House {
 public:
  explicit House(Handler handler, const ServerOptions& options = {}, std::size_t reactors = 1)
      : gatehouse::test::House(connections(std::move(handler), options), options, reactors) {}
};

}  // namespace gatehouse::fastcgi::test
