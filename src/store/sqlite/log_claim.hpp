// Which file the log beside a database belongs to, as far as we have written it down: see lock_file.hpp. Whoever opens
// the database asks before, and claims the log for the file after; whoever leaves it clears the way for another file.
#pragma once

#include <optional>
#include <string>

#include "store/sqlite/connections.hpp"
#include "store/sqlite/lock_file.hpp"

namespace gatehouse::store::sqlite {

/// True if the log beside `path` is known to be another file's than `file`, and holds something or is in use. A log of
/// which nothing is known is taken for the file's. Waits 100 ms at most for who is moving it.
[[nodiscard]] bool is_of_another_file(const std::string& path, const FileIdentity& file);

/// Writes down that `log` belongs to `file`, for as long as the log is there, and marks it as used for as long as the
/// result lives. nullopt if another file has it. Where nothing can be written down, nothing is.
[[nodiscard]] std::optional<LockFile> claim_log(const std::string& path, const FileIdentity& file,
                                                const FileIdentity& log);

/// Forgets whose the log was if there is none any more: its number may be given to another one.
void forget_log(const std::string& path);

/// Clears the way for another file at `path` whose predecessor's `log` still lies beside it: an empty log is removed,
/// one that could not be folded into its file is renamed to `path`-wal.replaced, or `path`-wal.replaced.2 and so on, so
/// that nothing is lost. A log that is not this one is left alone. Requires that this process has no connection open.
/// False if it cannot be done now.
[[nodiscard]] bool put_log_aside(const std::string& path, const FileIdentity& log);

}  // namespace gatehouse::store::sqlite
