// What only a file can do to a store: be missing, replaced, damaged, locked, read-only, full, or changed by somebody
// with sqlite3. What every store does is in tests/contract.
#include "store/sqlite/sqlite_store.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "contract/raw_sqlite.hpp"
#include "contract/temporary_folder.hpp"
#include "store/sqlite/connections.hpp"

namespace gatehouse::store {
namespace {

using auth::ErrorCode;
using contract::RawSqlite;

constexpr auto kShortWait = std::chrono::milliseconds(200);

template <typename T>
std::optional<ErrorCode> error_of(const auth::Result<T>& result) {
  return result ? std::nullopt : std::optional(result.error().code);
}

auth::Timestamp at(std::int64_t milliseconds) {
  return auth::Timestamp(auth::Milliseconds(milliseconds));
}

auth::NewUser user(const std::string& id, const std::map<std::string, std::string>& attributes = {}) {
  auth::NewUser made;
  made.user.id = id;
  made.user.username = "name-of-" + id;
  made.user.attributes = attributes;
  return made;
}

auth::UserChange change_of_name(const std::string& name) {
  auth::UserChange change;
  change.name = name;
  return change;
}

auth::UserChange change_of(const std::map<std::string, std::string>& attributes) {
  auth::UserChange change = change_of_name("changed");
  change.attributes = attributes;
  return change;
}

auth::SessionRow session(const std::string& id) {
  return {.id = auth::SessionId(id),
          .user_id = "u1",
          .active_expires = at(2),
          .idle_expires = at(3),
          .created_at = at(1),
          .family = "family-of-" + id,
          .parent = std::nullopt,
          .last_used_at = at(1),
          .address = "",
          .device = ""};
}

mode_t mode_of(const std::string& path) {
  struct stat file{};
  return ::stat(path.c_str(), &file) == 0 ? file.st_mode & 07777 : 0;
}

off_t size_of(const std::string& path) {
  struct stat file{};
  return ::stat(path.c_str(), &file) == 0 ? file.st_size : -1;
}

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Root may read and write anything: permissions are only tested as somebody else.
class AsSomebodyElse {
 public:
  AsSomebodyElse() : was_(::geteuid()) {
    if (was_ == 0 && ::seteuid(65534) != 0) throw std::runtime_error("seteuid");
  }
  ~AsSomebodyElse() {
    if (::seteuid(was_) != 0) std::abort();
  }
  AsSomebodyElse(const AsSomebodyElse&) = delete;
  AsSomebodyElse& operator=(const AsSomebodyElse&) = delete;

 private:
  uid_t was_;
};

class WithUmask {
 public:
  explicit WithUmask(mode_t mask) : was_(::umask(mask)) {}
  ~WithUmask() { ::umask(was_); }
  WithUmask(const WithUmask&) = delete;
  WithUmask& operator=(const WithUmask&) = delete;

 private:
  mode_t was_;
};

/// No file may grow beyond `size`: what a full disk looks like to a process.
class SizeLimit {
 public:
  explicit SizeLimit(rlim_t size) {
    ::getrlimit(RLIMIT_FSIZE, &was_);
    const rlimit limit{size, was_.rlim_max};
    previous_ = std::signal(SIGXFSZ, SIG_IGN);
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~SizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &was_);
    if (std::signal(SIGXFSZ, previous_) == SIG_ERR) std::abort();
  }
  SizeLimit(const SizeLimit&) = delete;
  SizeLimit& operator=(const SizeLimit&) = delete;

 private:
  rlimit was_{};
  void (*previous_)(int) = nullptr;
};

class SqliteStoreTest : public testing::Test {
 protected:
  [[nodiscard]] SqliteOptions options() const {
    return {.path = path_, .tables = {}, .busy_timeout = kShortWait, .max_readers = 2};
  }

  /// A migrated file with the user u1 and the session s1.
  void fill(const std::string& path) const {
    SqliteOptions there = options();
    there.path = path;
    there.busy_timeout = std::chrono::seconds(20);  // nothing is to fail here, however slow the disk is
    SqliteStore store(there);
    ASSERT_TRUE(store.migrate());
    ASSERT_TRUE(store.create_user(user("u1")));
    ASSERT_TRUE(store.create_session(session("s1"), 0));
  }
  void fill() const { fill(path_); }

  static std::optional<bool> is_live(SqliteStore& store, const std::string& id = "s1") {
    const auto found = store.find_session(auth::SessionId(id));
    return found ? std::optional(found->has_value()) : std::nullopt;
  }
  static auth::User stored_user(SqliteStore& store) {
    return store.find_user("u1").value_or(std::nullopt).value_or(auth::User{});
  }
  static auth::User user_of_session(SqliteStore& store) {
    const auto found = store.find_session(auth::SessionId("s1")).value_or(std::nullopt);
    return found ? found->user : auth::User{};
  }
  static std::optional<ErrorCode> read_error(SqliteStore& store) {
    return error_of(store.find_session(auth::SessionId("s1")));
  }
  static std::optional<ErrorCode> write_error(SqliteStore& store) {
    return error_of(store.delete_session(auth::SessionId("none")));
  }
  static void expect_sound(SqliteStore& store) {
    EXPECT_EQ(is_live(store), true);
    EXPECT_EQ(write_error(store), std::nullopt);
  }

  /// A file with the session s2 in the place of s1. Gives its path.
  [[nodiscard]] std::string other_file() const {
    const std::string other = folder_ / "other.db";
    fill(other);
    RawSqlite(other).run("UPDATE user_session SET id = 's2'");
    return other;
  }
  /// The sessions in a file; and the file is sound.
  static std::string sessions_in(const std::string& path) {
    EXPECT_EQ(RawSqlite(path).run("PRAGMA integrity_check"), "ok");
    return RawSqlite(path).run("SELECT group_concat(id) FROM (SELECT id FROM user_session ORDER BY id)");
  }
  /// Another process uses the file and ends without a word.
  void crash_after(const std::function<bool(SqliteStore&)>& use) const {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto* store = new SqliteStore(options());  // NOLINT(*-owning-memory): is never ended
      ::_exit(use(*store) ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }

  contract::TemporaryFolder folder_;
  const std::string path_ = folder_ / "gatehouse.db";
};

// ── the file
// ──────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST_F(SqliteStoreTest, AMissingFileIsUnavailableAndIsNotMade) {
  SqliteStore store(options());
  EXPECT_EQ(read_error(store), ErrorCode::store_unavailable);
  EXPECT_EQ(write_error(store), ErrorCode::store_unavailable);
  EXPECT_EQ(error_of(store.schema_status()), ErrorCode::store_unavailable);
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(SqliteStoreTest, MigrateMakesTheFileForItsOwnerOnlyWhateverTheUmask) {
  for (const mode_t mask : {mode_t{0000}, mode_t{0777}}) {
    const WithUmask masked(mask);
    SqliteOptions there = options();
    there.path = folder_ / ("masked-" + std::to_string(mask));
    SqliteStore store(there);
    ASSERT_TRUE(store.migrate());
    EXPECT_EQ(mode_of(there.path), 0600U);
    EXPECT_EQ(mode_of(there.path + "-wal"), 0600U);
    EXPECT_EQ(mode_of(there.path + "-shm"), 0600U);
  }
}

TEST_F(SqliteStoreTest, MigrateLeavesTheModeOfAFileThatIsThere) {
  std::ofstream(path_).close();
  ASSERT_EQ(::chmod(path_.c_str(), 0640), 0);
  SqliteStore store(options());
  ASSERT_TRUE(store.migrate());
  EXPECT_EQ(mode_of(path_), 0640U);
}

TEST_F(SqliteStoreTest, MigrateMakesNoFolder) {
  SqliteOptions there = options();
  there.path = folder_ / "none/gatehouse.db";
  SqliteStore store(there);
  EXPECT_EQ(error_of(store.migrate()), ErrorCode::store_unavailable);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "none"));
}

TEST_F(SqliteStoreTest, PathsThatMeanSomethingInAUriArePaths) {
  for (const std::string name : {"a?mode=memory", "a#b", "a%20b", "a b", ":memory:", "file:x", "é"}) {
    SqliteOptions there = options();
    there.path = folder_ / name;
    SqliteStore store(there);
    ASSERT_TRUE(store.migrate()) << name;
    EXPECT_GT(size_of(there.path), 0) << name;
  }
}

TEST_F(SqliteStoreTest, AFolderOrAPipeIsUnavailableAtOnce) {
  SqliteOptions there = options();
  there.path = folder_.path();
  SqliteStore folder(there);
  EXPECT_EQ(read_error(folder), ErrorCode::store_unavailable);
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  SqliteStore pipe(options());
  EXPECT_EQ(read_error(pipe), ErrorCode::store_unavailable);
  EXPECT_EQ(write_error(pipe), ErrorCode::store_unavailable);
}

TEST_F(SqliteStoreTest, WhatIsNoDatabaseIsUnavailable) {
  std::ofstream(path_) << std::string(8192, 'x');
  SqliteStore store(options());
  EXPECT_EQ(read_error(store), ErrorCode::store_unavailable);
  EXPECT_EQ(write_error(store), ErrorCode::store_unavailable);
  EXPECT_EQ(error_of(store.migrate()), ErrorCode::store_unavailable);
  EXPECT_EQ(size_of(path_), 8192);
}

TEST_F(SqliteStoreTest, ADamagedFileIsUnavailable) {
  fill();
  std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(4096);
  file << std::string(static_cast<std::size_t>(size_of(path_)) - 4096, '\xa5');
  file.close();
  SqliteStore store(options());
  EXPECT_EQ(read_error(store), ErrorCode::store_unavailable);
  EXPECT_EQ(write_error(store), ErrorCode::store_unavailable);
}

TEST_F(SqliteStoreTest, AFileThatWasRemovedIsMissedAndWelcomedBack) {
  fill();
  SqliteStore store(options());
  expect_sound(store);
  std::filesystem::create_directory(folder_ / "away");
  for (const std::string suffix : {"", "-wal", "-shm"}) {
    std::filesystem::rename(path_ + suffix, folder_ / ("away/gatehouse.db" + suffix));
  }
  EXPECT_EQ(read_error(store), ErrorCode::store_unavailable);
  EXPECT_EQ(write_error(store), ErrorCode::store_unavailable);
  EXPECT_FALSE(std::filesystem::exists(path_));
  for (const std::string suffix : {"", "-wal", "-shm"}) {
    std::filesystem::rename(folder_ / ("away/gatehouse.db" + suffix), path_ + suffix);
  }
  expect_sound(store);
}

TEST_F(SqliteStoreTest, AFileThatWasReplacedIsReadAnew) {
  fill();
  SqliteStore store(options());
  expect_sound(store);
  const std::string other = folder_ / "other.db";
  fill(other);
  RawSqlite(other).run("UPDATE user_session SET id = 's2'");
  for (const std::string suffix : {"-wal", "-shm"}) std::filesystem::remove(path_ + suffix);
  std::filesystem::rename(other, path_);
  EXPECT_EQ(is_live(store, "s1"), false);
  EXPECT_EQ(is_live(store, "s2"), true);
  ASSERT_TRUE(store.create_session(session("s3"), 0));
  EXPECT_EQ(RawSqlite(path_).run("SELECT group_concat(id) FROM user_session"), "s2,s3");
  EXPECT_EQ(RawSqlite(path_).run("PRAGMA integrity_check"), "ok");
}

// SQLite finds a log by its name, and a log says nothing of the file that it belongs to: the old rows would go on, and
// the new file would be overwritten with them.
TEST_F(SqliteStoreTest, AFileThatWasReplacedBesideItsLogIsNotMixedWithIt) {
  fill();
  const std::string other = folder_ / "other.db";
  fill(other);
  RawSqlite(other).run("UPDATE user_session SET id = 's2'");
  SqliteStore store(options());
  ASSERT_TRUE(store.create_session(session("in-the-log"), 0));
  ASSERT_GT(size_of(path_ + "-wal"), 0);
  std::filesystem::rename(path_, folder_ / "kept.db");
  std::filesystem::rename(other, path_);
  EXPECT_EQ(is_live(store, "s1"), false);
  EXPECT_EQ(is_live(store, "in-the-log"), false);
  EXPECT_EQ(is_live(store, "s2"), true);
  ASSERT_TRUE(store.create_session(session("s3"), 0));
  EXPECT_EQ(RawSqlite(path_).run("SELECT group_concat(id) FROM user_session"), "s2,s3");
  EXPECT_EQ(RawSqlite(path_).run("PRAGMA integrity_check"), "ok");
  EXPECT_EQ(RawSqlite(folder_ / "kept.db").run("SELECT group_concat(id) FROM user_session"), "in-the-log,s1")
      << "the file that was moved away is whole without its log";
}

TEST_F(SqliteStoreTest, TwoStoresOnAFileThatWasReplacedBothGoOnWithTheNewOne) {
  fill();
  const std::string other = folder_ / "other.db";
  fill(other);
  SqliteStore one(options());
  SqliteStore two(options());
  ASSERT_TRUE(one.create_session(session("old-one"), 0));
  ASSERT_TRUE(two.create_session(session("old-two"), 0));
  std::filesystem::rename(other, path_);
  ASSERT_TRUE(one.create_session(session("new-one"), 0));
  ASSERT_TRUE(two.create_session(session("new-two"), 0)) << "it must not take the log of the new file for the old one";
  for (SqliteStore* store : {&one, &two}) {
    EXPECT_EQ(is_live(*store, "new-one"), true);
    EXPECT_EQ(is_live(*store, "new-two"), true);
    EXPECT_EQ(is_live(*store, "old-one"), false);
  }
}

TEST_F(SqliteStoreTest, AnEmptyFileInThePlaceOfOursCostsNothing) {
  fill();
  SqliteStore store(options());
  ASSERT_TRUE(store.create_session(session("in-the-log"), 0));
  std::filesystem::rename(path_, folder_ / "kept.db");
  std::ofstream(path_).close();
  // SQLite removes a log beside an empty file, and with it what was only in there.
  EXPECT_EQ(read_error(store), ErrorCode::store_not_migrated);
  std::filesystem::rename(folder_ / "kept.db", path_);
  EXPECT_EQ(is_live(store, "in-the-log"), true);
  expect_sound(store);
}

TEST_F(SqliteStoreTest, ALogThatIsRemovedUnderOurFeetCostsNothingAndIsMadeAnew) {
  fill();
  SqliteStore store(options());
  ASSERT_TRUE(store.create_session(session("in-the-log"), 0));
  for (const std::string suffix : {"-wal", "-shm"}) std::filesystem::remove(path_ + suffix);
  EXPECT_EQ(is_live(store, "in-the-log"), true);
  ASSERT_TRUE(store.create_session(session("later"), 0));
  EXPECT_EQ(RawSqlite(path_).run("SELECT group_concat(id) FROM user_session"), "in-the-log,later,s1")
      << "other programs see what we wrote";
  RawSqlite(path_).run("DELETE FROM user_session WHERE id = 'later'");
  EXPECT_EQ(is_live(store, "later"), false) << "and we see what they do";
}

// The index holds the locks: with two of them, two writers would be let in at once.
TEST_F(SqliteStoreTest, AnIndexThatIsRemovedUnderOurFeetIsMadeAnewAndTheLocksCountAgain) {
  fill();
  SqliteStore store(options());
  ASSERT_TRUE(store.create_session(session("in-the-log"), 0));
  std::filesystem::remove(path_ + "-shm");
  EXPECT_EQ(is_live(store, "in-the-log"), true);
  RawSqlite other(path_);
  other.run("BEGIN IMMEDIATE");
  EXPECT_EQ(write_error(store), ErrorCode::store_read_only);
  other.run("ROLLBACK");
  expect_sound(store);
}

TEST_F(SqliteStoreTest, TheLogOfADamagedFileIsPutAsideWhenTheFileIsReplaced) {
  fill();
  const std::string other = folder_ / "other.db";
  fill(other);
  RawSqlite(other).run("UPDATE user_session SET id = 's2'");
  SqliteStore store(options());
  ASSERT_TRUE(store.create_session(session("in-the-log"), 0));
  RawSqlite(path_).run("DROP TABLE user_key");
  EXPECT_EQ(read_error(store), ErrorCode::store_not_migrated);
  EXPECT_EQ(write_error(store), ErrorCode::store_not_migrated);  // no connection is left that could fold the log
  std::filesystem::rename(other, path_);
  EXPECT_EQ(is_live(store, "s2"), true);
  EXPECT_EQ(write_error(store), std::nullopt);
  EXPECT_GT(size_of(path_ + "-wal.replaced"), 0);
  EXPECT_EQ(RawSqlite(path_).run("PRAGMA integrity_check"), "ok");
}

TEST_F(SqliteStoreTest, EveryLogThatIsPutAsideIsKept) {
  fill();
  SqliteStore store(options());
  for (const std::string name : {"one.db", "two.db"}) {
    const std::string other = folder_ / name;
    fill(other);
    ASSERT_TRUE(store.update_user("u1", change_of_name("in the log")));
    RawSqlite(path_).run("DROP TABLE user_key");
    EXPECT_EQ(read_error(store), ErrorCode::store_not_migrated);
    EXPECT_EQ(write_error(store), ErrorCode::store_not_migrated);
    std::filesystem::rename(other, path_);
    expect_sound(store);
  }
  EXPECT_GT(size_of(path_ + "-wal.replaced"), 0);
  EXPECT_GT(size_of(path_ + "-wal.replaced.2"), 0);
}

TEST_F(SqliteStoreTest, ALogForWhichTheOldFileHasNoRoomIsKeptUntilThereIsSome) {
  fill();
  const std::string other = folder_ / "other.db";
  fill(other);
  SqliteStore store(options());
  ASSERT_TRUE(store.create_session(session("in-the-log"), 0));
  const off_t log = size_of(path_ + "-wal");
  std::filesystem::rename(path_, folder_ / "kept.db");
  std::filesystem::rename(other, path_);
  {
    const SizeLimit full(8192);
    EXPECT_EQ(read_error(store), ErrorCode::store_unavailable);
    EXPECT_EQ(write_error(store), ErrorCode::store_unavailable);
  }
  EXPECT_EQ(size_of(path_ + "-wal"), log);
  expect_sound(store);
  EXPECT_EQ(sessions_in(folder_ / "kept.db"), "in-the-log,s1");
  EXPECT_FALSE(std::filesystem::exists(path_ + "-wal.replaced"));
}

TEST_F(SqliteStoreTest, TheEndAfterAReplacementLeavesTheNewFileAloneAndTheOldOneWhole) {
  fill();
  const std::string other = other_file();
  {
    SqliteStore store(options());
    ASSERT_TRUE(store.create_session(session("in-the-log"), 0));
    std::filesystem::rename(path_, folder_ / "kept.db");
    std::filesystem::rename(other, path_);
  }
  EXPECT_FALSE(std::filesystem::exists(path_ + "-wal"));
  EXPECT_EQ(sessions_in(path_), "s2");
  EXPECT_EQ(sessions_in(folder_ / "kept.db"), "in-the-log,s1");
}

TEST_F(SqliteStoreTest, TheEndAfterTheLogWasRemovedLosesNothing) {
  fill();
  {
    SqliteStore store(options());
    ASSERT_TRUE(store.create_session(session("in-the-log"), 0));
    for (const std::string suffix : {"-wal", "-shm"}) std::filesystem::remove(path_ + suffix);
  }
  EXPECT_EQ(sessions_in(path_), "in-the-log,s1");
}

// The CLI, the CGI door and a second gateway have not seen that the file was another one.
TEST_F(SqliteStoreTest, WhoComesAfterAReplacementWaitsUntilTheOldLogIsGone) {
  for (const bool is_empty : {false, true}) {
    SCOPED_TRACE(is_empty ? "an empty log" : "a log with rows");
    std::filesystem::remove(path_);
    fill();
    const std::string other = other_file();
    SqliteStore running(options());
    ASSERT_TRUE(running.create_session(session("in-the-log"), 0));
    if (is_empty) RawSqlite(path_).run("PRAGMA wal_checkpoint(TRUNCATE)");
    const off_t log = size_of(path_ + "-wal");
    EXPECT_EQ(log == 0, is_empty);
    std::filesystem::rename(other, path_);
    const std::string before = content_of(path_);
    SqliteStore fresh(options());
    const auto refused = fresh.find_session(auth::SessionId("s2"));
    ASSERT_EQ(error_of(refused), ErrorCode::store_unavailable);
    EXPECT_THAT(refused.error().detail, testing::HasSubstr("belongs to another file"));
    EXPECT_EQ(write_error(fresh), ErrorCode::store_unavailable);
    EXPECT_EQ(content_of(path_), before);
    EXPECT_EQ(size_of(path_ + "-wal"), log);

    EXPECT_EQ(is_live(running, "s2"), true);
    ASSERT_TRUE(fresh.create_session(session("s3"), 0));
    EXPECT_EQ(is_live(running, "s3"), true);
    EXPECT_EQ(sessions_in(path_), "s2,s3");
  }
}

TEST_F(SqliteStoreTest, TheLogThatACrashLeftBehindIsReadBesideItsOwnFileOnly) {
  fill();
  const std::string other = other_file();
  crash_after([](SqliteStore& store) { return store.create_session(session("in-the-log"), 0).has_value(); });
  ASSERT_GT(size_of(path_ + "-wal"), 0);
  std::filesystem::rename(path_, folder_ / "kept.db");
  std::filesystem::rename(other, path_);
  {
    SqliteStore store(options());
    EXPECT_EQ(read_error(store), ErrorCode::store_unavailable);
    EXPECT_EQ(write_error(store), ErrorCode::store_unavailable);
    std::filesystem::rename(path_ + "-wal", folder_ / "kept.db-wal");
    EXPECT_EQ(is_live(store, "s2"), true);
    EXPECT_EQ(write_error(store), std::nullopt);
  }
  EXPECT_EQ(sessions_in(path_), "s2");
  EXPECT_EQ(sessions_in(folder_ / "kept.db"), "in-the-log,s1");
}

TEST_F(SqliteStoreTest, AnEmptyLogThatACrashLeftBehindIsInNobodysWay) {
  fill();
  const std::string other = other_file();
  crash_after([](SqliteStore& store) { return is_live(store) == true; });
  ASSERT_EQ(size_of(path_ + "-wal"), 0);
  std::filesystem::rename(other, path_);
  SqliteStore store(options());
  EXPECT_EQ(is_live(store, "s2"), true);
  EXPECT_EQ(write_error(store), std::nullopt);
}

TEST_F(SqliteStoreTest, AFolderThatIsCopiedWithItsLogIsReadWithItsLog) {
  fill();
  SqliteStore store(options());
  ASSERT_TRUE(store.create_session(session("in-the-log"), 0));
  std::filesystem::create_directory(folder_ / "copy");
  for (const std::string suffix : {"", "-wal", ".lock"}) {
    ASSERT_TRUE(std::filesystem::copy_file(path_ + suffix, folder_ / ("copy/gatehouse.db" + suffix)));
  }
  SqliteOptions there = options();
  there.path = folder_ / "copy/gatehouse.db";
  SqliteStore copy(there);
  EXPECT_EQ(is_live(copy, "in-the-log"), true);
  EXPECT_EQ(write_error(copy), std::nullopt);
}

// The number of a log that is gone may be given to the next one, which a program of others makes.
TEST_F(SqliteStoreTest, AStoppedStoreClaimsNoLog) {
  fill();
  EXPECT_EQ(size_of(path_ + ".lock"), 0);
  {
    SqliteStore store(options());
    expect_sound(store);
    EXPECT_GT(size_of(path_ + ".lock"), 0);
  }
  EXPECT_EQ(size_of(path_ + ".lock"), 0);
}

// Whoever owns the folder could have root write into, or give away, any file.
TEST_F(SqliteStoreTest, WhatIsNoLockFileIsLeftAloneAndInNobodysWay) {
  fill();
  const std::string precious = folder_ / "precious";
  std::ofstream(precious) << "precious";
  const std::vector<std::function<void()>> kinds = {
      [&] { std::filesystem::create_hard_link(precious, path_ + ".lock"); },
      [&] { std::filesystem::create_symlink(precious, path_ + ".lock"); },
      [&] { ASSERT_EQ(::mkfifo((path_ + ".lock").c_str(), 0600), 0); },
      [&] { std::filesystem::create_directory(path_ + ".lock"); },
  };
  for (const auto& put : kinds) {
    std::filesystem::remove(path_ + ".lock");
    put();
    SqliteStore store(options());
    expect_sound(store);
    EXPECT_EQ(content_of(precious), "precious");
  }
}

TEST_F(SqliteStoreTest, ALinkIsReplacedWhenItsFileIsOrWhenItLeadsElsewhere) {
  std::filesystem::create_directory(folder_ / "real");
  const std::string file = folder_ / "real/file.db";
  fill(file);
  const std::string second = other_file();
  std::filesystem::create_symlink("real/file.db", path_);
  const auto link_to = [&](const std::string& target) {
    std::filesystem::create_symlink(target, folder_ / "new-link");
    std::filesystem::rename(folder_ / "new-link", path_);
  };
  {
    SqliteStore store(options());
    ASSERT_TRUE(store.create_session(session("in-the-log"), 0));
    ASSERT_GT(size_of(file + "-wal"), 0);
    std::filesystem::rename(file, folder_ / "kept.db");
    std::filesystem::rename(second, file);
    SqliteStore fresh(options());
    EXPECT_EQ(read_error(fresh), ErrorCode::store_unavailable);
    EXPECT_EQ(is_live(store, "s1"), false);
    EXPECT_EQ(is_live(store, "s2"), true);
    ASSERT_TRUE(store.create_session(session("s3"), 0));
    EXPECT_EQ(is_live(fresh, "s3"), true);

    link_to(folder_ / "kept.db");
    EXPECT_EQ(is_live(store, "in-the-log"), true);
    ASSERT_TRUE(store.create_session(session("s4"), 0));
    EXPECT_EQ(sessions_in(file), "s2,s3") << "the log of the file that stayed where it was stays beside it";
    link_to(file);
    EXPECT_EQ(is_live(store, "s3"), true);
    EXPECT_EQ(is_live(store, "s4"), false);
  }
  EXPECT_EQ(sessions_in(file), "s2,s3");
  EXPECT_EQ(sessions_in(folder_ / "kept.db"), "in-the-log,s1,s4");
  EXPECT_FALSE(std::filesystem::exists(path_ + ".lock"));
}

TEST_F(SqliteStoreTest, AFileThatWasReplacedByRubbishIsUnavailableUntilItIsBack) {
  fill();
  SqliteStore store(options());
  expect_sound(store);
  std::filesystem::rename(path_, folder_ / "kept.db");
  std::ofstream(path_) << std::string(8192, 'x');
  EXPECT_EQ(read_error(store), ErrorCode::store_unavailable);
  EXPECT_EQ(write_error(store), ErrorCode::store_unavailable);
  std::filesystem::rename(folder_ / "kept.db", path_);
  expect_sound(store);
}

TEST_F(SqliteStoreTest, AStoppedStoreLeavesOneFile) {
  fill();
  EXPECT_FALSE(std::filesystem::exists(path_ + "-wal"));
  SqliteStore store(options());
  expect_sound(store);
}

// ── the tables
// ────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST_F(SqliteStoreTest, AnEmptyFileIsNotMigrated) {
  std::ofstream(path_).close();
  SqliteStore store(options());
  EXPECT_EQ(read_error(store), ErrorCode::store_not_migrated);
  EXPECT_EQ(write_error(store), ErrorCode::store_not_migrated);
  const auto status = store.schema_status();
  ASSERT_TRUE(status);
  EXPECT_EQ(status->version, 0);
  EXPECT_FALSE(status->is_current());
  EXPECT_EQ(size_of(path_), 0);
  ASSERT_TRUE(store.migrate());
  EXPECT_EQ(is_live(store), false);
}

TEST_F(SqliteStoreTest, TablesOfANewerVersionAreNotTouched) {
  fill();
  RawSqlite(path_).run("INSERT INTO gatehouse_schema VALUES (99, 0)");
  SqliteStore store(options());
  EXPECT_EQ(read_error(store), ErrorCode::store_not_migrated);
  EXPECT_EQ(write_error(store), ErrorCode::store_not_migrated);
  EXPECT_EQ(error_of(store.migrate()), ErrorCode::store_not_migrated);
  EXPECT_EQ(store.schema_status()->version, 99);
}

TEST_F(SqliteStoreTest, AMigrationByANewerProgramIsNoticedByOpenConnections) {
  fill();
  SqliteStore store(options());
  expect_sound(store);
  RawSqlite(path_).run("ALTER TABLE user_session ADD COLUMN x TEXT; INSERT INTO gatehouse_schema VALUES (3, 0)");
  EXPECT_EQ(read_error(store), ErrorCode::store_not_migrated);
  EXPECT_EQ(error_of(store.delete_session(auth::SessionId("s1"))), ErrorCode::store_not_migrated);
  RawSqlite(path_).run("ALTER TABLE user_session DROP COLUMN x; DELETE FROM gatehouse_schema WHERE version = 3");
  expect_sound(store);
}

TEST_F(SqliteStoreTest, AMigrationIsNoticedByAWriteThatComesFirst) {
  fill();
  SqliteStore store(options());
  expect_sound(store);
  expect_sound(store);  // from now on every statement is prepared
  RawSqlite(path_).run("ALTER TABLE user_session ADD COLUMN x TEXT; INSERT INTO gatehouse_schema VALUES (3, 0)");
  EXPECT_EQ(error_of(store.delete_session(auth::SessionId("s1"))), ErrorCode::store_not_migrated);
  EXPECT_EQ(RawSqlite(path_).run("SELECT count(*) FROM user_session"), "1");
}

TEST_F(SqliteStoreTest, AMissingTableIsNotMigratedAndNotAbsent) {
  fill();
  SqliteStore store(options());
  expect_sound(store);
  RawSqlite(path_).run("DROP TABLE rotated_session");
  EXPECT_EQ(error_of(store.find_rotated(auth::SessionId("s1"))), ErrorCode::store_not_migrated);
  EXPECT_EQ(write_error(store), ErrorCode::store_not_migrated);
  EXPECT_EQ(store.schema_status()->version, 0);
}

TEST_F(SqliteStoreTest, AMissingColumnIsNotMigrated) {
  fill();
  SqliteStore store(options());
  RawSqlite(path_).run("ALTER TABLE user_session DROP COLUMN device");
  EXPECT_EQ(read_error(store), ErrorCode::store_not_migrated);
  EXPECT_EQ(error_of(store.create_session(session("s2"), 0)), ErrorCode::store_not_migrated);
}

TEST_F(SqliteStoreTest, TablesOfAnotherProgramStopAMigrationThatLeavesNothingBehind) {
  RawSqlite(path_).run("CREATE TABLE user_session (id TEXT PRIMARY KEY, user_id TEXT, country TEXT)");
  SqliteStore store(options());
  EXPECT_EQ(error_of(store.migrate()), ErrorCode::store_not_migrated);
  EXPECT_EQ(RawSqlite(path_).run("SELECT group_concat(name) FROM sqlite_schema WHERE type = 'table'"), "user_session");
}

TEST_F(SqliteStoreTest, ParallelMigrationsMakeOneSetOfTables) {
  SqliteOptions patient = options();
  patient.busy_timeout = std::chrono::minutes(1);
  {
    std::vector<std::jthread> threads;
    threads.reserve(8);
    for (int i = 0; i < 6; ++i) {
      threads.emplace_back([&] {
        const auto status = SqliteStore(patient).migrate();
        ASSERT_TRUE(status) << status.error().detail;
        EXPECT_TRUE(status->is_current());
      });
    }
  }
  EXPECT_EQ(RawSqlite(path_).run("SELECT count(*) FROM gatehouse_schema"), "2");
}

TEST_F(SqliteStoreTest, TablesAreStrictAndIndexed) {
  fill();
  RawSqlite file(path_);
  EXPECT_EQ(file.run("SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND strict"), "5");
  for (const std::string index : {"user_session_user_id", "user_session_family", "user_session_idle_expires",
                                  "rotated_session_family", "rotated_session_idle_expires", "user_key_user_id"}) {
    EXPECT_EQ(file.run("SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND name = '" + index + "'"), "1");
  }
  EXPECT_EQ(file.run("PRAGMA journal_mode"), "wal");
}

TEST_F(SqliteStoreTest, NamesOfTablesThatCannotBeUsedFailEveryCall) {
  SqliteOptions odd = options();
  odd.tables.user = "user\" (id); --";
  SqliteStore store(odd);
  EXPECT_EQ(error_of(store.migrate()), ErrorCode::internal);
  EXPECT_EQ(error_of(store.schema_status()), ErrorCode::internal);
  EXPECT_EQ(read_error(store), ErrorCode::internal);
  EXPECT_EQ(write_error(store), ErrorCode::internal);
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

// ── what an administrator does with sqlite3
// ───────────────────────────────────────────────────────────────────────────

TEST_F(SqliteStoreTest, AColumnThatIsAddedShowsUpWithoutARestart) {
  fill();
  SqliteStore store(options());
  EXPECT_TRUE(stored_user(store).attributes.empty());
  expect_sound(store);
  RawSqlite(path_).run(
      "ALTER TABLE user ADD COLUMN age INTEGER; ALTER TABLE user ADD COLUMN score REAL;"
      "ALTER TABLE user ADD COLUMN city TEXT; ALTER TABLE user ADD COLUMN rank TEXT NOT NULL DEFAULT 'none';"
      "UPDATE user SET age = 42, score = 1.5");
  const std::map<std::string, std::string> expected{{"age", "42"}, {"score", "1.5"}, {"city", ""}, {"rank", "none"}};
  EXPECT_EQ(stored_user(store).attributes, expected);
  EXPECT_EQ(user_of_session(store).attributes, expected);
  EXPECT_EQ(store.all_users()->at(0).attributes, expected);
  EXPECT_TRUE(store.update_user("u1", change_of({{"age", "43"}, {"city", "Basel"}})));
  EXPECT_EQ(stored_user(store).attributes.at("age"), "43");
  RawSqlite(path_).run("ALTER TABLE user DROP COLUMN city");
  EXPECT_FALSE(stored_user(store).attributes.contains("city"));
  EXPECT_EQ(error_of(store.update_user("u1", change_of({{"city", "x"}}))), ErrorCode::invalid_attribute);
}

TEST_F(SqliteStoreTest, AValueThatAColumnRefusesIsAnInvalidAttribute) {
  fill();
  RawSqlite(path_).run(
      "ALTER TABLE user ADD COLUMN age INTEGER; ALTER TABLE user ADD COLUMN code TEXT CHECK (length(code) = 3);"
      "ALTER TABLE user ADD COLUMN twice INTEGER GENERATED ALWAYS AS (age * 2); CREATE UNIQUE INDEX one_code ON user "
      "(code)");
  SqliteStore store(options());
  using Attribute = std::pair<const std::string, std::string>;
  for (const Attribute& refused : {Attribute("age", "old"), Attribute("code", "four"), Attribute("twice", "4")}) {
    EXPECT_EQ(error_of(store.update_user("u1", change_of({refused}))), ErrorCode::invalid_attribute) << refused.first;
  }
  EXPECT_EQ(stored_user(store).name, "");
  ASSERT_TRUE(store.update_user("u1", change_of({{"code", "abc"}})));
  EXPECT_EQ(error_of(store.create_user(user("u2", {{"code", "abc"}}))), ErrorCode::duplicate_user);
}

TEST_F(SqliteStoreTest, AColumnWithAnOddNameCanBeWritten) {
  fill();
  RawSqlite(path_).run(R"(ALTER TABLE user ADD COLUMN "a "" b" TEXT)");
  SqliteStore store(options());
  ASSERT_TRUE(store.update_user("u1", change_of({{"a \" b", "x"}})));
  EXPECT_EQ(stored_user(store).attributes.at("a \" b"), "x");
}

TEST_F(SqliteStoreTest, ASessionWhoseUserIsMissingIsAbsent) {
  fill();
  RawSqlite(path_).run("DELETE FROM user");  // sqlite3 does not enforce foreign keys by default
  SqliteStore store(options());
  EXPECT_EQ(is_live(store), false);
  EXPECT_EQ(store.all_sessions()->size(), 1U);
}

// ── locks
// ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST_F(SqliteStoreTest, ALockOfAnotherWriterStopsWritesNotReads) {
  fill();
  SqliteStore store(options());
  RawSqlite other(path_);
  for (const std::string begin : {"BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"}) {
    other.run(begin);
    EXPECT_EQ(is_live(store), true);
    EXPECT_EQ(write_error(store), ErrorCode::store_read_only);
    EXPECT_EQ(write_error(store), ErrorCode::store_read_only);
    other.run("ROLLBACK");
    expect_sound(store);
  }
}

TEST_F(SqliteStoreTest, WritersThatQueueBehindALockAllGiveUpInTime) {
  fill();
  SqliteStore store(options());
  RawSqlite other(path_);
  other.run("BEGIN IMMEDIATE");
  {
    std::vector<std::jthread> threads;
    threads.reserve(8);
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] { EXPECT_EQ(write_error(store), ErrorCode::store_read_only); });
    }
  }
  other.run("ROLLBACK");
  expect_sound(store);
}

TEST_F(SqliteStoreTest, AnExclusiveLockStopsReadsUntilItIsGone) {
  fill();
  SqliteStore store(options());
  {
    RawSqlite other(path_);
    other.run("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT");
    EXPECT_EQ(read_error(store), ErrorCode::store_unavailable);
    EXPECT_NE(write_error(store), std::nullopt);
  }
  expect_sound(store);
}

TEST_F(SqliteStoreTest, MoreReadersThanConnectionsTakeTurns) {
  fill();
  SqliteOptions patient = options();
  patient.busy_timeout = std::chrono::minutes(1);
  patient.max_readers = 0;  // taken as 1
  SqliteStore store(patient);
  std::vector<std::jthread> threads;
  threads.reserve(8);
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) EXPECT_EQ(is_live(store), true);
    });
  }
}

// ── permissions and space
// ─────────────────────────────────────────────────────────────────────────────────────────────

class SqliteStoreAsSomebodyElse : public SqliteStoreTest {
 protected:
  ~SqliteStoreAsSomebodyElse() override { ::chmod(folder_.path().c_str(), 0700); }

  void allow(mode_t folder, mode_t file) {
    for (const std::string suffix : {"", "-wal", "-shm"}) ::chmod((path_ + suffix).c_str(), file);
    ASSERT_EQ(::chmod(folder_.path().c_str(), folder), 0);
  }
  /// Copies of a file and its log as a crash leaves them: with rows that only the log has.
  void leave_a_log() {
    const std::string original = folder_ / "original.db";
    fill(original);
    SqliteOptions there = options();
    there.path = original;
    SqliteStore store(there);
    ASSERT_TRUE(store.create_session(session("in-the-log"), 0));
    for (const std::string suffix : {"", "-wal", "-shm"}) {
      std::filesystem::copy_file(original + suffix, path_ + suffix);
    }
    ASSERT_GT(size_of(path_ + "-wal"), 0);
  }
};

TEST_F(SqliteStoreAsSomebodyElse, AReadOnlyFileInAReadOnlyFolderCanBeRead) {
  fill();
  allow(0555, 0444);
  const AsSomebodyElse somebody;
  SqliteStore store(options());
  EXPECT_EQ(is_live(store), true);
  EXPECT_EQ(is_live(store, "s2"), false);
  EXPECT_EQ(write_error(store), ErrorCode::store_read_only);
  EXPECT_TRUE(store.schema_status()->is_current());
  EXPECT_TRUE(store.migrate()) << "nothing is to be done";
}

TEST_F(SqliteStoreAsSomebodyElse, AReadOnlyFileWithItsLogCanBeRead) {
  leave_a_log();
  allow(0555, 0444);
  const AsSomebodyElse somebody;
  SqliteStore store(options());
  EXPECT_EQ(is_live(store), true);
  EXPECT_EQ(is_live(store, "in-the-log"), true);
  EXPECT_EQ(write_error(store), ErrorCode::store_read_only);
}

TEST_F(SqliteStoreAsSomebodyElse, ALogThatCannotBeReadIsAnOutageAndNotAnOldAnswer) {
  leave_a_log();
  allow(0555, 0444);
  ASSERT_EQ(::chmod((path_ + "-wal").c_str(), 0), 0);
  const AsSomebodyElse somebody;
  SqliteStore store(options());
  EXPECT_EQ(read_error(store), ErrorCode::store_unavailable);
}

TEST_F(SqliteStoreAsSomebodyElse, AReadWithoutLocksNoticesThatTheFileChanged) {
  fill();
  sqlite::Connections connections(path_, kShortWait, 1);
  const auto lend = [&] {
    allow(0555, 0444);
    const AsSomebodyElse somebody;
    return connections.reader();
  };
  {
    const auto touched = lend();
    ASSERT_TRUE(touched) << touched.error().detail;
    EXPECT_TRUE(touched->was_undisturbed());
    std::filesystem::last_write_time(path_, std::filesystem::last_write_time(path_) + std::chrono::seconds(1));
    EXPECT_FALSE(touched->was_undisturbed());
  }
  const auto written = lend();
  ASSERT_TRUE(written) << written.error().detail;
  EXPECT_TRUE(written->was_undisturbed());
  allow(0755, 0644);
  RawSqlite other(path_);
  other.run("DELETE FROM user_session");
  EXPECT_FALSE(written->was_undisturbed());
}

TEST_F(SqliteStoreAsSomebodyElse, AWritableFileInAReadOnlyFolderCanBeRead) {
  fill();
  allow(0555, 0666);
  const AsSomebodyElse somebody;
  SqliteStore store(options());
  EXPECT_EQ(is_live(store), true);
  EXPECT_EQ(write_error(store), ErrorCode::store_read_only);
}

TEST_F(SqliteStoreAsSomebodyElse, ALockFileThatCannotBeOpenedIsInNobodysWay) {
  fill();
  allow(0777, 0666);
  ASSERT_EQ(::chmod((path_ + ".lock").c_str(), 0), 0);
  const AsSomebodyElse somebody;
  SqliteStore store(options());
  expect_sound(store);
}

TEST_F(SqliteStoreAsSomebodyElse, AnUnreadableFileIsUnavailable) {
  fill();
  allow(0755, 0000);
  const AsSomebodyElse somebody;
  SqliteStore store(options());
  EXPECT_EQ(read_error(store), ErrorCode::store_unavailable);
  EXPECT_EQ(write_error(store), ErrorCode::store_unavailable);
}

TEST_F(SqliteStoreAsSomebodyElse, AFolderWithoutEntryIsUnavailable) {
  fill();
  allow(0600, 0666);
  const AsSomebodyElse somebody;
  SqliteStore store(options());
  EXPECT_EQ(read_error(store), ErrorCode::store_unavailable);
  EXPECT_EQ(write_error(store), ErrorCode::store_unavailable);
}

TEST_F(SqliteStoreAsSomebodyElse, AFileCannotBeMadeInAReadOnlyFolder) {
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0555), 0);
  const AsSomebodyElse somebody;
  SqliteStore store(options());
  EXPECT_EQ(error_of(store.migrate()), ErrorCode::store_read_only);
}

TEST_F(SqliteStoreTest, AFullDiskStopsWritesNotReads) {
  fill();
  SqliteStore store(options());
  expect_sound(store);
  {
    const SizeLimit full(8192);
    EXPECT_EQ(error_of(store.delete_session(auth::SessionId("s1"))), ErrorCode::store_read_only);
    EXPECT_EQ(is_live(store), true);
  }
  expect_sound(store);
  EXPECT_EQ(RawSqlite(path_).run("PRAGMA integrity_check"), "ok");
}

// ── the log
// ───────────────────────────────────────────────────────────────────────────────────────────────────────────

class SqliteStoreLog : public SqliteStoreTest {
 protected:
  static constexpr off_t kDue = 1000L * 4096;

  /// Rewrites a user until `is_enough`, at most 400 times 100 KiB.
  void write_until(SqliteStore& store, const std::function<bool()>& is_enough) {
    for (int i = 0; i < 400 && !is_enough(); ++i) {
      ASSERT_TRUE(store.update_user("u1", change_of_name(std::string(100'000, static_cast<char>('a' + i % 26)))));
    }
    ASSERT_TRUE(is_enough());
  }
  [[nodiscard]] off_t log_size() const { return size_of(path_ + "-wal"); }
};

TEST_F(SqliteStoreLog, DoesNotGrowWithoutEnd) {
  fill();
  SqliteStore store(options());
  for (int i = 0; i < 150; ++i) {
    ASSERT_TRUE(store.update_user("u1", change_of_name(std::string(100'000, static_cast<char>('a' + i % 26)))));
    EXPECT_EQ(is_live(store), true);
    ASSERT_LT(log_size(), 2 * kDue);
  }
  EXPECT_EQ(mode_of(path_ + ".lock"), 0600U);
  EXPECT_EQ(RawSqlite(path_).run("PRAGMA integrity_check"), "ok");
}

TEST_F(SqliteStoreLog, IsLeftToTheOneProcessThatHoldsTheLock) {
  fill();
  SqliteStore store(options());
  const int lock = ::open((path_ + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_EQ(::flock(lock, LOCK_EX), 0);
  const off_t file_before = size_of(path_);
  write_until(store, [&] { return log_size() > 2 * kDue; });
  EXPECT_EQ(size_of(path_), file_before);
  ::close(lock);
  ASSERT_TRUE(store.update_user("u1", change_of_name("last")));
  EXPECT_GT(size_of(path_), file_before);
}

}  // namespace
}  // namespace gatehouse::store
