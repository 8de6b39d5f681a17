#include "cgi/runner.hpp"

#include <sys/ioctl.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <memory>
#include <span>
#include <system_error>
#include <utility>

#include "cgi/answer.hpp"
#include "cgi/process.hpp"
#include "cgi/stderr_lines.hpp"
#include "net/task_group.hpp"

namespace gatehouse::cgi {
namespace {

namespace asio = net::asio;
using net::Deadline;
using net::StreamError;
using net::Task;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kPieceSize = 65'536;
constexpr milliseconds kKillAfter{500};       // from TERM to KILL
constexpr milliseconds kKilledWithin{2'000};  // what KILL may take before the process is left to be reaped later
// Zombies count as members until their new parent looks after them, which some containers' first process hardly does.
constexpr milliseconds kGroupKilledWithin{100};
constexpr milliseconds kGrace{1'000};  // for output after the exit, for the exit after output that is no answer
constexpr milliseconds kGroupPoll{5};  // nothing tells when the last of a group has gone
// A read of the visitor's body cannot be taken back; a program that has answered meanwhile waits this long for it.
constexpr milliseconds kReadSlice{100};

// Where the program's bytes come from. `left`: once set, only so many more are taken, however many are written.
struct Source {
  explicit Source(Pipe opened) : pipe(std::move(opened)) {}
  Pipe pipe;
  std::optional<std::size_t> left;
};

// Takes what is in the pipe by now, and nothing that comes later: a grandchild in another group may hold its other end
// open for ever.
void close_soon(Source& source) {
  int ready = 0;
  if (!source.left && ::ioctl(source.pipe.native_handle(), FIONREAD, &ready) == 0) {
    source.left = static_cast<std::size_t>(std::max(ready, 0));
  }
  boost::system::error_code ignored;
  source.pipe.cancel(ignored);
}

// Returns 0 at the end, whatever it is.
Task<std::size_t> read_some(Source& source, std::span<char> into) {
  for (;;) {
    const auto room = std::min(into.size(), source.left.value_or(into.size()));
    if (room == 0) co_return 0;
    const auto buffer = asio::buffer(into.data(), room);
    boost::system::error_code error;
    const std::size_t size =
        co_await source.pipe.async_read_some(buffer, asio::redirect_error(asio::use_awaitable, error));
    if (source.left) *source.left -= std::min(size, *source.left);
    if (size > 0) co_return size;
    const bool is_to_be_emptied = error == asio::error::operation_aborted && source.left.value_or(0) > 0;
    if (!is_to_be_emptied) co_return 0;
  }
}

// One program and one request. Its coroutines (feed_input, relay_output, read_errors, watch_exit) run side by side on
// one thread; serve() watches them, ends the processes and returns when all four have ended.
class Run : public std::enable_shared_from_this<Run> {
 public:
  Run(const asio::any_io_executor& executor, Child child, Program program, net::Exchange& exchange, bool without_body,
      HeadHook on_head, StderrLine on_stderr)
      : executor_(executor),
        program_(std::move(program)),
        exchange_(exchange),
        process_(std::move(child.process)),
        input_(std::move(child.input)),
        output_(std::move(child.output)),
        errors_(std::move(child.errors)),
        lines_(std::move(on_stderr)),
        tasks_(executor),
        answer_(
            executor, exchange,
            {.without_body = without_body, .in_memory = net::Spool::kInMemory, .visitor_stall = program_.visitor_stall},
            std::move(on_head)) {}

  Task<RunOutcome> serve();

 private:
  // Why it ended before its time.
  struct Ending {
    bool by_visitor = false;  // who has gone: nobody is there to be answered
    int status = 0;
    std::string reason;
  };
  // While one of these lives, a silent program is not to blame.
  class VisitorWait {
   public:
    explicit VisitorWait(Run& run) : run_(run) { ++run_.visitor_waits_; }
    ~VisitorWait() {
      --run_.visitor_waits_;
      run_.moved();
    }
    VisitorWait(const VisitorWait&) = delete;
    VisitorWait& operator=(const VisitorWait&) = delete;

   private:
    Run& run_;
  };

  void start(Task<> task) { tasks_.start(std::move(task), shared_from_this()); }
  void moved() { last_move_ = Clock::now(); }
  void stop(Ending ending);
  void close_input();

  Task<> feed_input();
  Task<bool> feed_piece(std::span<char> buffer);
  bool accept_piece(const net::IoResult<std::size_t>& size);
  Task<net::IoResult<std::size_t>> read_visitor(std::span<char> into);
  Task<bool> write_input(std::span<const char> bytes);
  [[nodiscard]] bool is_feeding_over() const;
  void body_broke(Ending ending);

  Task<> relay_output();
  void release();
  Task<> send_answer();
  [[nodiscard]] bool is_answer_stuck() const;

  Task<> read_errors();
  Task<> watch_exit();

  Task<> until_over();
  [[nodiscard]] bool is_over() const;
  [[nodiscard]] Deadline next_deadline() const;
  void on_deadline();
  Task<> end_processes();
  Task<> until_exit(Deadline deadline);
  Task<> until_group_is_gone(Deadline deadline);
  Task<> until_quiet();
  [[nodiscard]] RunOutcome outcome();
  [[nodiscard]] RunOutcome broken_off(std::string reason);

  // Constant after construction.
  const asio::any_io_executor executor_;
  const Program program_;
  net::Exchange& exchange_;

  Process process_;
  Pipe input_;
  Source output_;
  Source errors_;
  StderrLines lines_;
  net::TaskGroup tasks_;

  std::uint64_t fed_ = 0;
  int visitor_waits_ = 0;
  Deadline last_move_ = Clock::now();

  // nginx stops sending a request's body as soon as the answer has begun, so an answer that begins before the program
  // has all of the body would starve it. Until then nothing of it is sent.
  Answer answer_;
  bool is_released_ = false;
  std::optional<Deadline> input_blocked_since_;  // the program has not read for so long

  std::optional<Deadline> output_ended_at_;
  std::optional<Deadline> exited_at_;
  int exit_code_ = 255;
  bool is_cut_off_ = false;
  bool has_lingered_ = false;  // the answer is complete, the program did not go
  std::optional<Ending> ending_;
};

Task<> reap_later(Process process) {
  boost::system::error_code ignored;
  co_await process.exit_event().async_wait(Pipe::wait_read, asio::redirect_error(asio::use_awaitable, ignored));
  process.reap();
}

Task<RunOutcome> Run::serve() {
  if (program_.content_length == 0U) release();
  start(feed_input());
  start(relay_output());
  start(read_errors());
  start(watch_exit());
  exchange_.on_abort([weak = weak_from_this()] {
    if (const auto run = weak.lock()) run->stop({.by_visitor = true, .reason = "the visitor went away"});
  });
  co_await until_over();
  co_await end_processes();
  co_await until_quiet();
  exchange_.on_abort({});
  if (!process_.is_reaped()) asio::co_spawn(executor_, reap_later(std::move(process_)), asio::detached);
  tasks_.rethrow();
  co_return outcome();
}

void Run::stop(Ending ending) {
  if (ending_) return;
  ending_ = std::move(ending);
  close_input();
  boost::system::error_code ignored;
  output_.pipe.cancel(ignored);
  answer_.stop();
  tasks_.notify();
}

void Run::close_input() {
  boost::system::error_code ignored;
  if (input_.is_open()) input_.close(ignored);
}

// ---- The visitor's body to the program ----

Task<> Run::feed_input() {
  std::vector<char> buffer(kPieceSize);
  for (bool is_more = true; is_more;) is_more = co_await feed_piece(buffer);
  close_input();
  release();
}

Task<bool> Run::feed_piece(std::span<char> buffer) {
  const auto wanted = program_.content_length.value_or(UINT64_MAX) - fed_;
  const auto room = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), wanted));
  if (room == 0) co_return false;
  const net::IoResult<std::size_t> size = co_await read_visitor(buffer.first(room));
  if (is_feeding_over() || !accept_piece(size)) co_return false;
  const bool is_taken = co_await write_input(buffer.first(*size));
  co_return is_taken;
}

// False if there is nothing to pass on.
bool Run::accept_piece(const net::IoResult<std::size_t>& size) {
  if (!size) {
    body_broke({.by_visitor = size.error() == StreamError::closed,
                .status = 400,
                .reason = "the request's body: " + std::string(name(size.error()))});
    return false;
  }
  if (*size == 0) {
    if (program_.content_length) body_broke({.status = 400, .reason = "the request's body ended early"});
    return false;
  }
  fed_ += *size;
  if (program_.max_body == 0 || fed_ <= program_.max_body) return true;
  body_broke({.status = 413, .reason = "the request's body is larger than max_body"});
  return false;
}

// Waits in slices, so that an answered request does not wait for a visitor who is still sending.
Task<net::IoResult<std::size_t>> Run::read_visitor(std::span<char> into) {
  const VisitorWait waiting(*this);
  const Deadline stalled_at = net::after(program_.visitor_stall);
  for (;;) {
    const Deadline slice = std::min(stalled_at, net::after(kReadSlice));
    const net::IoResult<std::size_t> size = co_await exchange_.read_body(into, slice);
    const bool is_slice_over = !size && size.error() == StreamError::deadline && Clock::now() >= slice;
    if (!is_slice_over || slice == stalled_at || is_feeding_over()) co_return size;
  }
}

// False if the program no longer reads: it need not.
Task<bool> Run::write_input(std::span<const char> bytes) {
  while (!bytes.empty()) {
    if (!input_.is_open()) co_return false;
    const auto buffer = asio::buffer(bytes.data(), bytes.size());
    boost::system::error_code error;
    input_blocked_since_ = Clock::now();
    if (answer_.has_head()) tasks_.notify();
    const std::size_t size = co_await input_.async_write_some(buffer, asio::redirect_error(asio::use_awaitable, error));
    input_blocked_since_.reset();
    if (error) co_return false;
    moved();
    bytes = bytes.subspan(size);
  }
  co_return true;
}

bool Run::is_feeding_over() const {
  return ending_ || tasks_.has_failed() || exited_at_ || !input_.is_open();
}

// Once the whole answer is out, it does not matter any more.
void Run::body_broke(Ending ending) {
  if (!answer_.has_head() || !output_ended_at_) stop(std::move(ending));
}

// ---- The program's answer to the visitor ----

Task<> Run::relay_output() {
  std::vector<char> buffer(kPieceSize);
  while (!ending_) {
    const std::size_t size = co_await read_some(output_, buffer);
    if (size == 0 || ending_) break;
    // What nobody gets any more must not keep a program alive that writes without end.
    if (answer_.has_head() && !answer_.wants_more()) continue;
    moved();
    const VisitorWait waiting(*this);
    auto taken = co_await answer_.take({buffer.data(), size});
    if (!taken) stop({.status = taken.error().status, .reason = std::move(taken.error().reason)});
    if (is_answer_stuck()) tasks_.notify();
  }
  output_ended_at_ = Clock::now();
  answer_.end();
  tasks_.notify();
}

void Run::release() {
  if (is_released_ || ending_) return;
  is_released_ = true;
  start(send_answer());
}

Task<> Run::send_answer() {
  auto sent = co_await answer_.send();
  if (sent) co_return;
  stop({.by_visitor = sent.error().by_visitor, .status = 500, .reason = std::move(sent.error().reason)});
}

// A program that answers and does not read need not be waited for: it will not read the rest either.
bool Run::is_answer_stuck() const {
  return !is_released_ && answer_.has_head() && input_blocked_since_;
}

// ---- Its log, its end ----

Task<> Run::read_errors() {
  std::vector<char> buffer(kPieceSize / 16);
  for (;;) {
    const std::size_t size = co_await read_some(errors_, buffer);
    if (size == 0) break;
    // What nobody reads any more must not keep a hanging program alive.
    if (lines_.add({buffer.data(), size})) moved();
  }
  lines_.finish();
}

Task<> Run::watch_exit() {
  std::optional<int> code;
  while (!code) {
    boost::system::error_code error;
    co_await process_.exit_event().async_wait(Pipe::wait_read, asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return;
    code = process_.exit_code();
  }
  exit_code_ = *code;
  exited_at_ = Clock::now();
  close_input();
  tasks_.notify();
}

Task<> Run::until_over() {
  while (!is_over()) {
    const Deadline next = next_deadline();
    if (Clock::now() < next) {
      co_await tasks_.wait_until(next);
    } else {
      on_deadline();
    }
  }
}

bool Run::is_over() const {
  return ending_ || tasks_.has_failed() || has_lingered_ || (exited_at_ && output_ended_at_);
}

Deadline Run::next_deadline() const {
  if (is_cut_off_) return Deadline::max();
  if (exited_at_) return *exited_at_ + kGrace;
  if (is_answer_stuck()) return input_blocked_since_.value_or(last_move_) + kGrace;
  if (output_ended_at_ && !answer_.has_head()) return *output_ended_at_ + kGrace;
  // While the visitor is waited for, nothing is due; last_move_ tells afterwards.
  if (visitor_waits_ > 0) return net::after(program_.timeout);
  return last_move_ + program_.timeout;
}

void Run::on_deadline() {
  if (exited_at_) {
    is_cut_off_ = true;
    close_soon(output_);
  } else if (is_answer_stuck()) {
    release();
  } else if (output_ended_at_) {
    has_lingered_ = true;
  } else {
    stop({.status = 504, .reason = "the program was silent for too long"});
  }
}

// Up to the first call of reap() the process is a zombie at most, so that its number still means its group.
Task<> Run::end_processes() {
  process_.signal(SIGTERM);
  const Deadline patience = net::after(kKillAfter);
  co_await until_exit(patience);
  co_await until_group_is_gone(patience);
  if (process_.is_gone()) co_return;
  process_.signal(SIGKILL);
  const Deadline exit = net::after(kKilledWithin);
  co_await until_exit(exit);
  const Deadline last = net::after(kGroupKilledWithin);
  co_await until_group_is_gone(last);
}

Task<> Run::until_exit(Deadline deadline) {
  while (!exited_at_ && Clock::now() < deadline) co_await tasks_.wait_until(deadline);
  if (exited_at_) process_.reap();
}

Task<> Run::until_group_is_gone(Deadline deadline) {
  while (process_.is_reaped() && !process_.is_gone() && Clock::now() < deadline) {
    const Deadline next = std::min(deadline, net::after(kGroupPoll));
    co_await tasks_.wait_until(next);
  }
}

Task<> Run::until_quiet() {
  close_input();
  close_soon(output_);
  close_soon(errors_);
  boost::system::error_code ignored;
  process_.exit_event().cancel(ignored);
  while (!tasks_.is_quiet()) {
    if (tasks_.has_failed()) answer_.stop();
    const Deadline never = Deadline::max();
    co_await tasks_.wait_until(never);
  }
}

RunOutcome Run::outcome() {
  if (ending_ && (ending_->by_visitor || exchange_.head_written())) return broken_off(ending_->reason);
  if (ending_) return Failed{ending_->status, ending_->reason};
  if (answer_.local_redirect()) return LocalRedirect{*answer_.local_redirect()};
  if (!answer_.has_head())
    return Failed{502, "the program ended without an answer, exit code " + std::to_string(exit_code_)};
  if (answer_.missing() > 0) return broken_off("the program's answer is shorter than its Content-Length");
  return Delivered{answer_.status(), exit_code_};
}

RunOutcome Run::broken_off(std::string reason) {
  if (exchange_.head_written()) exchange_.break_off();
  return BrokenOff{std::move(reason), ending_ && ending_->by_visitor, answer_.status()};
}

RunOutcome not_started(const SpawnFailure& failure) {
  const int error = failure.error;
  const bool is_shortage =
      error == EAGAIN || error == ENOMEM || error == EMFILE || error == ENFILE || error == ENOSPC || error == ETXTBSY;
  return Failed{is_shortage ? 503 : 502, "the program cannot be started (" + std::string(failure.step) +
                                             "): " + std::generic_category().message(error)};
}

}  // namespace

Task<RunOutcome> run(Program program, net::Exchange& exchange, bool without_body, HeadHook on_head,
                     StderrLine on_stderr) {
  const bool is_too_large = program.max_body != 0 && program.content_length.value_or(0) > program.max_body;
  if (is_too_large) co_return Failed{413, "the announced body is larger than max_body"};
  const auto executor = co_await asio::this_coro::executor;
  auto child = Child::spawn(executor, program);
  if (!child) co_return not_started(child.error());
  const auto running = std::make_shared<Run>(executor, std::move(*child), std::move(program), exchange, without_body,
                                             std::move(on_head), std::move(on_stderr));
  RunOutcome outcome = co_await running->serve();
  co_return outcome;
}

}  // namespace gatehouse::cgi
