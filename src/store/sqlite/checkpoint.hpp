// Who folds the write-ahead log into the file, and when.
//
// SQLite 3.7.0 to 3.51.2 (Debian 12 has 3.40.1) can corrupt a file if a checkpoint that finds nothing left to do runs
// while another connection commits and thereby starts the log anew. So the automatic checkpoint is off in every
// connection; one gateway at a time checkpoints, and it does so holding SQLite's own writer lock, so that nobody can
// commit meanwhile.
#pragma once

#include <string>

#include "store/sqlite/connection.hpp"

namespace gatehouse::store::sqlite {

/// Checkpoints after a commit if the log has grown past 1000 pages (4 MiB) and no other process is at it: the one that
/// is holds the lock on `path`.lock. Never fails: the log may as well grow until the next commit.
void checkpoint_if_due(Connection& writer, const std::string& path);

}  // namespace gatehouse::store::sqlite
