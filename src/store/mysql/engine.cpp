// What a failure means depends on when it comes: before COMMIT is sent nothing has happened, and the unit may run again
// on another connection; after that nobody knows.
#include "store/mysql/engine.hpp"

#include <algorithm>
#include <optional>
#include <random>
#include <thread>
#include <utility>

#include "store/mysql/connection.hpp"
#include "store/mysql/hosts.hpp"
#include "store/mysql/migrations.hpp"
#include "store/sql/errors.hpp"

namespace gatehouse::store::mysql {

using auth::ErrorCode;
using auth::fail;
using auth::Result;
using sql::During;
using sql::environment_error;
using sql::SqlResult;

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int kLosses = 1;     // repeats after a lost connection, or a host that turned out to be read-only
constexpr int kDeadlocks = 3;  // repeats after a deadlock
constexpr std::chrono::minutes kMigrationTimeout{1};

bool is_lost(const Connection& connection) {
  return connection.trouble() >= Aftermath::lost;
}

/// Two that met in a deadlock are not to meet again.
void step_aside() {
  thread_local std::minstd_rand random{std::random_device{}()};
  std::this_thread::sleep_for(std::chrono::microseconds(1'000 + random() % 19'000));
}

/// Counts down how often a unit may still be repeated.
class Repeats {
 public:
  explicit Repeats(Deadline deadline) : deadline_(deadline) {}

  [[nodiscard]] bool allows(Aftermath trouble) {
    if (steady_clock::now() >= deadline_) return false;
    switch (trouble) {
      case Aftermath::deadlock: return deadlocks_-- > 0;
      case Aftermath::read_only:
      case Aftermath::lost:
      case Aftermath::silent: return losses_-- > 0;
      case Aftermath::nothing:
      case Aftermath::refused:
      case Aftermath::no_match:
      case Aftermath::stale:
      case Aftermath::suspect: return false;
    }
    std::unreachable();
  }

 private:
  const Deadline deadline_;
  int losses_ = kLosses;
  int deadlocks_ = kDeadlocks;
};

}  // namespace

Engine::Engine(MySqlOptions options, sql::Schema schema)
    : schema_(std::move(schema)), hosts_(std::make_unique<Hosts>(std::move(options))) {}

Engine::~Engine() = default;

Engine::Deadline Engine::deadline_from_now() const {
  return steady_clock::now() + hosts_->options().acquire_timeout + hosts_->options().timeout;
}

// ── reads ───────────────────────────────────────────────────────────────────────────────────────────────────────────

Result<void> Engine::read(const sql::ReadUnit& unit) {
  return read_with([&](Connection& connection) -> Result<void> {
    if (auto current = require_current(connection); !current) return current;
    return unit(connection);
  });
}

Result<void> Engine::read_with(const std::function<Result<void>(Connection&)>& work) {
  const Deadline deadline = deadline_from_now();
  Repeats repeats(deadline);
  for (;;) {
    auto lease = hosts_->acquire(Purpose::read, deadline);
    if (!lease) return std::unexpected(environment_error(std::move(lease.error()), During::read));
    Connection& connection = lease->connection();
    connection.begin_call(std::min(deadline, steady_clock::now() + hosts_->options().timeout));
    auto done = work(connection);
    lease->set_in_order();
    if (!is_lost(connection)) return done;
    if (repeats.allows(connection.trouble())) continue;
    // Whatever it has made of it: a read that was cut short found nothing out.
    if (done) return fail(ErrorCode::store_unavailable, "the connection was lost");
    return done;
  }
}

/// Once a connection: the tables of a server that runs are not exchanged under it.
Result<void> Engine::require_current(Connection& connection) const {
  if (connection.schema_is_verified()) return {};
  auto status = sql::schema_status(connection, schema_, columns_of);
  if (!status) return std::unexpected(environment_error(std::move(status.error()), During::read));
  if (!status->is_current()) return fail(ErrorCode::store_not_migrated, sql::describe(*status));
  connection.set_schema_verified();
  return {};
}

// ── writes ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/// How a transaction went.
struct Engine::Transaction {
  Result<void> answer;
  bool is_over = true;              ///< there is none on the connection any more
  bool may_have_committed = false;  ///< though the answer is a failure
};

Result<void> Engine::write(const sql::WriteUnit& unit, sql::Repeat repeat) {
  const Deadline deadline = deadline_from_now();
  Repeats repeats(deadline);
  for (Aftermath trouble = Aftermath::nothing;;) {
    if (trouble == Aftermath::deadlock) step_aside();
    auto lease = hosts_->acquire(Purpose::write, deadline);
    if (!lease) return std::unexpected(environment_error(std::move(lease.error()), During::write));
    Connection& connection = lease->connection();
    connection.begin_call(std::min(deadline, steady_clock::now() + hosts_->options().timeout));
    const Transaction transaction = transact(connection, unit);
    if (transaction.is_over) lease->set_in_order();
    if (transaction.answer) return {};
    if (transaction.may_have_committed && repeat == sql::Repeat::unsafe) return transaction.answer;
    trouble = connection.trouble();
    if (!repeats.allows(trouble)) return transaction.answer;
  }
}

Engine::Transaction Engine::transact(Connection& connection, const sql::WriteUnit& unit) const {
  if (auto current = require_current(connection); !current) return {std::move(current)};
  if (auto begun = connection.command("START TRANSACTION"); !begun) {
    return {std::unexpected(environment_error(std::move(begun.error()), During::write)), false};
  }
  auto end = unit(connection);
  // A unit may take a duplicate for an answer, never the end of its transaction.
  if (end && connection.trouble() >= Aftermath::deadlock) {
    end = fail(ErrorCode::store_unavailable, "the transaction was broken off");
  }
  if (!end || *end == sql::End::rollback) {
    const bool is_over = !is_lost(connection) && connection.command("ROLLBACK");
    if (end) return {{}, is_over};
    return {std::unexpected(std::move(end.error())), is_over};
  }
  if (auto kept = connection.command("COMMIT"); !kept) {
    return {std::unexpected(environment_error(std::move(kept.error()), During::write)), false, is_lost(connection)};
  }
  return {{}};
}

// ── the tables ──────────────────────────────────────────────────────────────────────────────────────────────────────

Result<auth::SchemaStatus> Engine::schema_status() {
  auth::SchemaStatus found;
  auto done = read_with([&](Connection& connection) -> Result<void> {
    auto status = sql::schema_status(connection, schema_, columns_of);
    if (!status) return std::unexpected(environment_error(std::move(status.error()), During::read));
    found = std::move(*status);
    return {};
  });
  if (!done) return std::unexpected(std::move(done.error()));
  return found;
}

Result<std::size_t> Engine::writable_host() {
  auto lease = hosts_->acquire(Purpose::write, deadline_from_now());
  if (!lease) return std::unexpected(environment_error(std::move(lease.error()), During::write));
  lease->set_in_order();
  return lease->host();
}

Result<auth::SchemaStatus> Engine::migrate() {
  auto status = schema_status();
  if (!status || status->is_current()) return status;
  if (auto possible = sql::require_migratable(*status, schema_); !possible) {
    return std::unexpected(std::move(possible.error()));
  }
  // A connection of its own, for it is to wait longer than any other.
  auto host = writable_host();
  if (!host) return std::unexpected(std::move(host.error()));
  MySqlOptions patient = hosts_->options();
  patient.timeout = kMigrationTimeout;
  auto connection = Connection::connect(patient.hosts[*host], patient, patient.acquire_timeout);
  if (!connection) return std::unexpected(environment_error(std::move(connection.error().error), During::write));
  if (auto done = apply_missing(**connection, schema_); !done) {
    return std::unexpected(environment_error(std::move(done.error()), During::write));
  }
  return schema_status();
}

SqlResult<std::vector<std::string>> Engine::columns(sql::Database& database, const std::string& table) const {
  return columns_of(database, table);
}

/// The plain comparison finds rows by the column's index; the others keep of these the one that was meant. Bytes are
/// the same in a binary column, characters in any other.
std::string Engine::exactly(std::string_view column, std::string_view parameter) const {
  const std::string name(column);
  const std::string wanted = "CAST(" + std::string(parameter) + " AS BINARY)";
  return "(" + name + " = " + std::string(parameter) + " AND (CAST(" + name + " AS BINARY) = " + wanted +
         " OR CAST(CONVERT(" + name + " USING utf8mb4) AS BINARY) = " + wanted + "))";
}

}  // namespace gatehouse::store::mysql
