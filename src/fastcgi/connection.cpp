// The web server's records, one by one, and what each of them does to the one open request.
#include "fastcgi/connection.hpp"

#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <algorithm>
#include <cassert>
#include <utility>

namespace gatehouse::fastcgi {
namespace {

// After so many full buffers another connection's turn comes.
constexpr int kReadsPerTurn = 4;
// Replies to management records that a peer asks for and does not read.
constexpr std::size_t kMaxUnreadReplies = std::size_t{64} * 1024;

constexpr std::string_view kMaxConns = "FCGI_MAX_CONNS";
constexpr std::string_view kMaxReqs = "FCGI_MAX_REQS";
constexpr std::string_view kMpxsConns = "FCGI_MPXS_CONNS";

bool is_served(std::uint16_t role) {
  return role == static_cast<std::uint16_t>(Role::responder) || role == static_cast<std::uint16_t>(Role::authorizer);
}

}  // namespace

struct Connection::AskedValues {
  // One record is the list, so only a single pair is ever kept.
  PairDecoder pairs{{.pair_bytes = kMaxContent, .total_bytes = kMaxContent, .count = kMaxContent}};
  bool max_conns = false;
  bool max_reqs = false;
  bool mpxs_conns = false;
};

struct Connection::NextRequest {
  RecordHeader header;
  BeginRequest begin;
  std::string rest;  // what was received behind its BEGIN_REQUEST
};

Connection::Connection(std::shared_ptr<const Service> service, net::Accepted accepted)
    : Wire(accepted.reactor.context.get_executor(), accepted.fd),
      net::Connection(std::move(accepted.host), accepted.reactor),
      service_(std::move(service)),
      is_tcp_(accepted.is_tcp) {}

// The first records are usually there already.
void Connection::begin() {
  on_readable();
}

// A request that has begun to arrive has its own limit of time, and so has the rest of a body that nobody reads.
void Connection::close_if_idle() {
  const bool is_idle = stage_ == Stage::idle && decoder_.at_boundary() && !has_input();
  if (is_idle) close(net::StreamError::closed);
}

std::shared_ptr<net::Connection> Connection::hold() {
  return {weak_from_this().lock(), this};
}

void Connection::on_closed() {
  disarm_guard();
  values_.reset();
  if (stage_ == Stage::serving) request_->end_waiting(failure());
}

// --- Reading -------------------------------------------------------------------------------------------------------

void Connection::on_readable() {
  for (int turn = 0; turn < kReadsPerTurn; ++turn) {
    const std::size_t room = reading_room();
    // With a full window, or a next request, nothing is read, and so only a peer that is wholly gone is noticed.
    if (room == 0) return wait_hang_up();
    const ssize_t count = receive({reactor().scratch.get(), room});
    if (!is_open()) return;
    if (count == 0) return end_of_input();
    if (count < 0) break;
    consume({reactor().scratch.get(), static_cast<std::size_t>(count)});
    if (!is_open()) return;
    if (static_cast<std::size_t>(count) < room) break;
  }
  wait_readable();
}

std::size_t Connection::reading_room() const {
  if (next_) return 0;
  const bool fills_window = stage_ == Stage::serving && request_->has_body() && !request_->body_ended();
  return fills_window ? std::min(net::Reactor::kScratchSize, request_->window_room()) : net::Reactor::kScratchSize;
}

void Connection::resume_reading() {
  if (!input_ended_) wait_readable();
}

void Connection::end_of_input() {
  const bool has_all = stage_ == Stage::serving && (request_->body_ended() || !request_->has_body());
  // A peer that only shuts down its sending side still wants the answer. TCP does not tell the two apart.
  if (!has_all || is_tcp_ || has_hung_up()) return close(net::StreamError::closed);
  input_ended_ = true;
  wait_hang_up();
}

void Connection::on_hang_up() {
  close(net::StreamError::closed);
}

void Connection::consume(std::string_view input) {
  note_use();
  RecordPiece piece;
  while (true) {
    const RecordDecoder::Step step = decoder_.next(input, piece);
    if (step == RecordDecoder::Step::need_more) break;
    if (step == RecordDecoder::Step::malformed || !accept(piece)) return close(net::StreamError::malformed);
    if (!is_open()) return;
    if (next_) {
      next_->rest = input;
      break;
    }
  }
  guard_header();
}

// --- Records -------------------------------------------------------------------------------------------------------

bool Connection::accept(const RecordPiece& piece) {
  if (piece.header.request_id == 0) return accept_management(piece);
  if (piece.header.type == RecordType::begin_request) return accept_begin(piece);
  const bool is_open_request = request_ && request_->id() == piece.header.request_id;
  switch (piece.header.type) {
    case RecordType::abort_request:
      if (is_open_request) return accept_abort();
      break;
    case RecordType::params:
      if (is_open_request) return accept_params(piece);
      break;
    case RecordType::stdin_stream:
      if (is_open_request) return accept_stdin(piece);
      break;
    case RecordType::data_stream:
      if (is_open_request) return false;  // belongs to the filter role
      break;
    default: return false;  // what only an application sends, or nobody
  }
  // Left over from a request that is answered, or of one that was refused. Nothing precedes a first BEGIN.
  return has_begun_ && ignore(piece, service_->options.max_params_bytes);
}

bool Connection::ignore(const RecordPiece& piece, std::size_t limit) {
  ignored_ += piece.content.size() + (piece.first ? kHeaderSize : 0);
  return ignored_ <= limit;
}

bool Connection::accept_management(const RecordPiece& piece) {
  if (piece.header.type == RecordType::get_values) return accept_get_values(piece);
  if (piece.header.type < RecordType::get_values) return false;
  // An UNKNOWN_TYPE answered by an UNKNOWN_TYPE could go on for ever.
  if (piece.first && piece.header.type != RecordType::unknown_type) {
    append_unknown_type(pending(), piece.header.type);
    reply();
  }
  return true;
}

bool Connection::accept_get_values(const RecordPiece& piece) {
  if (!values_) values_ = std::make_unique<AskedValues>();
  std::string_view content = piece.content;
  NameValue pair;
  PairDecoder::Step step = values_->pairs.next(content, pair);
  for (; step == PairDecoder::Step::pair; step = values_->pairs.next(content, pair)) {
    values_->max_conns |= pair.name == kMaxConns;
    values_->max_reqs |= pair.name == kMaxReqs;
    values_->mpxs_conns |= pair.name == kMpxsConns;
  }
  if (step == PairDecoder::Step::too_large) return false;
  if (!piece.last) return true;
  const std::unique_ptr<AskedValues> asked = std::move(values_);
  if (!asked->pairs.at_boundary()) return false;
  const std::string most = std::to_string(server_options().max_connections);
  std::string values;
  if (asked->max_conns) append_name_value(values, kMaxConns, most);
  if (asked->max_reqs) append_name_value(values, kMaxReqs, most);
  if (asked->mpxs_conns) append_name_value(values, kMpxsConns, "0");
  append_record(pending(), RecordType::get_values_result, 0, values);
  reply();
  return true;
}

// Sends a reply that is pending. A peer that asks and asks, and does not read, is let go.
void Connection::reply() {
  if (pending().size() > kMaxUnreadReplies) return close(net::StreamError::malformed);
  flush();
}

bool Connection::accept_begin(const RecordPiece& piece) {
  const BeginRequest begin = decode_begin_request(piece.content);
  if (stage_ == Stage::idle) {
    open_request(piece.header, begin);
    return true;
  }
  const bool is_whole = request_->body_ended() || !request_->has_body();
  if (stage_ == Stage::serving && is_whole && keeps_) {
    next_ = std::make_unique<NextRequest>(piece.header, begin);
    return true;
  }
  // Behind an answer that is out, a request before the end of the last one's STDIN means that the two of us do not
  // agree on where that one ends.
  if (stage_ == Stage::draining || piece.header.request_id == request_->id()) return false;
  append_end_request(pending(), piece.header.request_id,
                     {.app_status = 0, .protocol_status = ProtocolStatus::cant_mpx_conn});
  reply();
  return ignore(piece, service_->options.max_params_bytes);
}

void Connection::open_request(const RecordHeader& header, const BeginRequest& begin) {
  has_begun_ = true;
  ignored_ = 0;
  const bool has_role = is_served(begin.role);
  keeps_ = has_role && (begin.flags & kKeepConnection) != 0;
  const Role role = has_role ? static_cast<Role>(begin.role) : Role::responder;
  request_ = std::make_unique<Request>(*this, *this, service_->options, header.request_id, role);
  stage_ = Stage::params;
  if (has_role) return;
  append_end_request(pending(), header.request_id, {.app_status = 0, .protocol_status = ProtocolStatus::unknown_role});
  reply();
  start_draining();
}

bool Connection::accept_params(const RecordPiece& piece) {
  if (stage_ == Stage::draining) return ignore(piece, service_->options.drain_bytes);
  if (stage_ != Stage::params) return false;
  if (piece.header.content_length == 0) {
    if (!request_->end_params()) return false;
    start_serving();
    return true;
  }
  if (request_->take_params(piece.content) == Request::ParamsStep::too_large) refuse_params();
  return true;
}

void Connection::refuse_params() {
  keeps_ = false;
  request_->refuse(431);
  reply();
  start_draining();
}

bool Connection::accept_stdin(const RecordPiece& piece) {
  const bool is_end = piece.header.content_length == 0;
  if (stage_ == Stage::params) return false;
  if (stage_ == Stage::draining) {
    if (!is_end) {
      arm_guard(service_->options.drain_time);
      return ignore(piece, service_->options.drain_bytes);
    }
    next_request();
    return true;
  }
  if (is_end) {
    request_->end_body();
    return true;
  }
  if (!request_->has_body()) return ignore(piece, service_->options.drain_bytes);
  if (request_->body_ended()) return false;
  request_->take_body(piece.content);
  return true;
}

// No answer could be delivered, so none is made; the handler, if it runs, is told.
bool Connection::accept_abort() {
  close(net::StreamError::closed);
  return true;
}

// --- Serving -------------------------------------------------------------------------------------------------------

void Connection::start_serving() {
  stage_ = Stage::serving;
  disarm_guard();
  enter_busy();
  auto self = std::static_pointer_cast<Connection>(shared_from_this());
  asio::co_spawn(executor(), serve(std::move(self)), asio::detached);
}

net::Task<> Connection::serve(std::shared_ptr<Connection> self) {
  Request& request = *self->request_;
  bool has_returned = false;
  // A visitor who went with the last record is nobody to serve.
  if (self->is_open()) {
    try {
      net::Task<> work = self->service_->handler(request);
      co_await std::move(work);
      has_returned = true;
    } catch (...) {
      has_returned = false;  // the request loop: one broken request must not end the others
    }
  }
  request.forget_notice();
  if (has_returned && request.is_answered()) co_await self->take_rest();
  if (has_returned && request.is_answered() && self->is_open()) {
    request.append_end();
    const net::Deadline deadline = net::after(self->service_->options.write_time);
    const net::IoResult<void> sent = co_await self->flush_all(deadline);
    if (sent) self->answered();
  } else {
    self->close_abruptly();
  }
  self->leave_busy();
}

// mod_proxy_fcgi stops in the middle of a body when END_REQUEST comes, and sends somebody else's request behind it. So
// that mark waits for the rest, as long as it comes.
net::Task<> Connection::take_rest() {
  if (!keeps_ || !request_->has_body() || request_->body_ended()) co_return;
  constexpr std::size_t kPieceSize = std::size_t{16} * 1024;
  const auto piece = std::make_unique_for_overwrite<char[]>(kPieceSize);
  const net::Deadline end = net::after(service_->options.drain_time);
  std::size_t dropped = 0;
  while (!request_->body_ended() && dropped <= service_->options.drain_bytes) {
    const net::Deadline patience = std::min(end, net::after(service_->options.rest_time));
    const net::IoResult<std::size_t> size = co_await request_->read_body({piece.get(), kPieceSize}, patience);
    if (!size) break;
    dropped += *size;
  }
  keeps_ = request_->body_ended();
}

void Connection::answered() {
  note_use();
  const bool has_read_all = request_->body_ended() || (!request_->has_body() && keeps_);
  if (input_ended_) return close(net::StreamError::closed);
  if (has_read_all) return next_request();
  start_draining();
}

// What the web server still sends is read and thrown away, for a while: closing under its hands makes it miss the
// answer (nginx: 502 on EPIPE), and keeping the connection needs the end of STDIN.
void Connection::start_draining() {
  if (!is_open()) return;
  stage_ = Stage::draining;
  ignored_ = 0;
  request_->drop_body();
  if (!keeps_ && pending().empty()) shut_down_sending();
  arm_guard(service_->options.drain_time);
  resume_reading();
}

void Connection::next_request() {
  const bool goes_on = keeps_ && (reactor().keeps_idle || next_);
  if (!goes_on) return close(net::StreamError::closed);
  stage_ = Stage::idle;
  request_.reset();
  disarm_guard();
  release_memory();
  if (next_) begin_next();
  if (!is_open()) return;
  guard_header();
  resume_reading();
}

void Connection::begin_next() {
  const std::unique_ptr<NextRequest> next = std::move(next_);
  open_request(next->header, next->begin);
  if (is_open()) consume(next->rest);
}

// --- Time ----------------------------------------------------------------------------------------------------------

// A connection may be idle for ever; a request that has begun may not be half there for ever.
void Connection::guard_header() {
  if (stage_ == Stage::serving || stage_ == Stage::draining) return;
  const bool has_begun = stage_ == Stage::params || !decoder_.at_boundary();
  if (has_begun && !guard_) arm_guard(service_->options.header_time);
  if (!has_begun) disarm_guard();
}

void Connection::arm_guard(std::chrono::milliseconds time) {
  guard_ = std::make_unique<net::Timer>(executor(), time);
  auto self = std::static_pointer_cast<Connection>(shared_from_this());
  guard_->async_wait([self = std::move(self), number = ++guard_number_](const boost::system::error_code& error) {
    if (!error && number == self->guard_number_) self->close(net::StreamError::deadline);
  });
}

void Connection::disarm_guard() {
  ++guard_number_;
  guard_.reset();
}

net::ConnectionFactory connections(Handler handler, const ServerOptions& options) {
  const auto service = std::make_shared<const Service>(std::move(handler), options);
  return [service](net::Accepted accepted) { return std::make_shared<Connection>(service, std::move(accepted)); };
}

}  // namespace gatehouse::fastcgi
