// What every store over an SQL engine is made of: units of work whose answers are values.
#pragma once

#include <algorithm>
#include <functional>
#include <initializer_list>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "auth/store.hpp"
#include "store/sql/engine.hpp"
#include "store/sql/errors.hpp"

namespace gatehouse::store::sql {

/// Thread-safe, as its engine is.
class SqlStore : public auth::Store {
 public:
  auth::Result<auth::SchemaStatus> schema_status() final;
  auth::Result<auth::SchemaStatus> migrate() final;

 protected:
  /// `problem`: what is wrong with the names of the tables; every call fails with it (internal).
  SqlStore(std::unique_ptr<Engine> engine, std::optional<std::string> problem)
      : engine_(std::move(engine)), problem_(std::move(problem)) {}

  [[nodiscard]] const Engine& engine() const { return *engine_; }

  /// Runs `work` (Database& → SqlResult<T>) and returns Result<T>.
  template <typename Work>
  auto read(Work work) {
    using Answer = auth::Result<typename std::invoke_result_t<Work, Database&>::value_type>;
    if (problem_) return Answer(unusable());
    std::optional<Answer> answer;
    auto done = engine_->read([&](Database& database) -> auth::Result<void> {
      auto found = work(database);
      if (!found) return std::unexpected(environment_error(std::move(found.error()), During::read));
      answer.emplace(std::move(*found));
      return {};
    });
    if (!done) return Answer(std::unexpected(std::move(done.error())));
    return std::move(*answer);
  }

  /// Runs `work` (Database& → Result<T>) in a transaction of its own, which is kept only if `work` succeeded and, where
  /// given, `keeps(answer)` says so.
  template <typename Work, typename Keeps>
  auto write(Work work, Repeat repeat, Keeps keeps) {
    using Answer = std::invoke_result_t<Work, Database&>;
    if (problem_) return Answer(unusable());
    std::optional<Answer> answer;
    auto done = engine_->write(
        [&](Database& database) -> auth::Result<End> {
          answer.emplace(work(database));
          if (!*answer) return std::unexpected(answer->error());
          return keeps(*answer) ? End::commit : End::rollback;
        },
        repeat);
    if (!done) return Answer(std::unexpected(std::move(done.error())));
    return std::move(*answer);
  }
  template <typename Work>
  auto write(Work work, Repeat repeat = Repeat::safe) {
    return write(std::move(work), repeat, [](const auto&) { return true; });
  }

  /// Runs one statement in a transaction of its own; returns how many rows it changed.
  [[nodiscard]] auth::Result<std::size_t> run_alone(const std::string& statement, std::initializer_list<Value> values,
                                                    Repeat repeat = Repeat::safe);
  /// The same for one that meets one row or none; returns whether it met it.
  [[nodiscard]] auth::Result<bool> run_on_one(const std::string& statement, std::initializer_list<Value> values,
                                              Repeat repeat = Repeat::safe);
  /// Writes further columns of a session; `own` may not be among them.
  [[nodiscard]] auth::Result<void> update_session_columns(const std::string& table,
                                                          std::span<const std::string_view> own,
                                                          const auth::SessionId& id,
                                                          const std::map<std::string, std::string>& attributes);

  using ReadBoth = auth::SessionAndUser (*)(const Row&);
  /// Looks ids up, kIdsAtOnce a statement, and compares their bytes: a collation may have found others.
  [[nodiscard]] auth::Result<std::vector<auth::SessionAndUser>> find_sessions_by(const std::string& statement,
                                                                                 std::span<const auth::SessionId> ids,
                                                                                 ReadBoth read_both);

  /// Fails with invalid_attribute unless each is a column of `table` and none of `own` (lower case).
  [[nodiscard]] auth::Result<void> require_attributes(Database& database, const std::string& table,
                                                      std::span<const std::string_view> own,
                                                      const std::map<std::string, std::string>& attributes) const;

 private:
  [[nodiscard]] std::unexpected<auth::Error> unusable() const;

  const std::unique_ptr<Engine> engine_;
  const std::optional<std::string> problem_;
};

/// Selects rows by a text (?1) and keeps those that have it byte for byte in `key_of`: a collation may find others.
template <typename Read, typename KeyOf>
auto select_exactly(Database& database, std::string_view statement, const std::string& wanted, Read read,
                    KeyOf key_of) {
  auto rows = select(database, statement, {wanted}, read);
  if (rows) std::erase_if(*rows, [&](const auto& row) { return std::invoke(key_of, row) != wanted; });
  return rows;
}

/// The same where there is at most one.
template <typename Read, typename KeyOf>
auto select_one_exactly(Database& database, std::string_view statement, const std::string& wanted, Read read,
                        KeyOf key_of) {
  auto row = select_one(database, statement, {wanted}, read);
  if (row && *row && std::invoke(key_of, **row) != wanted) row->reset();
  return row;
}

/// The same for what decides who somebody is. A server that may lag behind another one cannot say that there is no such
/// row: a login that it has not received yet must not look like nobody's.
template <typename Read, typename KeyOf>
auto select_one_surely(Database& database, std::string_view statement, const std::string& wanted, Read read,
                       KeyOf key_of) {
  auto row = select_one_exactly(database, statement, wanted, read, key_of);
  if (row && !*row && database.may_lag()) {
    row =
        std::unexpected(SqlError{Problem::unavailable, "not on a server that is read-only and may lag behind another"});
  }
  return row;
}

[[nodiscard]] inline const std::string& id_of(const auth::SessionAndUser& both) {
  return both.session.id.text();
}
[[nodiscard]] inline const std::string& id_of_rotated(const auth::RotatedRow& row) {
  return row.id.text();
}

/// Runs a statement whose constraints can only be broken by a bug of ours; returns how many rows it changed.
[[nodiscard]] auth::Result<std::size_t> run(Database& database, const std::string& statement,
                                            std::initializer_list<Value> values);

/// Deletes a user, whom `delete_rows` (Database& → Result<void>) frees of everything that refers to them. A login that
/// came between is deleted as well.
template <typename DeleteRows>
[[nodiscard]] auth::Result<bool> delete_user_after(Database& database, const std::string& statement,
                                                   const std::string& id, DeleteRows delete_rows) {
  constexpr int kAttempts = 3;
  SqlError last;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (auto done = delete_rows(database); !done) return std::unexpected(std::move(done.error()));
    auto deleted = database.run(statement, std::initializer_list<Value>{id});
    if (deleted) return *deleted > 0;
    last = std::move(deleted.error());
    if (last.problem != Problem::still_referenced && last.problem != Problem::missing_reference) break;
  }
  return std::unexpected(environment_error(std::move(last), During::write));
}

[[nodiscard]] inline std::int64_t to_number(std::size_t count) {
  return static_cast<std::int64_t>(std::min<std::size_t>(count, std::numeric_limits<std::int64_t>::max()));
}
[[nodiscard]] inline Value to_value(const std::optional<std::string>& text) {
  return text ? Value(std::string_view(*text)) : Value(nullptr);
}
[[nodiscard]] inline Value to_value(const std::optional<auth::Timestamp>& time) {
  return time ? Value(std::int64_t{time->time_since_epoch().count()}) : Value(nullptr);
}

}  // namespace gatehouse::store::sql
