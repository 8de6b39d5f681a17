// A process and a client. The client is MariaDB's C API: what a test sees of the database must not pass through the
// library that is under test.
#include "contract/mariadb_server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <mariadb/mysql.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace gatehouse::contract {
namespace {

constexpr std::chrono::seconds kPatience{60};

/// Starts a program whose output goes to a file. It dies with the thread that started it: a test that crashes leaves
/// no server behind.
pid_t launch(const std::vector<std::string>& command, const std::string& log) {
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const int output = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const pid_t parent = ::getpid();
  const pid_t process = ::fork();
  if (process < 0) throw std::runtime_error("fork failed");
  if (process > 0) {
    ::close(output);
    return process;
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(126);
  const int input = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ::dup2(input, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execvp(arguments[0], arguments.data());
  ::_exit(127);
}

/// In memory if there is plenty of it: a database waits for its disk more often than a test likes.
std::string parent_folder() {
  struct statvfs memory{};
  const bool has_room = ::statvfs("/dev/shm", &memory) == 0 && ::access("/dev/shm", W_OK) == 0 &&
                        memory.f_bavail * memory.f_frsize > 1024ULL * 1024 * 1024;
  return has_room ? "/dev/shm/" : testing::TempDir();
}

std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

/// What mariadb-install-db makes, made once a program: every server begins with a copy of it.
const TemporaryFolder& new_data() {
  static const TemporaryFolder folder(parent_folder());
  if (!std::filesystem::is_empty(folder.path())) return folder;
  std::vector<std::string> command{"mariadb-install-db",
                                   "--no-defaults",
                                   "--datadir=" + folder.path(),
                                   "--auth-root-authentication-method=normal",
                                   "--skip-test-db",
                                   "--skip-name-resolve",
                                   "--innodb-log-file-size=8M"};
  if (::geteuid() == 0) command.emplace_back("--user=root");
  const TemporaryFolder elsewhere;
  int status = -1;
  ::waitpid(launch(command, elsewhere / "log"), &status, 0);
  if (status != 0) throw std::runtime_error("mariadb-install-db: " + text_of(elsewhere / "log"));
  return folder;
}

struct Freed {
  void operator()(MYSQL_RES* result) const { ::mysql_free_result(result); }
};
using Result = std::unique_ptr<MYSQL_RES, Freed>;

}  // namespace

std::uint16_t free_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* plain = reinterpret_cast<sockaddr*>(&address);
  const bool is_bound = ::bind(socket, plain, size) == 0 && ::getsockname(socket, plain, &size) == 0;
  ::close(socket);
  if (!is_bound) throw std::runtime_error("no free port");
  return ntohs(address.sin_port);
}

// ── a bare client ───────────────────────────────────────────────────────────────────────────────────────────────────

RawMariaDb::RawMariaDb(const std::string& socket, const std::string& database) : connection_(::mysql_init(nullptr)) {
  if (::mysql_real_connect(connection_, nullptr, "root", "", database.empty() ? nullptr : database.c_str(), 0,
                           socket.c_str(), CLIENT_MULTI_STATEMENTS) != nullptr) {
    return;
  }
  const std::string words = ::mysql_error(connection_);
  ::mysql_close(connection_);
  throw std::runtime_error(socket + ": " + words);
}

RawMariaDb::~RawMariaDb() {
  ::mysql_close(connection_);
}

MariaDbRows RawMariaDb::rows(std::string_view sql) {
  const auto fail = [&] { throw std::runtime_error(std::string(sql) + ": " + ::mysql_error(connection_)); };
  if (::mysql_real_query(connection_, sql.data(), sql.size()) != 0) fail();
  MariaDbRows rows;
  for (int more = 0; more == 0; more = ::mysql_next_result(connection_)) {
    const Result result(::mysql_store_result(connection_));
    if (!result && ::mysql_errno(connection_) != 0) fail();
    if (!result) continue;
    rows.clear();
    while (char** row = ::mysql_fetch_row(result.get())) {
      const unsigned long* sizes = ::mysql_fetch_lengths(result.get());
      rows.emplace_back();
      for (unsigned i = 0; i < ::mysql_num_fields(result.get()); ++i) {
        rows.back().push_back(row[i] == nullptr ? "NULL" : std::string(row[i], sizes[i]));
      }
    }
  }
  if (::mysql_errno(connection_) != 0) fail();
  return rows;
}

void RawMariaDb::run(std::string_view sql) {
  rows(sql);
}

std::string RawMariaDb::value(std::string_view sql) {
  const MariaDbRows found = rows(sql);
  if (found.size() != 1 || found.front().empty()) throw std::runtime_error(std::string(sql) + ": not one row");
  return found.front().front();
}

// ── the server ──────────────────────────────────────────────────────────────────────────────────────────────────────

MariaDbServer::MariaDbServer(Options options)
    : options_(std::move(options)), folder_(parent_folder()), port_(options_.tcp ? free_port() : 0) {
  std::filesystem::copy(new_data().path(), folder_ / "data", std::filesystem::copy_options::recursive);
  start();
}

MariaDbServer::~MariaDbServer() {
  end_process(SIGKILL);
}

void MariaDbServer::start() {
  if (process_ > 0) return;
  const std::string log = folder_ / "server.log";
  std::vector<std::string> command{"mariadbd",
                                   "--no-defaults",
                                   "--datadir=" + (folder_ / "data"),
                                   "--tmpdir=" + folder(),
                                   "--socket=" + socket(),
                                   "--pid-file=" + (folder_ / "pid"),
                                   "--skip-name-resolve",
                                   "--innodb-log-file-size=8M",
                                   "--innodb-buffer-pool-size=32M",
                                   "--innodb-flush-log-at-trx-commit=2"};
  if (::geteuid() == 0) command.emplace_back("--user=root");
  if (options_.tcp) {
    command.emplace_back("--bind-address=127.0.0.1");
    command.emplace_back("--port=" + std::to_string(port_));
  } else {
    command.emplace_back("--skip-networking");
  }
  command.insert(command.end(), options_.arguments.begin(), options_.arguments.end());
  process_ = launch(command, log);

  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  std::string last = "no answer";
  while (!has_ended() && std::chrono::steady_clock::now() < deadline) {
    try {
      RawMariaDb(socket(), {}).run("SELECT 1");
      return;
    } catch (const std::runtime_error& error) {
      last = error.what();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  end_process(SIGKILL);
  throw std::runtime_error("mariadbd does not come up: " + last + "\n" + text_of(log));
}

bool MariaDbServer::has_ended() {
  if (process_ > 0 && ::waitpid(process_, nullptr, WNOHANG) == process_) process_ = -1;
  return process_ < 0;
}

void MariaDbServer::end_process(int signal) {
  if (has_ended()) return;
  ::kill(process_, signal);
  ::kill(process_, SIGCONT);
  ::waitpid(process_, nullptr, 0);
  process_ = -1;
}

void MariaDbServer::stop() {
  end_process(SIGTERM);
}

void MariaDbServer::kill() {
  end_process(SIGKILL);
}

void MariaDbServer::pause() {
  if (has_ended()) return;
  ::kill(process_, SIGSTOP);
  int status = 0;
  ::waitpid(process_, &status, WUNTRACED);
}

void MariaDbServer::resume() {
  if (has_ended()) return;
  ::kill(process_, SIGCONT);
  run("SELECT 1");
}

void MariaDbServer::run(std::string_view sql, const std::string& database) {
  RawMariaDb(socket(), database).run(sql);
}

MariaDbRows MariaDbServer::rows(std::string_view sql, const std::string& database) {
  return RawMariaDb(socket(), database).rows(sql);
}

std::string MariaDbServer::value(std::string_view sql, const std::string& database) {
  return RawMariaDb(socket(), database).value(sql);
}

std::int64_t MariaDbServer::status(const std::string& name) {
  return std::stoll(rows("SHOW GLOBAL STATUS LIKE '" + name + "'").at(0).at(1));
}

std::string MariaDbServer::create_database() {
  std::string name = "test_" + std::to_string(++databases_);
  run("CREATE DATABASE " + name + " CHARACTER SET utf8mb4");
  return name;
}

MariaDbServer& shared_mariadb() {
  struct Shared final : testing::Environment {
    std::unique_ptr<MariaDbServer> server;
    void TearDown() override { server.reset(); }
  };
  // GoogleTest owns it and tears it down after the last test (of each round, if they are repeated).
  static auto* shared = static_cast<Shared*>(testing::AddGlobalTestEnvironment(new Shared));
  if (!shared->server) shared->server = std::make_unique<MariaDbServer>();
  return *shared->server;
}

}  // namespace gatehouse::contract
