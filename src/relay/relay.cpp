#include "relay/relay.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <string>
#include <utility>

#include "cgi/answer.hpp"
#include "cgi/stderr_lines.hpp"
#include "fastcgi/name_value.hpp"
#include "net/task_group.hpp"

namespace gatehouse::relay {

namespace {

namespace asio = net::asio;
using fastcgi::ClientRequest;
using net::Deadline;
using net::Task;
using Clock = std::chrono::steady_clock;

// One read may hold thousands of records, and others wait for this thread too.
constexpr std::size_t kPiecesAtOnce = 64;
constexpr std::size_t kPieceSize = fastcgi::kMaxAlignedContent;

cgi::Failed refused_by(fastcgi::ProtocolStatus status) {
  switch (status) {
    case fastcgi::ProtocolStatus::overloaded: return {503, "the application is overloaded"};
    case fastcgi::ProtocolStatus::cant_mpx_conn: return {503, "the application takes one request a connection"};
    case fastcgi::ProtocolStatus::unknown_role: return {502, "the application is no responder"};
    case fastcgi::ProtocolStatus::request_complete: break;
  }
  return {502, "the application ended without an answer"};
}

// Gives a connection up whose visitor has left. Its place is wanted by others.
class VisitorWatch {
 public:
  VisitorWatch(net::Exchange& exchange, net::Connecting& connecting) : exchange_(exchange) {
    exchange_.on_abort([this, &connecting] {
      is_gone_ = true;
      connecting.give_up();
    });
  }
  ~VisitorWatch() { exchange_.on_abort({}); }
  VisitorWatch(const VisitorWatch&) = delete;
  VisitorWatch& operator=(const VisitorWatch&) = delete;
  [[nodiscard]] bool is_gone() const { return is_gone_; }

 private:
  net::Exchange& exchange_;
  bool is_gone_ = false;
};

cgi::Failed not_opened(net::NotConnected failure) {
  switch (failure.why) {
    case net::NotConnected::Why::down: break;
    case net::NotConnected::Why::busy: return {503, std::move(failure.reason)};
    case net::NotConnected::Why::silent: return {504, std::move(failure.reason)};
  }
  return {502, std::move(failure.reason)};
}

// One application and one request. Its coroutines (send_request, receive, send_answer) run side by side on one thread;
// serve() watches them and returns when all three have ended.
class Relay : public std::enable_shared_from_this<Relay> {
 public:
  Relay(const asio::any_io_executor& executor, Deadline begun, std::shared_ptr<ClientRequest> request,
        std::string params, Relayed relayed, net::Exchange& exchange, cgi::HeadHook on_head, cgi::StderrLine on_stderr)
      : relayed_(std::move(relayed)),
        params_(std::move(params)),
        exchange_(exchange),
        request_(std::move(request)),
        tasks_(executor),
        lines_(std::move(on_stderr)),
        answer_(executor, exchange,
                {.without_body = relayed_.without_body,
                 .most_kept = relayed_.most_kept,
                 .visitor_stall = relayed_.visitor_stall},
                std::move(on_head)),
        last_move_(begun) {}

  Task<cgi::RunOutcome> serve();

 private:
  // Why it ended before its time.
  struct Ending {
    bool by_visitor = false;  // who has gone: nobody is there to be answered
    int status = 0;
    std::string reason;
  };

  void start(Task<> task) { tasks_.start(std::move(task), shared_from_this()); }
  void moved() { last_move_ = Clock::now(); }
  void stop(Ending ending);

  Task<> send_request();
  Task<> receive();
  Task<bool> receive_one();
  Task<bool> take_output(std::string_view content);
  void take_end(const fastcgi::EndRequest& end);
  void take_closing(const fastcgi::Broken& broken);
  Task<> send_answer();

  Task<> until_over();
  [[nodiscard]] Deadline next_deadline() const;
  void on_deadline();
  [[nodiscard]] cgi::RunOutcome outcome();
  [[nodiscard]] cgi::RunOutcome broken_off(std::string reason);

  // Constant after construction.
  Relayed relayed_;
  const std::string params_;
  net::Exchange& exchange_;

  const std::shared_ptr<ClientRequest> request_;
  net::TaskGroup tasks_;
  cgi::StderrLines lines_;
  cgi::Answer answer_;

  Deadline last_move_;
  bool waits_for_visitor_ = false;  // the application is not to blame for being silent
  bool is_given_up_ = false;
  bool is_over_ = false;  // nothing more is read from the application
  std::optional<fastcgi::EndRequest> end_;
  std::optional<Ending> ending_;
};

Task<cgi::RunOutcome> Relay::serve() {
  start(send_request());
  start(receive());
  start(send_answer());
  exchange_.on_abort([weak = weak_from_this()] {
    if (const auto relay = weak.lock()) relay->stop({.by_visitor = true, .reason = "the visitor went away"});
  });
  co_await until_over();
  while (!tasks_.is_quiet()) {
    if (tasks_.has_failed()) stop({.status = 500, .reason = "an exception"});
    const Deadline never = Deadline::max();
    co_await tasks_.wait_until(never);
  }
  exchange_.on_abort({});
  tasks_.rethrow();
  co_return outcome();
}

void Relay::stop(Ending ending) {
  if (ending_) return;
  ending_ = std::move(ending);
  request_->abort();
  answer_.stop();
  tasks_.notify();
}

// ---- To the application ----

// An application that takes no more may have answered; if it has not, receive() finds that out.
Task<> Relay::send_request() {
  auto sent = co_await request_->begin(params_);
  const auto buffer = std::make_unique_for_overwrite<char[]>(relayed_.body_size == 0 ? 0 : kPieceSize);
  std::uint64_t left = relayed_.body_size;
  while (sent && left > 0) {
    const std::size_t size = relayed_.body.take({buffer.get(), kPieceSize});
    if (size == 0) {
      stop({.status = 500, .reason = "the kept body cannot be read again"});
      co_return;
    }
    left -= size;
    sent = co_await request_->send_stdin({buffer.get(), size});
  }
  if (sent) sent = co_await request_->end_stdin();
}

// ---- From the application ----

Task<> Relay::receive() {
  std::size_t taken = 0;
  for (bool is_more = true; is_more && !ending_;) {
    is_more = co_await receive_one();
    if (++taken % kPiecesAtOnce == 0) co_await asio::post(asio::use_awaitable);
  }
  lines_.finish();
  if (!ending_) relayed_.application.done(*request_);
  relayed_.place.reset();
  is_over_ = true;
  answer_.end();
  tasks_.notify();
}

// False if nothing more is to come.
Task<bool> Relay::receive_one() {
  const auto output = co_await request_->next();
  if (ending_) co_return false;
  if (!output) {
    take_closing(output.error());
    co_return false;
  }
  switch (output->kind) {
    case fastcgi::Output::Kind::err:
      // What nobody reads any more must not keep a hanging application alive.
      if (lines_.add(output->content)) moved();
      co_return true;
    case fastcgi::Output::Kind::end: take_end(output->end); co_return false;
    case fastcgi::Output::Kind::out: break;
  }
  const bool is_taken = co_await take_output(output->content);
  co_return is_taken;
}

// A header is no sign of life before it is whole: it may trickle. Nor is what the visitor is not sent: an application
// may write without end what HEAD, or its own Content-Length, leaves out.
Task<bool> Relay::take_output(std::string_view content) {
  if (answer_.has_head() && !answer_.wants_more()) co_return true;
  if (answer_.wants_more()) moved();
  waits_for_visitor_ = true;
  auto taken = co_await answer_.take(content);
  waits_for_visitor_ = false;
  if (!taken) {
    stop({.status = taken.error().status, .reason = std::move(taken.error().reason)});
    co_return false;
  }
  if (answer_.wants_more()) moved();
  co_return true;
}

void Relay::take_end(const fastcgi::EndRequest& end) {
  end_ = end;
  if (answer_.has_head()) return;
  auto failed = refused_by(end.protocol_status);
  stop({.status = failed.status, .reason = std::move(failed.reason)});
}

// Without END_REQUEST nothing tells a whole answer from a cut one, but its own length or the end of STDOUT.
void Relay::take_closing(const fastcgi::Broken& broken) {
  const bool is_ended = answer_.has_head() && request_->has_ended_out() && broken.is_closed;
  if (answer_.is_whole() || is_ended) return;
  stop({.status = 502, .reason = "the application broke off: " + broken.reason});
}

Task<> Relay::send_answer() {
  auto sent = co_await answer_.send();
  if (sent) co_return;
  stop({.by_visitor = sent.error().by_visitor, .status = 500, .reason = std::move(sent.error().reason)});
}

// ---- Its end ----

Task<> Relay::until_over() {
  while (!ending_ && !is_over_ && !tasks_.has_failed()) {
    const Deadline next = next_deadline();
    if (Clock::now() < next) {
      co_await tasks_.wait_until(next);
    } else {
      on_deadline();
    }
  }
}

Deadline Relay::next_deadline() const {
  if (is_given_up_) return Deadline::max();
  // While the visitor is waited for, nothing is due; last_move_ tells afterwards.
  if (waits_for_visitor_) return net::after(relayed_.timeout);
  // Of a request without a body the parameters are all that is sent, at once: the time began before them.
  const bool counts_sent = relayed_.body_size > 0 || answer_.has_head();
  return (counts_sent ? std::max(last_move_, request_->last_sent()) : last_move_) + relayed_.timeout;
}

// An application that has said all and does not end need not be waited for.
void Relay::on_deadline() {
  is_given_up_ = true;
  const bool is_ended = answer_.has_head() && request_->has_ended_out();
  if (!answer_.is_whole() && !is_ended)
    return stop({.status = 504, .reason = "the application was silent for too long"});
  request_->abort();
}

cgi::RunOutcome Relay::outcome() {
  if (ending_ && (ending_->by_visitor || exchange_.head_written())) return broken_off(ending_->reason);
  if (ending_) return cgi::Failed{ending_->status, ending_->reason};
  if (answer_.local_redirect()) return cgi::LocalRedirect{*answer_.local_redirect()};
  if (answer_.missing() > 0) return broken_off("the application's answer is shorter than its Content-Length");
  return cgi::Delivered{answer_.status(), end_ ? static_cast<int>(end_->app_status) : 0};
}

cgi::RunOutcome Relay::broken_off(std::string reason) {
  if (exchange_.head_written()) exchange_.break_off();
  return cgi::BrokenOff{std::move(reason), ending_ && ending_->by_visitor, answer_.status()};
}

}  // namespace

Task<cgi::RunOutcome> relay(Relayed relayed, net::Exchange& exchange, cgi::HeadHook on_head,
                            cgi::StderrLine on_stderr) {
  std::string params;
  if (!fastcgi::append_params(params, ClientRequest::kRequestId, relayed.params)) {
    co_return cgi::Failed{431, "a parameter does not fit into a record"};
  }
  const auto executor = co_await asio::this_coro::executor;
  const Deadline begun = Clock::now();
  const Deadline deadline = begun + relayed.timeout;
  net::Connecting connecting(executor);
  const VisitorWatch watch(exchange, connecting);
  auto opened = co_await relayed.application.open(relayed.body_size > 0, connecting, deadline);
  if (watch.is_gone()) co_return cgi::BrokenOff{"the visitor went away"};
  if (!opened) co_return not_opened(std::move(opened.error()));
  const auto running = std::make_shared<Relay>(executor, begun, std::move(*opened), std::move(params),
                                               std::move(relayed), exchange, std::move(on_head), std::move(on_stderr));
  cgi::RunOutcome outcome = co_await running->serve();
  co_return outcome;
}

}  // namespace gatehouse::relay
