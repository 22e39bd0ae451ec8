#include "proxy/net/connection.h"

#include <sys/epoll.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "proxy/counters.h"
#include "proxy/http1/error_response.h"
#include "proxy/websocket/handshake.h"

namespace apm::net {
namespace {

using proxy::Add;

// So much of a body that nobody wants is dropped to save the connection.
constexpr uint64_t kMaxDroppedBytes = uint64_t{64} << 10;
// What a client may still send after our last word, in bytes and in time. Many
// send all of a body before they look for the answer that refuses it.
constexpr uint64_t kMaxLingerBytes = uint64_t{64} << 20;
constexpr absl::Duration kLingerTime = absl::Seconds(2);
constexpr int kRetryAfterSeconds = 1;

}  // namespace

Connection::Connection(NetContext& context, Listener& listener, Peer peer,
                       UniqueFd socket)
    : context_(context),
      listener_(listener),
      peer_(std::move(peer)),
      socket_(context, std::move(socket)),
      timer_(context.loop, [this] { OnDeadline(); }),
      exchange_(context, *this, socket_, listener, peer_) {
  ++listener_.connections;
}

Connection::~Connection() {
  Abort("proxy stops");
  --listener_.connections;
}

absl::Status Connection::Start() {
  EnterReading();
  timer_.Set(deadline_);
  return socket_.Watch([this](uint32_t events) { OnEvents(events); });
}

void Connection::RefuseOverload() {
  http1::AppendErrorResponse(http1::Exchange(),
                             {.status = 503,
                              .detail = "too many connections",
                              .retry_after_seconds = kRetryAfterSeconds},
                             context_.DateNow(), socket_.output());
  linger_ = true;
  state_ = State::kFlushing;
  Mark();
}

void Connection::OnEvents(uint32_t events) {
  if (closed()) return;
  if ((events & EPOLLERR) != 0) {
    Abort("client gone");
    return;
  }
  if ((events & EPOLLIN) != 0) {
    OnReadable();
  } else if ((events & EPOLLHUP) != 0) {
    Abort("client gone");
    return;
  }
  Mark();
}

void Connection::OnReadable() {
  switch (socket_.Read(/*may_move=*/!HoldsHead())) {
    case ClientSocket::ReadResult::kBytes:
      Advance();
      return;
    case ClientSocket::ReadResult::kNothing:
      return;
    case ClientSocket::ReadResult::kEnd:
      OnInputEnded();
      return;
    case ClientSocket::ReadResult::kBroken:
      Abort("client gone");
      return;
  }
}

// A client that only stopped sending still gets its answer, all of it.
void Connection::OnInputEnded() {
  switch (state_) {
    case State::kReading:
    case State::kExchange:
      Advance();
      return;
    case State::kFlushing:
      linger_ = false;
      return;
    case State::kDraining:
      FlushAndClose();
      return;
    case State::kWebSocket:
    case State::kLingering:
    case State::kClosed:
      Abort("client gone");
      return;
  }
}

bool Connection::HoldsHead() const {
  return exchange_.holds_head() || (websocket_ && websocket_->holds_head());
}

// Works on the input until it needs more of it, or somebody else's answer.
void Connection::Advance() {
  for (;;) {
    switch (state_) {
      case State::kReading:
        if (socket_.output_full()) return;
        if (!socket_.has_input() || !ReadHead()) return;
        break;
      case State::kExchange:
        if (!exchange_.PumpBody()) Abort("client gone");
        if (state_ == State::kExchange) return;
        break;
      case State::kDraining:
        DropBody();
        if (state_ == State::kDraining) return;
        break;
      case State::kWebSocket:
        websocket_->PumpInput();
        return;
      case State::kFlushing:
      case State::kLingering:
        if (socket_.has_input()) {
          dropped_bytes_ += socket_.kit().unread().size();
          socket_.kit().Consume(socket_.kit().unread().size());
        }
        if (dropped_bytes_ > kMaxLingerBytes) Close();
        return;
      case State::kClosed:
        return;
    }
  }
}

// True if there is something to go on with.
bool Connection::ReadHead() {
  InputKit& kit = socket_.kit();
  switch (kit.parser.Parse(kit.unread())) {
    case http1::RequestParser::Result::kNeedMore:
      if (socket_.ended()) {
        Add(context_.counters->bad_requests);  // It will never be complete.
        FlushAndClose();
      } else if (!head_begun_) {
        head_begun_ = true;
        deadline_ = context_.loop.Now() + context_.limits.head_timeout;
      }
      return false;
    case http1::RequestParser::Result::kError: {
      state_ = State::kExchange;
      const http1::ParseError error = kit.parser.error();
      exchange_.Refuse(error.status, error.reason);
      return true;
    }
    case http1::RequestParser::Result::kComplete:
      BeginRequest();
      return true;
  }
  return false;
}

void Connection::BeginRequest() {
  const http1::Request& request = socket_.kit().parser.request();
  ++requests_;
  deadline_ = absl::InfiniteDuration();
  if (listener_.spec.websocket && websocket::IsUpgradeRequest(request)) {
    state_ = State::kWebSocket;
    websocket_ = std::make_unique<WebSocketSession>(context_, *this, socket_,
                                                    listener_, peer_);
    websocket_->Begin(request);
    return;
  }
  state_ = State::kExchange;
  exchange_.Begin(request, requests_ < context_.limits.max_requests);
}

void Connection::EnterReading() {
  state_ = State::kReading;
  head_begun_ = false;
  deadline_ = context_.loop.Now() + context_.limits.idle_timeout;
}

void Connection::OnAnswered(bool keep_alive) {
  Mark();
  if (!keep_alive) {
    // Unread bytes, here or on their way, would turn the close into a reset.
    linger_ =
        !socket_.ended() && (!exchange_.body().done() || socket_.has_input());
    state_ = State::kFlushing;
    deadline_ = absl::InfiniteDuration();
    return;
  }
  if (!exchange_.body().done()) {
    state_ = State::kDraining;
    dropped_bytes_ = 0;
    deadline_ = context_.loop.Now() + context_.limits.body_grace;
    return;
  }
  EnterReading();
}

void Connection::DropBody() {
  while (socket_.has_input() && !exchange_.body().done()) {
    RequestBody::Piece piece;
    const auto result = exchange_.body().Next(socket_.kit(), piece);
    if (result == RequestBody::Result::kNeedMore) return;
    dropped_bytes_ += piece.bytes.size();
    if (result != RequestBody::Result::kPiece ||
        dropped_bytes_ > kMaxDroppedBytes) {
      state_ = State::kFlushing;
      linger_ = true;
      return;
    }
  }
  if (exchange_.body().done()) EnterReading();
}

void Connection::OnAnswerBroken(bool reset) {
  if (reset) socket_.ResetOnClose();
  FlushAndClose();
}

void Connection::OnWebSocketDone() {
  // After the closing handshake it is the server who closes (RFC 6455 7.1.1).
  linger_ = !socket_.ended();
  state_ = State::kFlushing;
  deadline_ = absl::InfiniteDuration();
  Mark();
}

void Connection::EndOfTurn() {
  if (closed()) return;
  if (state_ == State::kExchange) exchange_.Commit();
  for (;;) {
    if (state_ != State::kFlushing && state_ != State::kLingering) Advance();
    if (closed()) return;
    const bool held_back = socket_.output_full();
    Flush();
    if (closed()) return;
    if (!held_back || socket_.output_full()) break;
    if (websocket_) websocket_->Resume();
  }
  UpdateInterest();
  timer_.Set(NextDeadline());
}

void Connection::Flush() {
  switch (socket_.Flush()) {
    case ClientSocket::WriteResult::kBroken:
      Abort("client gone");
      return;
    case ClientSocket::WriteResult::kBlocked:
      return;
    case ClientSocket::WriteResult::kDone:
      break;
  }
  if (state_ == State::kFlushing) {
    EndOutput();
  } else if (state_ == State::kReading && !socket_.has_input() &&
             (socket_.ended() || listener_.closing || context_.draining)) {
    Close();
  }
}

void Connection::FlushAndClose() {
  linger_ = false;
  state_ = State::kFlushing;
  deadline_ = absl::InfiniteDuration();
  Mark();
}

void Connection::EndOutput() {
  if (!linger_) {
    Close();
    return;
  }
  socket_.ShutdownOutput();
  state_ = State::kLingering;
  dropped_bytes_ = 0;
  deadline_ = context_.loop.Now() + kLingerTime;
  Advance();
}

bool Connection::MayGiveBackKit() const {
  if (socket_.has_input() || HoldsHead()) return false;
  // A chunked body's decoder is in the kit.
  return exchange_.body().done() || websocket_;
}

void Connection::UpdateInterest() {
  if (MayGiveBackKit()) socket_.GiveBackKit();
  const bool paused = state_ == State::kExchange    ? exchange_.body_paused()
                      : state_ == State::kWebSocket ? websocket_->input_paused()
                                                    : false;
  socket_.WantRead(!paused && socket_.HasRoom(/*may_move=*/!HoldsHead()));
  socket_.UpdateInterest();
}

absl::Duration Connection::NextDeadline() const {
  absl::Duration next = deadline_;
  if (state_ == State::kExchange) {
    next = std::min(next, exchange_.deadline());
  } else if (state_ == State::kWebSocket) {
    next = std::min(next, websocket_->deadline());
  }
  if (socket_.pending_output() != 0) {
    next =
        std::min(next, socket_.last_progress() + context_.limits.send_timeout);
  }
  return next;
}

// A client is not idle while it takes the last answer.
absl::Duration Connection::IdleDeadline() const {
  return context_.limits.idle_timeout + (socket_.pending_output() != 0
                                             ? context_.loop.Now()
                                             : socket_.last_progress());
}

void Connection::OnDeadline() {
  if (closed()) return;
  const absl::Duration now = context_.loop.Now();
  Mark();
  if (socket_.pending_output() != 0 &&
      now >= socket_.last_progress() + context_.limits.send_timeout) {
    socket_.ResetOnClose();
    Abort("client too slow");
    return;
  }
  switch (state_) {
    case State::kReading:
      if (now < deadline_) return;
      if (head_begun_) {
        state_ = State::kExchange;
        exchange_.Refuse(408, "the request head is too slow");
      } else if (now < IdleDeadline()) {
        deadline_ = IdleDeadline();
      } else {
        Close();
      }
      return;
    case State::kExchange:
      exchange_.OnDeadline(now);
      return;
    case State::kWebSocket:
      websocket_->OnDeadline(now);
      return;
    case State::kDraining:
      if (now >= deadline_) FlushAndClose();
      return;
    case State::kLingering:
      if (now >= deadline_) Close();
      return;
    case State::kFlushing:
    case State::kClosed:
      return;
  }
}

void Connection::BeginDrain() {
  if (state_ == State::kWebSocket) websocket_->BeginDrain();
  if (state_ == State::kReading) Mark();  // Flush() closes what is idle.
}

void Connection::Abort(std::string_view reason) {
  if (closed()) return;
  exchange_.Cancel(reason);
  if (websocket_) websocket_->Cancel(reason);
  Close();
}

void Connection::Close() {
  if (closed()) return;
  state_ = State::kClosed;
  timer_.Set(absl::InfiniteDuration());
  socket_.Close();
  Mark();
}

}  // namespace apm::net
