// An SQL store fails at the n-th statement of a call, n = 1, 2, 3 … until none is left to fail: the call ends with the
// environment's error, all rows are those from before, and the next call is served.
//
// To put an engine under it: give a StoreHarness `make_engine` and `store_over` and write
// INSTANTIATE_TEST_SUITE_P(YourEngine, SqlFaults, every_write_of(&make_your_store, schema), name_of_write).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <iterator>
#include <memory>
#include <ostream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "contract/failing_engine.hpp"
#include "contract/rows.hpp"
#include "contract/store_contract.hpp"
#include "store/sql/lucia_store.hpp"
#include "store/sql/native_store.hpp"
#include "store/table_names.hpp"

namespace gatehouse::contract {

using store::TableSchema;
using store::sql::Problem;

/// A store whose statements can fail, and an undisturbed one on the same rows.
struct FaultyStore {
  std::unique_ptr<StoreHarness> undisturbed;
  std::unique_ptr<StatementFault> fault;
  std::unique_ptr<auth::Store> store;
};
using MakeFaultyStore = FaultyStore (*)();

/// Puts another store of the harness's kind over an engine like its own.
template <typename Harness>
FaultyStore faulty(std::unique_ptr<Harness> harness) {
  auto fault = std::make_unique<StatementFault>();
  auto store = harness->store_over(std::make_unique<FailingEngine>(harness->make_engine(), *fault));
  return {std::move(harness), std::move(fault), std::move(store)};
}

// ── what is there
// ─────────────────────────────────────────────────────────────────────────────────────────────────────

inline constexpr std::int64_t kStart = 1'800'000'000'000;

inline Timestamp after(std::int64_t milliseconds) {
  return at(kStart + milliseconds);
}

/// A session that is its own family, as every one is in Lucia's tables; made so long after kStart.
inline SessionRow own_family(const std::string& id, const std::string& user_id, std::int64_t created) {
  SessionRow made = session(id, user_id, kStart + created);
  made.family = id;
  return made;
}

inline SessionRow old_session() {
  return own_family("old", "u1", 1'000);
}
inline Rotation first_rotation() {
  return rotation(old_session(), "successor");
}
inline Presentation first_presentation() {
  return {.id = SessionId("successor"), .parent = SessionId("old"), .seen_at = after(5'000)};
}
inline SessionRow active_session() {
  return own_family("active", "u1", 10'000);
}
inline constexpr std::int64_t kSomeAreDead = 7'500;

/// Of u1: a session that was rotated (where the tables can hold that) to one that was never presented, one that is dead
/// at kSomeAreDead, two that are not. Of u2: one more.
inline void fill(auth::Store& store, TableSchema schema) {
  for (const char* id : {"u1", "u2"}) value_of(store.create_user({.user = user(id), .key = key(id, id)}));
  if (schema != TableSchema::lucia_v2) value_of(store.create_key(single_use_key("once", "u1")));
  const std::array sessions{old_session(), own_family("dead", "u1", 2'000), active_session(),
                            own_family("newest", "u1", 20'000), own_family("theirs", "u2", 10'000)};
  for (const SessionRow& row : sessions) value_of(store.create_session(row, 0));
  if (schema == TableSchema::native) value_of(store.rotate(first_rotation(), {}));
}

// ── what is tried
// ─────────────────────────────────────────────────────────────────────────────────────────────────────

struct Write {
  std::string name;
  std::function<Result<void>(auth::Store&)> call;
};

inline void PrintTo(const Write& write, std::ostream* out) {
  *out << write.name;
}

/// A call of which only success and failure matter here.
template <typename Call>
Write write_of(std::string name, Call call) {
  return {std::move(name), [call](auth::Store& store) -> Result<void> {
            auto done = call(store);
            if (!done) return std::unexpected(std::move(done.error()));
            return {};
          }};
}

inline std::vector<Write> writes_on_sessions() {
  using auth::Store;
  return {
      write_of("CreateSession", [](Store& store) { return store.create_session(own_family("new", "u1", 30'000), 2); }),
      write_of("ReplaceFamily",
               [](Store& store) { return store.replace_family("active", own_family("new", "u1", 30'000), 2); }),
      write_of("Extend",
               [](Store& store) {
                 const SessionRow row = active_session();
                 return store.extend(row.id, row.active_expires, after(40'000), after(50'000), after(12'000), {});
               }),
      write_of("UpdateSessionAttributes",
               [](Store& store) {
                 return store.update_session_attributes(SessionId("active"), {{"country", "x"}, {"note", "y"}});
               }),
      write_of("DeleteSession", [](Store& store) { return store.delete_session(SessionId("active")); }),
      write_of("DeleteFamily", [](Store& store) { return store.delete_family("old"); }),
      write_of("DeleteSessionsOfUser", [](Store& store) { return store.delete_sessions_of_user("u1"); }),
      write_of("DeleteOtherSessions", [](Store& store) { return store.delete_other_sessions("u1", "active"); }),
      write_of("DeleteAllSessions", [](Store& store) { return store.delete_all_sessions(); }),
      write_of("DeleteDead", [](Store& store) { return store.delete_dead(after(kSomeAreDead), Milliseconds(0), 100); }),
      write_of(
          "DeleteDeadSessionsOfUser",
          [](Store& store) { return store.delete_dead_sessions_of_user("u1", after(kSomeAreDead), Milliseconds(0)); }),
  };
}

inline std::vector<Write> writes_on_users() {
  using auth::Store;
  return {
      write_of("CreateUserWithKey",
               [](Store& store) { return store.create_user({.user = user("u3"), .key = key("u3", "u3")}); }),
      write_of(
          "DisableUser",
          [](Store& store) { return store.update_user("u1", {.disabled = true, .attributes = {{"city", "Bern"}}}); }),
      write_of("DeleteUser", [](Store& store) { return store.delete_user("u1"); }),
      write_of("CreateKey", [](Store& store) { return store.create_key(key("more", "u1")); }),
      write_of("UpdateKeyPassword", [](Store& store) { return store.update_key_password("username:u1", "new"); }),
      write_of("RehashKey", [](Store& store) { return store.rehash_key(key("u1", "u1"), "anew"); }),
      write_of("DeleteKey", [](Store& store) { return store.delete_key("username:u1"); }),
  };
}

/// Where the tables have single-use keys.
inline Write consume_key() {
  return write_of("ConsumeKey", [](auth::Store& store) { return store.consume_key(single_use_key("once", "u1")); });
}

/// Where the tables have rotated ids.
inline std::vector<Write> writes_on_rotated() {
  using auth::Store;
  return {
      write_of("Rotate", [](Store& store) { return store.rotate(rotation(active_session(), "new"), {}); }),
      write_of(
          "RotateFirstPresented",
          [](Store& store) { return store.rotate(rotation(first_rotation().successor, "new"), first_presentation()); }),
      write_of("ExtendFirstPresented",
               [](Store& store) {
                 const SessionRow row = first_rotation().successor;
                 return store.extend(row.id, row.active_expires, after(40'000), after(50'000), after(5'000),
                                     first_presentation());
               }),
      write_of("MarkPresented", [](Store& store) { return store.mark_presented(first_presentation()); }),
      write_of("TouchTwo",
               [](Store& store) {
                 return store.touch(std::array{auth::LastUse{SessionId("active"), after(90'000)},
                                               auth::LastUse{SessionId("theirs"), after(90'000)}});
               }),
  };
}

/// Every call that writes, as far as the tables can hold it.
inline std::vector<Write> writes_on(TableSchema schema) {
  std::vector<Write> writes = writes_on_sessions();
  std::ranges::move(writes_on_users(), std::back_inserter(writes));
  if (schema != TableSchema::lucia_v2) writes.push_back(consume_key());
  if (schema == TableSchema::native) std::ranges::move(writes_on_rotated(), std::back_inserter(writes));
  return writes;
}

// ── what must come of it
// ──────────────────────────────────────────────────────────────────────────────────────────────

using SqlFaultsParameter = std::tuple<MakeFaultyStore, TableSchema, Write>;

inline std::string name_of_write(const testing::TestParamInfo<SqlFaultsParameter>& info) {
  return std::get<Write>(info.param).name;
}

inline auto every_write_of(MakeFaultyStore make, TableSchema schema) {
  return testing::Combine(testing::Values(make), testing::Values(schema), testing::ValuesIn(writes_on(schema)));
}

class SqlFaults : public testing::TestWithParam<SqlFaultsParameter> {
 protected:
  SqlFaults() {
    fill(undisturbed(), std::get<TableSchema>(GetParam()));
    reader_.expect(SessionId("old"));
  }

  auth::Store& undisturbed() { return faulty_.undisturbed->store(); }
  Rows rows() { return reader_.read(); }

  /// Calls with the n-th statement failing. Returns false if there were fewer.
  bool fails_at(std::size_t n, Problem problem, ErrorCode expected) {
    faulty_.fault->fail_nth(n, problem);
    const Result<void> done = std::get<Write>(GetParam()).call(*faulty_.store);
    const bool has_failed = faulty_.fault->disarm();
    EXPECT_EQ(error_of(done), has_failed ? std::optional(expected) : std::nullopt);
    return has_failed;
  }

  /// Another transaction, which would bring to light what the one before left open.
  void expect_serves() { EXPECT_EQ(value_of(faulty_.store->delete_session(SessionId("nobody's"))), 0U); }

 private:
  FaultyStore faulty_ = std::get<MakeFaultyStore>(GetParam())();
  RowReader reader_{undisturbed()};
};

inline constexpr std::size_t kMoreStatementsThanAnyCallHas = 50;

TEST_P(SqlFaults, AStatementThatFailsLeavesNoTrace) {
  const Rows before = rows();
  const auto leaves_no_trace = [&](std::size_t n, Problem problem, ErrorCode expected) {
    SCOPED_TRACE("statement " + std::to_string(n));
    if (!fails_at(n, problem, expected)) return false;
    EXPECT_EQ(rows(), before);
    expect_serves();
    EXPECT_EQ(rows(), before);
    return true;
  };
  std::size_t n = 1;
  while (n < kMoreStatementsThanAnyCallHas && !HasFailure() &&
         leaves_no_trace(n, Problem::locked, ErrorCode::store_read_only) &&
         leaves_no_trace(n, Problem::unavailable, ErrorCode::store_unavailable)) {
    ++n;
  }
  EXPECT_GT(n, 1U) << "none of its statements failed";
  EXPECT_LT(n, kMoreStatementsThanAnyCallHas);
  EXPECT_NE(rows(), before) << "undisturbed it works";
}

}  // namespace gatehouse::contract
