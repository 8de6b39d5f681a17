// The file fails under SQLite at the n-th call, n = 1, 2, 3 … until none is left to fail: each call of the store ends
// failed or done, the file holds the rows from before or those from after (also for whoever opens it after a crash in
// that moment), a failure is never taken for an answer, and the next try succeeds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>

#include "contract/faulty_vfs.hpp"
#include "contract/raw_sqlite.hpp"
#include "contract/temporary_folder.hpp"
#include "store/sqlite/sqlite_store.hpp"

namespace gatehouse::contract {
namespace {

using auth::ErrorCode;
using auth::Key;
using auth::Result;
using auth::SessionId;
using auth::SessionRow;
using store::SqliteStore;

constexpr std::size_t kMoreCallsThanAnything = 1000;

auth::Timestamp at(std::int64_t milliseconds) {
  return auth::Timestamp(auth::Milliseconds(milliseconds));
}

SessionRow session(const std::string& id, const std::string& user_id = "u1") {
  return {.id = SessionId(id),
          .user_id = user_id,
          .active_expires = at(1'000),
          .idle_expires = at(5'000),
          .created_at = at(0),
          .family = "family-of-" + id,
          .parent = std::nullopt,
          .last_used_at = at(0),
          .address = "192.0.2.1",
          .device = std::string(200, 'd')};
}

auth::NewUser user(const std::string& id) {
  auth::NewUser made;
  made.user.id = id;
  made.user.username = "name-of-" + id;
  made.key = Key{.id = "username:name-of-" + id, .user_id = id, .hashed_password = "hash"};
  return made;
}

auth::Rotation rotation(const SessionRow& old, const std::string& successor) {
  auth::Rotation made{.old_id = old.id, .nonce = {}, .successor = old, .rotated_at = at(1'500)};
  made.successor.id = SessionId(successor);
  made.successor.parent = old.id;
  return made;
}

/// The rows that every file here starts with: u1 has s2 (rotated from s1, not presented yet) and s3, u2 has t1.
void seed(SqliteStore& store) {
  ASSERT_TRUE(store.migrate());
  for (const std::string id : {"u1", "u2"}) ASSERT_TRUE(store.create_user(user(id)));
  ASSERT_TRUE(store.create_session(session("s1"), 0));
  ASSERT_TRUE(store.rotate(rotation(session("s1"), "s2"), {}));
  ASSERT_TRUE(store.create_session(session("s3"), 0));
  ASSERT_TRUE(store.create_session(session("t1", "u2"), 0));
}

const auth::Presentation kFirst{.id = SessionId("s2"), .parent = SessionId("s1"), .seen_at = at(1'600)};

SessionRow successor() {
  return rotation(session("s1"), "s2").successor;
}

/// True if it was done; what failed must say that the environment did.
template <typename T>
bool is_done(const Result<T>& result) {
  if (result) return true;
  const ErrorCode code = result.error().code;
  EXPECT_TRUE(code == ErrorCode::store_unavailable || code == ErrorCode::store_read_only)
      << name(code) << ": " << result.error().detail;
  return false;
}

/// The same for a call that has a right answer.
template <typename T, typename IsRight>
bool is_done(const Result<T>& result, IsRight is_right) {
  if (result) {
    EXPECT_TRUE(is_right(*result)) << "a failure was taken for an answer";
  }
  return is_done(result);
}

struct UseCase {
  std::string name;
  std::function<bool(SqliteStore&)> call;
};

void PrintTo(const UseCase& use_case, std::ostream* out) {
  *out << use_case.name;
}

std::vector<UseCase> use_cases() {
  const auto is_there = [](const auto& found) { return found.has_value(); };
  const auto three = [](const auto& rows) { return rows.size() == 3; };
  const auto rotated = [](auth::RotationOutcome outcome) { return outcome == auth::RotationOutcome::rotated; };
  const auto is_true = [](bool moved) { return moved; };
  const auto one = [](std::size_t count) { return count == 1; };
  const auto two = [](std::size_t count) { return count == 2; };
  const Key key = user("u1").key.value();
  const SessionRow made = session("new");
  return {
      {"FindSession", [=](SqliteStore& store) { return is_done(store.find_session(SessionId("s2")), is_there); }},
      {"FindRotated", [=](SqliteStore& store) { return is_done(store.find_rotated(SessionId("s1")), is_there); }},
      {"FindKey", [=](SqliteStore& store) { return is_done(store.find_key(key.id), is_there); }},
      {"AllSessions", [=](SqliteStore& store) { return is_done(store.all_sessions(), three); }},
      {"CreateSession", [=](SqliteStore& store) { return is_done(store.create_session(made, 1)); }},
      {"ReplaceFamily", [=](SqliteStore& store) { return is_done(store.replace_family("family-of-s1", made, 1)); }},
      {"Rotate",
       [=](SqliteStore& store) { return is_done(store.rotate(rotation(successor(), "s4"), kFirst), rotated); }},
      {"Extend",
       [=](SqliteStore& store) {
         const auto moved = store.extend(SessionId("s2"), at(1'000), at(8'000), at(9'000), at(2'000), kFirst);
         return is_done(moved, is_true);
       }},
      {"MarkPresented", [=](SqliteStore& store) { return is_done(store.mark_presented(kFirst)); }},
      {"Logout", [=](SqliteStore& store) { return is_done(store.delete_family("family-of-s1"), one); }},
      {"LogoutEverywhere", [=](SqliteStore& store) { return is_done(store.delete_sessions_of_user("u1"), two); }},
      {"CreateUser", [=](SqliteStore& store) { return is_done(store.create_user(user("u3"))); }},
      {"DeleteUser", [=](SqliteStore& store) { return is_done(store.delete_user("u1"), is_true); }},
      {"ChangePassword", [=](SqliteStore& store) { return is_done(store.update_key_password(key.id, "other")); }},
      {"Prune", [=](SqliteStore& store) { return is_done(store.delete_dead(at(6'000), {}, 100)); }},
  };
}

/// Everything in the file, as text; and the file is sound.
std::string rows_of(const std::string& path) {
  RawSqlite file(path);
  EXPECT_EQ(file.run("PRAGMA integrity_check"), "ok");
  std::string rows;
  for (const std::string table : {"user", "user_key", "user_session", "rotated_session"}) {
    const std::string columns =
        file.run("SELECT group_concat('quote(' || name || ')', '||'',''||') FROM pragma_table_info('" + table + "')");
    std::string lines = "SELECT group_concat(line, char(10)) FROM (SELECT ";
    lines.append(columns).append(" AS line FROM ").append(table).append(" ORDER BY id)");
    rows.append(table).append(":\n").append(file.run(lines)).append("\n");
  }
  return rows;
}

store::SqliteOptions options(const std::string& path) {
  return {.path = path, .tables = {}, .busy_timeout = std::chrono::milliseconds(3), .max_readers = 2};
}

/// When it fails, how often, and in which way.
struct Disaster {
  std::string name;
  Fault fault;
  bool is_lasting;
  bool is_warm;  ///< the store has read and written before; else it opens the file now
};

std::vector<Disaster> disasters() {
  return {{"OnceWhileOpening", Fault::io_error, false, false},
          {"Once", Fault::io_error, false, true},
          {"ForGoodWhileOpening", Fault::io_error, true, false},
          {"ForGood", Fault::io_error, true, true},
          {"RefusedOnce", Fault::refused, false, true},
          {"TornOnce", Fault::torn, false, true},
          {"TornForGood", Fault::torn, true, false}};
}

void strike(FaultyVfs& disk, std::size_t n, const Disaster& disaster) {
  if (disaster.is_lasting) {
    disk.fail_from_nth(n, disaster.fault);
  } else {
    disk.fail_nth(n, disaster.fault);
  }
}

class FaultyFile : public testing::Test {
 protected:
  /// Runs `survives(n)` for n = 1, 2, 3 … until it says that no call was left to fail, or something went wrong.
  template <typename Survives>
  static void fail_each(Survives survives) {
    for (std::size_t n = 1; n < kMoreCallsThanAnything; ++n) {
      SCOPED_TRACE("call " + std::to_string(n));
      const bool was_hit = survives(n);
      if (HasFailure()) return;
      if (was_hit) continue;
      EXPECT_GT(n, 1U);
      return;
    }
    ADD_FAILURE() << "there is always another call";
  }

  /// A copy of a file and its log, without the log's index: as after a crash of the machine.
  std::string copy_of(const std::string& path, const std::string& name) {
    std::string copy = folder_ / name;
    for (const std::string suffix : {"", "-wal", "-shm"}) std::filesystem::remove(copy + suffix);
    std::filesystem::copy_file(path, copy);
    if (std::filesystem::exists(path + "-wal")) std::filesystem::copy_file(path + "-wal", copy + "-wal");
    return copy;
  }

  TemporaryFolder folder_;
  FaultyVfs disk_;
};

// ── every call of the store
// ───────────────────────────────────────────────────────────────────────────────────────────

class SqliteFaults : public FaultyFile, public testing::WithParamInterface<UseCase> {
 protected:
  void SetUp() override {
    {
      SqliteStore store(options(original_));
      seed(store);
    }
    before_ = rows_of(original_);
    const std::string undisturbed = copy_of(original_, "undisturbed.db");
    {
      SqliteStore store(options(undisturbed));
      ASSERT_TRUE(GetParam().call(store));
    }
    after_ = rows_of(undisturbed);
  }

  void expect_before_or_after(const std::string& rows, bool is_done, const std::string& whose) const {
    if (is_done) {
      EXPECT_EQ(rows, after_) << whose;
    } else {
      EXPECT_TRUE(rows == before_ || rows == after_) << whose << ":\n" << rows;
    }
  }

  bool survives(std::size_t n, const Disaster& disaster) {
    const std::string path = copy_of(original_, "struck.db");
    SqliteStore store(options(path));
    if (disaster.is_warm) {
      const auth::LastUse use{.id = SessionId("s3"), .at = at(-1)};  // older than what is there: changes nothing
      EXPECT_TRUE(store.find_session(SessionId("s3")));
      EXPECT_TRUE(store.touch(std::span(&use, 1)));
    }
    strike(disk_, n, disaster);
    const bool is_done = GetParam().call(store);
    const bool was_hit = disk_.calls() >= n;
    disk_.fail_nothing();

    expect_before_or_after(rows_of(copy_of(path, "crashed.db")), is_done, "after a crash");
    const std::string rows = rows_of(path);
    expect_before_or_after(rows, is_done, "in the running system");
    const auto read = store.find_user("u2");
    EXPECT_TRUE(read && *read) << "it is back by itself";
    if (rows == before_) {
      EXPECT_TRUE(GetParam().call(store)) << "the next try";
    }
    EXPECT_EQ(rows_of(path), after_) << "the next try";
    return was_hit;
  }

 private:
  const std::string original_ = folder_ / "original.db";
  std::string before_;
  std::string after_;
};

TEST_P(SqliteFaults, EndFailedOrDone) {
  for (const Disaster& disaster : disasters()) {
    SCOPED_TRACE(disaster.name);
    fail_each([&](std::size_t n) { return survives(n, disaster); });
  }
}

INSTANTIATE_TEST_SUITE_P(Of, SqliteFaults, testing::ValuesIn(use_cases()),
                         [](const testing::TestParamInfo<UseCase>& param) { return param.param.name; });

// ── a file's beginning and end
// ────────────────────────────────────────────────────────────────────────────────────────

class SqliteFileFaults : public FaultyFile, public testing::WithParamInterface<Disaster> {};

// The gateway that stops folds the log into the file.
TEST_P(SqliteFileFaults, AtTheEndLoseNothingThatWasWritten) {
  const std::string original = folder_ / "original.db";
  {
    SqliteStore store(options(original));
    seed(store);
  }
  const std::string rows = rows_of(original);
  fail_each([&](std::size_t n) {
    const std::string path = copy_of(original, "struck.db");
    auto store = std::make_unique<SqliteStore>(options(path));
    EXPECT_TRUE(store->delete_user("u2"));
    EXPECT_TRUE(store->create_user(user("u4")));
    const std::string written = rows_of(path);
    EXPECT_NE(written, rows);
    strike(disk_, n, GetParam());
    store.reset();
    const bool was_hit = disk_.calls() >= n;
    disk_.fail_nothing();
    EXPECT_EQ(rows_of(copy_of(path, "crashed.db")), written);
    EXPECT_EQ(rows_of(path), written);
    return was_hit;
  });
}

TEST_P(SqliteFileFaults, AtTheBeginningLeaveAllTablesOrNone) {
  fail_each([&](std::size_t n) {
    const std::string path = folder_ / ("new" + std::to_string(n) + ".db");
    SqliteStore store(options(path));
    strike(disk_, n, GetParam());
    const auto migrated = store.migrate();
    const bool was_hit = disk_.calls() >= n;
    disk_.fail_nothing();
    const std::string tables = RawSqlite(path).run("SELECT count(*) FROM sqlite_schema WHERE type = 'table'");
    EXPECT_TRUE(tables == "5" || (tables == "0" && !migrated)) << tables;
    const auto again = store.migrate();
    EXPECT_TRUE(again && again->is_current());
    EXPECT_TRUE(store.create_user(user("u1")));
    return was_hit;
  });
}

std::vector<Disaster> disasters_of_any_kind() {
  std::vector<Disaster> some = disasters();
  std::erase_if(some, [](const Disaster& one) { return one.name.ends_with("WhileOpening"); });  // is decided above
  return some;
}

INSTANTIATE_TEST_SUITE_P(Of, SqliteFileFaults, testing::ValuesIn(disasters_of_any_kind()),
                         [](const testing::TestParamInfo<Disaster>& param) { return param.param.name; });

}  // namespace
}  // namespace gatehouse::contract
