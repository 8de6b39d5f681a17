// One process at a time: see checkpoint.hpp for why.
#include "store/sqlite/checkpoint.hpp"

#include "store/sqlite/lock_file.hpp"

namespace gatehouse::store::sqlite {
namespace {

constexpr int kDuePages = 1000;

}  // namespace

void checkpoint_if_due(Connection& writer, const std::string& path) {
  if (writer.wal_pages() < kDuePages) return;
  const LockFile lock(path, LockFile::Makes::always);
  if (lock.try_lock()) writer.checkpoint();
}

}  // namespace gatehouse::store::sqlite
