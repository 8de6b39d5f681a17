// Connecting, preparing, binding, stepping. The settings of a connection are those that facts forced on us: each says
// why.
#include "store/mysql/connection.hpp"

#include <cppconn/connection.h>
#include <cppconn/exception.h>
#include <cppconn/metadata.h>
#include <cppconn/prepared_statement.h>
#include <cppconn/resultset.h>
#include <cppconn/resultset_metadata.h>
#include <cppconn/statement.h>
#include <mysql_connection.h>
#include <mysql_driver.h>

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "store/mysql/host.hpp"
#include "store/mysql/migrations.hpp"
#include "store/mysql/parameters.hpp"
#include "store/mysql/spell_out.hpp"

namespace gatehouse::store::mysql {

using sql::Problem;
using sql::SqlError;
using sql::SqlResult;
using sql::Value;
using sql::Values;

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

// Statements with a varying list of columns (UPDATE of a user) must not pile up.
constexpr std::size_t kMaxStatements = 64;
// The driver's clock and ours need not agree on when a whole second is over.
constexpr milliseconds kTolerance{50};
constexpr int kUnknownColumn = 1054;

int whole_seconds(milliseconds time) {
  return static_cast<int>(std::clamp<seconds::rep>(std::chrono::ceil<seconds>(time).count(), 1, 3'600));
}

/// The driver fills an unlocked map when it is first asked for, and wants to see every thread come and go.
::sql::Driver& driver() {
  static ::sql::mysql::MySQL_Driver* const instance = ::sql::mysql::get_driver_instance();
  struct Visit {
    Visit() { instance->threadInit(); }
    ~Visit() { instance->threadEnd(); }
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;
  };
  thread_local const Visit visit;
  return *instance;
}

::sql::ConnectOptionsMap connect_options(const Host& host, const MySqlOptions& options, milliseconds patience) {
  using Text = ::sql::SQLString;
  ::sql::ConnectOptionsMap map;
  const bool is_tcp = host.socket.empty();
  map["hostName"] =
      is_tcp ? Text("tcp://[" + host.name + "]:" + std::to_string(host.port)) : Text("unix://" + host.socket);
  map["schema"] = Text(options.database);
  map["userName"] = Text(options.user);
  map["password"] = Text(options.password);
  map["OPT_CONNECT_TIMEOUT"] = whole_seconds(patience);
  map["OPT_READ_TIMEOUT"] = whole_seconds(options.timeout);
  map["OPT_WRITE_TIMEOUT"] = whole_seconds(options.timeout);
  map["OPT_LOCAL_INFILE"] = 0;      // a server must not be able to ask for our files
  map["CLIENT_FOUND_ROWS"] = true;  // an UPDATE that changes nothing has met its row all the same
  if (is_tcp && !options.tls_ca_file.empty()) {
    // Any other of the driver's options falls back to plain text, or looks at the chain but not at the name.
    map["sslCA"] = Text(options.tls_ca_file);
    map["sslVerify"] = true;
  }
  return map;
}

class ShownRow final : public sql::Row {
 public:
  explicit ShownRow(::sql::ResultSet& result) : result_(result), meta_(*result.getMetaData()) {}

  [[nodiscard]] int column_count() const override { return static_cast<int>(meta_.getColumnCount()); }
  [[nodiscard]] std::string_view name(int column) const override {
    if (names_.empty()) {
      for (int i = 0; i < column_count(); ++i) names_.push_back(meta_.getColumnLabel(index(i)).asStdString());
    }
    return names_.at(static_cast<std::size_t>(column));
  }
  [[nodiscard]] bool is_null(int column) const override { return result_.isNull(index(column)); }
  [[nodiscard]] std::int64_t integer(int column) const override {
    return is_null(column) ? 0 : result_.getInt64(index(column));
  }
  [[nodiscard]] std::string text(int column) const override { return result_.getString(index(column)).asStdString(); }
  [[nodiscard]] std::vector<std::byte> blob(int column) const override {
    const ::sql::SQLString bytes = result_.getString(index(column));
    const auto* begin = reinterpret_cast<const std::byte*>(bytes.c_str());
    return {begin, begin + bytes.length()};
  }

 private:
  static std::uint32_t index(int column) { return static_cast<std::uint32_t>(column) + 1; }

  ::sql::ResultSet& result_;
  ::sql::ResultSetMetaData& meta_;
  mutable std::vector<std::string> names_;  // of all columns, once somebody asks
};

void bind(::sql::PreparedStatement& statement, unsigned index, const Value& value) {
  struct Binder {
    ::sql::PreparedStatement& statement;
    unsigned index;
    void operator()(std::nullptr_t) const { statement.setNull(index, 0); }
    void operator()(std::int64_t number) const { statement.setInt64(index, number); }
    void operator()(std::string_view text) const {
      statement.setString(index, text.empty() ? ::sql::SQLString() : ::sql::SQLString(text.data(), text.size()));
    }
    // A text parameter's bytes reach a binary column as they are; as a stream they would be a packet of their own.
    void operator()(sql::Blob bytes) const {
      (*this)(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    }
  };
  std::visit(Binder{statement, index}, value);
}

SqlError error_from(const ::sql::SQLException& thrown) {
  return {meaning_of(thrown.getErrorCode()).problem, words_for(thrown.getErrorCode(), thrown.what()),
          thrown.getErrorCode()};
}

}  // namespace

std::string driver_version() {
  ::sql::Driver& installed = driver();
  return std::to_string(installed.getMajorVersion()) + "." + std::to_string(installed.getMinorVersion()) + "." +
         std::to_string(installed.getPatchVersion());
}

struct Connection::Statement {
  std::unique_ptr<::sql::PreparedStatement> prepared;
  std::vector<std::size_t> order;

  void bind_all(Values values) {
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (order[i] >= values.size()) throw ::sql::SQLException("no value for ?" + std::to_string(order[i] + 1));
      bind(*prepared, static_cast<unsigned>(i + 1), values[order[i]]);
    }
  }
};

class Connection::Driver {
 public:
  explicit Driver(std::unique_ptr<::sql::Connection> connection)
      : connection_(std::move(connection)), plain_(connection_->createStatement()) {}

  [[nodiscard]] bool has_prepared(std::string_view sql) const { return statements_.contains(sql); }
  /// `spelled`: the statement as the server gets it, if it has not been prepared yet.
  Statement& prepared(std::string_view sql, std::string_view spelled) {
    if (const auto known = statements_.find(sql); known != statements_.end()) return known->second;
    Translated translated = translate(spelled);
    Statement statement{std::unique_ptr<::sql::PreparedStatement>(connection_->prepareStatement(translated.sql)),
                        std::move(translated.order)};
    if (statements_.size() >= kMaxStatements) statements_.clear();
    return statements_.emplace(std::string(sql), std::move(statement)).first->second;
  }
  void forget_statements() { statements_.clear(); }

  ::sql::Statement& plain() { return *plain_; }
  ::sql::Connection& connection() { return *connection_; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };

  // The statements end before their connection.
  const std::unique_ptr<::sql::Connection> connection_;
  const std::unique_ptr<::sql::Statement> plain_;
  std::unordered_map<std::string, Statement, Hash, std::equal_to<>> statements_;
};

// ── connecting ──────────────────────────────────────────────────────────────────────────────────────────────────────

Connection::Connection(std::unique_ptr<Driver> driver, milliseconds answer_limit, bool has_others)
    : driver_(std::move(driver)), answer_limit_(answer_limit), has_others_(has_others) {}

Connection::~Connection() {
  driver();  // this thread may never have met the driver
}

std::expected<std::unique_ptr<Connection>, ConnectError> Connection::connect(const std::string& host,
                                                                             const MySqlOptions& options,
                                                                             milliseconds patience) {
  const auto address = parse_host(host);
  if (!address) return std::unexpected(ConnectError{{Problem::internal, "no such host can be: " + host}});
  const auto begin = steady_clock::now();
  std::unique_ptr<Driver> made;
  try {
    auto properties = connect_options(*address, options, patience);
    made = std::make_unique<Driver>(std::unique_ptr<::sql::Connection>(driver().connect(properties)));
  } catch (const ::sql::SQLException& thrown) {
    const bool is_silent = steady_clock::now() - begin >= seconds(whole_seconds(patience)) - kTolerance;
    SqlError error = error_from(thrown);
    // What is no error of a statement is one of the host, whatever it may be.
    if (error.problem != Problem::missing_table) error.problem = Problem::unavailable;
    return std::unexpected(ConnectError{std::move(error), is_silent});
  }
  std::unique_ptr<Connection> connection(
      new Connection(std::move(made), seconds(whole_seconds(options.timeout)), options.hosts.size() > 1));
  auto settled = connection->settle(options.timeout);
  if (!settled) {
    return std::unexpected(ConnectError{std::move(settled.error()), connection->trouble() == Aftermath::silent});
  }
  return connection;
}

SqlResult<void> Connection::settle(milliseconds timeout) {
  auto asked = attempt([&] {
    is_mariadb_ = driver_->connection().getMetaData()->getDatabaseProductVersion().find("MariaDB") != std::string::npos;
  });
  if (!asked) return std::unexpected(std::move(asked.error().error));
  // Whatever takes too long ends on the server, and before the driver would give up the connection: what nobody waits
  // for any more must not take effect after all, and the host is not in doubt.
  const std::string lock_wait = std::to_string(std::max(1, whole_seconds(timeout) - 1));
  const milliseconds limit = timeout - timeout / 10;
  const std::string longest = is_mariadb_
                                  ? "max_statement_time = " + std::to_string(static_cast<double>(limit.count()) / 1'000)
                                  : "max_execution_time = " + std::to_string(limit.count());
  const std::string settings[] = {
      // Under the default, deleting what is not there locks a gap, and two such logins deadlock.
      "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
      "SET time_zone = '+00:00', innodb_lock_wait_timeout = " + lock_wait + ", lock_wait_timeout = " + lock_wait +
          ", " + longest +
          ", sql_mode = 'STRICT_ALL_TABLES,ANSI_QUOTES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'",
  };
  for (const std::string& setting : settings) {
    if (auto done = command(setting); !done) return done;
  }
  if (is_mariadb_) {
    if (auto joined = join_cluster(); !joined) return joined;
  }
  return look_at_server();
}

/// A Galera node answers only as a member of its cluster, and reads only what has arrived: what another node has
/// acknowledged before must have.
SqlResult<void> Connection::join_cluster() {
  std::optional<std::string> is_ready;
  auto asked = attempt([&] {
    const auto value_of = [&](const char* show) -> std::optional<std::string> {
      const std::unique_ptr<::sql::ResultSet> result(driver_->plain().executeQuery(show));
      if (!result->next()) return std::nullopt;
      return result->getString(2).asStdString();
    };
    if (value_of("SHOW SESSION VARIABLES LIKE 'wsrep_on'") != "ON") return;
    is_ready = value_of("SHOW STATUS LIKE 'wsrep_ready'");
  });
  if (!asked) return std::unexpected(std::move(asked.error().error));
  if (!is_ready) return {};
  if (is_ready != "ON") return std::unexpected(SqlError{Problem::unavailable, "a Galera node that is not ready"});
  return command("SET wsrep_sync_wait = 1");
}

SqlResult<void> Connection::look_at_server() {
  auto looked = attempt([&] {
    const std::unique_ptr<::sql::ResultSet> result(
        driver_->plain().executeQuery("SELECT @@read_only, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)"));
    const auto ours = std::chrono::time_point_cast<milliseconds>(std::chrono::system_clock::now());
    if (!result->next()) throw ::sql::SQLException("no row");
    server_.is_read_only = result->getInt(1) != 0;
    server_.clock_ahead = milliseconds(result->getInt64(2)) - ours.time_since_epoch();
  });
  if (!looked) return std::unexpected(std::move(looked.error().error));
  return {};
}

// ── statements ──────────────────────────────────────────────────────────────────────────────────────────────────────

void Connection::begin_call(Deadline deadline) {
  deadline_ = deadline;
  trouble_ = Aftermath::nothing;
}

Connection::Attempt<void> Connection::attempt(const std::function<void()>& work) {
  const auto begin = steady_clock::now();
  try {
    driver();
    work();
    return {};
  } catch (const ::sql::SQLException& thrown) {
    Meaning meaning = meaning_of(thrown.getErrorCode());
    // Of two columns, not of a column and what somebody typed: then the tables are at fault, and nobody is absent.
    const bool is_ours = std::string_view(thrown.what()).contains("COERCIBLE");
    if (meaning.aftermath == Aftermath::no_match && !is_ours) meaning = {Problem::missing_table, Aftermath::refused};
    const bool took_all = steady_clock::now() - begin >= answer_limit_ - kTolerance;
    if (meaning.aftermath == Aftermath::lost && took_all) meaning.aftermath = Aftermath::silent;
    if (meaning.problem == Problem::missing_table) schema_is_verified_ = false;
    trouble_ = std::max(trouble_, meaning.aftermath);
    SqlError error = error_from(thrown);
    error.problem = meaning.problem;
    return std::unexpected(Failure{meaning.aftermath, std::move(error)});
  }
}

SqlResult<std::string> Connection::spelled_out(std::string_view sql) {
  if (driver_->has_prepared(sql)) return std::string();
  if (!asks_for_all_columns(sql)) return std::string(sql);
  return spell_out(sql, [this](const std::string& table) { return columns_of(*this, table); });
}

SqlResult<void> Connection::execute(std::string_view sql, Values values, const std::function<void(Statement&)>& use) {
  if (steady_clock::now() >= deadline_) return std::unexpected(SqlError{Problem::unavailable, "out of time"});
  auto spelled = spelled_out(sql);
  if (!spelled) return std::unexpected(std::move(spelled.error()));
  const auto work = [&] {
    Statement& statement = driver_->prepared(sql, *spelled);
    statement.bind_all(values);
    use(statement);
  };
  const Aftermath before = trouble_;
  auto done = attempt(work);
  const bool lacks_column = !done && done.error().error.code == kUnknownColumn && asks_for_all_columns(sql);
  if (!done && (lacks_column || done.error().aftermath == Aftermath::stale)) {
    trouble_ = before;
    driver_->forget_statements();
    schema_is_verified_ = false;
    spelled = spelled_out(sql);
    if (!spelled) return std::unexpected(std::move(spelled.error()));
    done = attempt(work);
  }
  if (!done) {
    const bool is_comparison = !sql.starts_with("INSERT");
    if (done.error().aftermath == Aftermath::no_match && is_comparison) return {};
    return std::unexpected(std::move(done.error().error));
  }
  return {};
}

SqlResult<std::int64_t> Connection::run(std::string_view sql, Values values) {
  std::int64_t changed = 0;
  auto done = execute(sql, values, [&](Statement& statement) { changed = statement.prepared->executeUpdate(); });
  if (!done) return std::unexpected(std::move(done.error()));
  return changed;
}

SqlResult<void> Connection::query(std::string_view sql, Values values,
                                  const std::function<void(const sql::Row&)>& show) {
  return execute(sql, values, [&](Statement& statement) {
    const std::unique_ptr<::sql::ResultSet> result(statement.prepared->executeQuery());
    const ShownRow row(*result);
    while (result->next()) show(row);
  });
}

SqlResult<void> Connection::command(std::string_view sql) {
  auto done = attempt([&] { driver_->plain().execute(::sql::SQLString(sql.data(), sql.size())); });
  if (!done) return std::unexpected(std::move(done.error().error));
  return {};
}

}  // namespace gatehouse::store::mysql
