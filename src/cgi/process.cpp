#include "cgi/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <optional>

#include "cgi/descriptor.hpp"

namespace gatehouse::cgi {
namespace {

namespace asio = net::asio;

// What posix_spawn is to do between the new process and its program.
class FileActions {
 public:
  FileActions() { ::posix_spawn_file_actions_init(&actions_); }
  ~FileActions() { ::posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;

  // Returns an errno, 0 if all is well.
  int prepare(const std::array<int, 3>& standard, const std::string& directory) {
    for (int number = 0; const int descriptor : standard) {
      if (const int error = ::posix_spawn_file_actions_adddup2(&actions_, descriptor, number++)) return error;
    }
    if (!directory.empty()) {
      if (const int error = ::posix_spawn_file_actions_addchdir_np(&actions_, directory.c_str())) return error;
    }
    return ::posix_spawn_file_actions_addclosefrom_np(&actions_, 3);
  }
  [[nodiscard]] const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

// A process group of its own, and none of the daemon's signal settings: its SIGPIPE is ignored, its TERM blocked.
class Attributes {
 public:
  Attributes() {
    ::posix_spawnattr_init(&attributes_);
    sigset_t signals;
    ::sigemptyset(&signals);
    ::posix_spawnattr_setsigmask(&attributes_, &signals);
    ::sigfillset(&signals);
    ::posix_spawnattr_setsigdefault(&attributes_, &signals);
    ::posix_spawnattr_setpgroup(&attributes_, 0);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  ~Attributes() { ::posix_spawnattr_destroy(&attributes_); }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;

  [[nodiscard]] const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_{};
};

struct PipePair {
  Descriptor read;
  Descriptor write;
};

// Above 2, so that putting one pipe on 0, 1 or 2 in the child does not overwrite another: some process managers start
// us with these closed.
bool move_above_standard(Descriptor& descriptor) {
  if (descriptor.get() > 2) return true;
  descriptor = Descriptor(::fcntl(descriptor.get(), F_DUPFD_CLOEXEC, 3));
  return descriptor.is_open();
}

std::optional<PipePair> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return std::nullopt;
  PipePair pair{Descriptor(ends[0]), Descriptor(ends[1])};
  if (!move_above_standard(pair.read) || !move_above_standard(pair.write)) return std::nullopt;
  return pair;
}

// Gives the descriptor to the reactor; ours alone becomes non-blocking, the program's end of the pipe does not.
bool adopt(Descriptor& descriptor, Pipe& pipe) {
  boost::system::error_code error;
  pipe.assign(descriptor.get(), error);
  if (error) return false;
  (void)descriptor.release();
  pipe.non_blocking(true, error);
  return !error;
}

// posix_spawn takes what it does not change as if it did.
std::vector<char*> pointers(const std::vector<std::string>& lines) {
  std::vector<char*> all;
  all.reserve(lines.size() + 1);
  for (const auto& line : lines) all.push_back(const_cast<char*>(line.c_str()));
  all.push_back(nullptr);
  return all;
}

// Returns an errno, 0 if the program runs.
int start(const Program& program, const std::array<int, 3>& standard, pid_t& pid) {
  FileActions actions;
  if (const int error = actions.prepare(standard, program.directory)) return error;
  const Attributes attributes;
  const std::vector<std::string> lines{program.filename};
  const auto arguments = pointers(lines);
  const auto environment = pointers(program.environment);
  return ::posix_spawn(&pid, program.filename.c_str(), actions.get(), attributes.get(), arguments.data(),
                       environment.data());
}

Descriptor open_pidfd(pid_t pid) {
  return Descriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

void kill_and_reap(pid_t pid) {
  ::kill(-pid, SIGKILL);
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) continue;
}

int exit_code_of(const siginfo_t& info) {
  return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

}  // namespace

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)),
      exit_event_(std::move(other.exit_event_)),
      is_reaped_(std::exchange(other.is_reaped_, true)),
      group_is_gone_(std::exchange(other.group_is_gone_, true)) {}

Process::~Process() {
  if (is_reaped_ && group_is_gone_) return;
  signal(SIGKILL);
  // A moment is enough for a process that may be killed; one that may not is left to the system.
  pollfd ended{.fd = exit_event_.native_handle(), .events = POLLIN, .revents = 0};
  if (!is_reaped_ && exit_event_.is_open()) ::poll(&ended, 1, 500);
  reap();
}

std::optional<int> Process::exit_code() {
  siginfo_t info{};
  const auto number = static_cast<id_t>(exit_event_.native_handle());
  if (::waitid(P_PIDFD, number, &info, WEXITED | WNOHANG | WNOWAIT) != 0) return 255;
  if (info.si_pid == 0) return std::nullopt;
  return exit_code_of(info);
}

// The number is safe to use: it is the process's until it is reaped, and the group's as long as anybody is in it. The
// pidfd reaches a program that has left its group.
void Process::signal(int number) {
  if (!is_reaped_) ::syscall(SYS_pidfd_send_signal, exit_event_.native_handle(), number, nullptr, 0);
  if (!group_is_gone_) ::kill(-pid_, number);
}

void Process::reap() {
  if (is_reaped_) return;
  siginfo_t info{};
  const auto number = static_cast<id_t>(exit_event_.native_handle());
  const int result = ::waitid(P_PIDFD, number, &info, WEXITED | WNOHANG);
  // An error: somebody else has reaped it (SIGCHLD is ignored in this process).
  is_reaped_ = result != 0 || info.si_pid != 0;
}

bool Process::is_gone() {
  if (is_reaped_ && !group_is_gone_) group_is_gone_ = ::kill(-pid_, 0) != 0;
  return is_reaped_ && group_is_gone_;
}

std::expected<Child, SpawnFailure> Child::spawn(const asio::any_io_executor& executor, const Program& program) {
  auto input = make_pipe();
  auto output = make_pipe();
  auto errors = make_pipe();
  if (!input || !output || !errors) return std::unexpected(SpawnFailure{errno, "pipe"});
  pid_t pid = 0;
  const int error = start(program, {input->read.get(), output->write.get(), errors->write.get()}, pid);
  if (error != 0) return std::unexpected(SpawnFailure{error, "start"});
  auto pidfd = open_pidfd(pid);
  Pipe exit_event(executor);
  if (!pidfd.is_open() || !adopt(pidfd, exit_event)) {
    const int why = errno;
    kill_and_reap(pid);
    return std::unexpected(SpawnFailure{why, "pidfd"});
  }
  Child child{Process(pid, std::move(exit_event)), Pipe(executor), Pipe(executor), Pipe(executor)};
  const bool is_adopted =
      adopt(input->write, child.input) && adopt(output->read, child.output) && adopt(errors->read, child.errors);
  if (!is_adopted) return std::unexpected(SpawnFailure{errno, "epoll"});
  return child;
}

}  // namespace gatehouse::cgi
