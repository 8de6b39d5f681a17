// An SQL engine whose n-th statement fails, for tests of what stands on an engine: "fail the n-th statement, n = 1, 2,
// 3 …".
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "store/sql/engine.hpp"

namespace gatehouse::contract {

/// Which statement is to fail, and whether it came to that. Confined to one thread.
class StatementFault {
 public:
  /// The n-th statement from now on fails (1 is the next one), all others are passed on.
  void fail_nth(std::size_t n, store::sql::Problem problem) {
    to_pass_ = n - 1;
    problem_ = problem;
  }
  /// Nothing fails any more. Returns false if nothing has: there were fewer statements.
  bool disarm() { return !std::exchange(problem_, std::nullopt).has_value(); }

  /// Counts a statement; returns its failure if it is the one.
  [[nodiscard]] std::optional<store::sql::SqlError> next() {
    if (!problem_) return std::nullopt;
    if (to_pass_ > 0) {
      --to_pass_;
      return std::nullopt;
    }
    return store::sql::SqlError{.problem = *std::exchange(problem_, std::nullopt), .detail = "fails for a test"};
  }

 private:
  std::size_t to_pass_ = 0;
  std::optional<store::sql::Problem> problem_;
};

/// The connection of one unit of work.
class FailingDatabase final : public store::sql::Database {
 public:
  FailingDatabase(store::sql::Database& inner, StatementFault& fault) : inner_(inner), fault_(fault) {}

  [[nodiscard]] store::sql::SqlResult<std::int64_t> run(std::string_view sql, store::sql::Values values) override {
    if (auto error = fault_.next()) return std::unexpected(std::move(*error));
    return inner_.run(sql, values);
  }
  [[nodiscard]] store::sql::SqlResult<void> query(std::string_view sql, store::sql::Values values,
                                                  const std::function<void(const store::sql::Row&)>& show) override {
    if (auto error = fault_.next()) return std::unexpected(std::move(*error));
    return inner_.query(sql, values, show);
  }

 private:
  store::sql::Database& inner_;
  StatementFault& fault_;
};

/// Passes everything on to `inner`, except the statement that is to fail: that one never reaches it. What the engine
/// runs of its own accord (BEGIN, COMMIT, a look at the schema) never fails. `fault` must outlive this.
class FailingEngine final : public store::sql::Engine {
 public:
  FailingEngine(std::unique_ptr<store::sql::Engine> inner, StatementFault& fault)
      : inner_(std::move(inner)), fault_(fault) {}

  [[nodiscard]] auth::Result<void> read(const store::sql::ReadUnit& unit) override {
    return inner_->read([&](store::sql::Database& database) {
      FailingDatabase failing(database, fault_);
      return unit(failing);
    });
  }
  [[nodiscard]] auth::Result<void> write(const store::sql::WriteUnit& unit, store::sql::Repeat repeat) override {
    const auto failing_unit = [&](store::sql::Database& database) {
      FailingDatabase failing(database, fault_);
      return unit(failing);
    };
    return inner_->write(failing_unit, repeat);
  }
  [[nodiscard]] auth::Result<auth::SchemaStatus> schema_status() override { return inner_->schema_status(); }
  [[nodiscard]] auth::Result<auth::SchemaStatus> migrate() override { return inner_->migrate(); }
  [[nodiscard]] store::sql::SqlResult<std::vector<std::string>> columns(store::sql::Database& database,
                                                                        const std::string& table) const override {
    return inner_->columns(database, table);
  }
  [[nodiscard]] std::string exactly(std::string_view column, std::string_view parameter) const override {
    return inner_->exactly(column, parameter);
  }

 private:
  const std::unique_ptr<store::sql::Engine> inner_;
  StatementFault& fault_;
};

}  // namespace gatehouse::contract
