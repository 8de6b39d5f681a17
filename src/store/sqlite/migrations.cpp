// STRICT tables: a column that an administrator adds says what it holds, and a wrong value is refused when it is
// written, not found when it is read. Times are Unix milliseconds.
#include "store/sqlite/migrations.hpp"

#include <fmt/format.h>

#include <span>
#include <utility>

namespace gatehouse::store::sqlite {
namespace {

// created_at is indexed for max_lifetime: pruning must not read the whole table while it holds the writer's lock.
// No CREATE … IF NOT EXISTS: a table of that name that is not ours (Lucia's, say) must stop us.
constexpr const char* kVersion1[] = {
    R"(CREATE TABLE "{user}" (
         id TEXT NOT NULL PRIMARY KEY,
         username TEXT NOT NULL UNIQUE,
         name TEXT NOT NULL DEFAULT '',
         email TEXT NOT NULL DEFAULT '',
         roles TEXT NOT NULL DEFAULT '',
         disabled INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
         created_at INTEGER NOT NULL
       ) STRICT)",
    R"(CREATE TABLE "{key}" (
         id TEXT NOT NULL PRIMARY KEY,
         user_id TEXT NOT NULL REFERENCES "{user}" (id),
         hashed_password TEXT
       ) STRICT)",
    R"(CREATE INDEX "{key}_user_id" ON "{key}" (user_id))",
    R"(CREATE TABLE "{session}" (
         id TEXT NOT NULL PRIMARY KEY,
         user_id TEXT NOT NULL REFERENCES "{user}" (id),
         active_expires INTEGER NOT NULL,
         idle_expires INTEGER NOT NULL,
         created_at INTEGER NOT NULL,
         family TEXT NOT NULL,
         parent TEXT,
         last_used_at INTEGER NOT NULL,
         address TEXT NOT NULL DEFAULT '',
         device TEXT NOT NULL DEFAULT ''
       ) STRICT)",
    R"(CREATE INDEX "{session}_user_id" ON "{session}" (user_id))",
    R"(CREATE INDEX "{session}_family" ON "{session}" (family))",
    R"(CREATE INDEX "{session}_idle_expires" ON "{session}" (idle_expires))",
    R"(CREATE INDEX "{session}_created_at" ON "{session}" (created_at))",
    R"(CREATE TABLE rotated_session (
         id TEXT NOT NULL PRIMARY KEY,
         family TEXT NOT NULL,
         nonce BLOB NOT NULL CHECK (length(nonce) = 32),
         idle_expires INTEGER NOT NULL,
         rotated_at INTEGER NOT NULL,
         successor_seen_at INTEGER
       ) STRICT)",
    "CREATE INDEX rotated_session_family ON rotated_session (family)",
    "CREATE INDEX rotated_session_idle_expires ON rotated_session (idle_expires)",
    "CREATE TABLE gatehouse_schema (version INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL) STRICT",
};

// A single-use key ends at `expires`; NULL is a key that stays.
constexpr const char* kVersion2[] = {R"(ALTER TABLE "{key}" ADD COLUMN expires INTEGER)"};

sql::Migration step(int version, std::span<const char* const> statements, const TableNames& tables) {
  sql::Migration made{version, {}};
  for (const char* statement : statements) {
    made.statements.push_back(fmt::format(fmt::runtime(statement), fmt::arg("user", tables.user),
                                          fmt::arg("key", tables.key), fmt::arg("session", tables.session)));
  }
  return made;
}

}  // namespace

sql::Schema native_schema(const TableNames& tables) {
  return {sql::native_shapes(tables), {step(1, kVersion1, tables), step(2, kVersion2, tables)}};
}

}  // namespace gatehouse::store::sqlite
