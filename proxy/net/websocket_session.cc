#include "proxy/net/websocket_session.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "ipc/frame_encoder.h"
#include "proxy/counters.h"
#include "proxy/http1/error_response.h"
#include "proxy/net/client_socket.h"
#include "proxy/upstream/instance.h"
#include "proxy/upstream/worker.h"
#include "proxy/websocket/frame_writer.h"
#include "proxy/websocket/handshake.h"
#include "proxy/websocket/utf8.h"

namespace apm::net {
namespace {

using proxy::Add;

using websocket::CloseCode;

// For the client's close frame after ours.
constexpr absl::Duration kCloseWait = absl::Seconds(5);
constexpr int kRetryAfterSeconds = 1;
constexpr std::string_view kDraining = "draining";

websocket::FrameLimits MakeLimits(const NetContext& context) {
  websocket::FrameLimits limits;
  limits.message_bytes = context.limits.ws_max_message_bytes;
  return limits;
}

uint16_t Number(CloseCode code) { return static_cast<uint16_t>(code); }

bool IsUtf8(std::string_view text) {
  websocket::Utf8Validator validator;
  return validator.Feed(text) && validator.AtBoundary();
}

}  // namespace

WebSocketSession::WebSocketSession(NetContext& context, WebSocketOwner& owner,
                                   ClientSocket& socket, Listener& listener,
                                   const Peer& peer)
    : context_(context),
      owner_(owner),
      socket_(socket),
      listener_(listener),
      peer_(peer),
      parser_(MakeLimits(context)) {}

void WebSocketSession::Begin(const http1::Request& request) {
  record_.Begin(context_, listener_, peer_, request);
  request_ = &request;
  const websocket::Handshake handshake = websocket::ReadHandshake(request);
  if (handshake.status != 101) {
    Refuse(handshake.status, handshake.reason);
    return;
  }
  accept_key_ = handshake.accept;
  for (const std::string_view protocol : handshake.protocols) {
    offered_protocols_.emplace_back(protocol);
  }
  session_ = worker().Open(upstream::SessionKind::kWebSocket, *this);
  if (session_ == nullptr) {
    Refuse(503, "too many connections wait for this worker");
    return;
  }
  if (session_->instance != nullptr) {
    SendFirstFrame();
  } else {
    OnQueued();
  }
}

void WebSocketSession::OnQueued() {
  deadline_ = context_.loop.Now() + worker().settings().queue_timeout;
}

void WebSocketSession::SendFirstFrame() {
  const absl::Status announced =
      context_.announcer.Announce(*session_, "ws", *request_, listener_, peer_);
  if (!announced.ok()) {
    Refuse(431, "the head is too large for the worker");
    return;
  }
  DropHead();
  state_ = State::kAnnounced;
  announced_at_ = context_.loop.Now();
  deadline_ = announced_at_ + (session_->instance->announces_accept()
                                   ? context_.limits.ws_accept_timeout
                                   : context_.limits.ws_accept_wait);
}

void WebSocketSession::DropHead() {
  if (request_ == nullptr) return;
  socket_.kit().Consume(request_->head_bytes);
  socket_.kit().parser.Reset();
  request_ = nullptr;
}

void WebSocketSession::OnDispatched() {
  SendFirstFrame();
  owner_.OnWebSocketProgress();
}

void WebSocketSession::Refuse(int status, std::string_view detail) {
  EndSession("refused");
  http1::ErrorResponse error;
  error.status = status;
  error.detail = detail;
  if (status == 503) error.retry_after_seconds = kRetryAfterSeconds;
  http1::AppendErrorResponse(http1::Exchange(), error, context_.DateNow(),
                             socket_.output());
  Finish(status);
}

void WebSocketSession::Accept(std::string_view protocol) {
  websocket::AppendSwitchingProtocols(accept_key_, protocol, socket_.output());
  state_ = State::kOpen;
  opened_ = true;
  Add(worker().counters().websocket_opened);
  heard_at_ = context_.loop.Now();
  ping_at_ = heard_at_ + context_.limits.ws_ping_interval;
  deadline_ = ping_at_;
  owner_.OnWebSocketProgress();
}

// The first write may choose among the client's offers; else the first one.
std::string_view WebSocketSession::ChooseProtocol(
    const ipc::WorkerHead& head) const {
  if (offered_protocols_.empty()) return {};
  for (const ipc::Field& field : head.headers) {
    if (!http1::EqualsIgnoringCase(field.name, "sec-websocket-protocol")) {
      continue;
    }
    const auto chosen = std::find(offered_protocols_.begin(),
                                  offered_protocols_.end(), field.value);
    return chosen != offered_protocols_.end() ? std::string_view(*chosen)
                                              : std::string_view();
  }
  return offered_protocols_.front();
}

void WebSocketSession::OnWorkerFrame(const ipc::WorkerHead& head,
                                     std::string_view payload, bool first) {
  const bool raw = head.command == ipc::WorkerCommand::kWriteRaw;
  if (leaving_ && !worker_answers_) LeaveAfter(context_.limits.ws_drain_quiet);
  if (state_ == State::kAnnounced) {
    if (raw) {
      state_ = State::kRaw;
      deadline_ = absl::InfiniteDuration();
    } else {
      Accept(ChooseProtocol(head));
    }
  }
  if (raw) {
    socket_.output().append(payload);
  } else if (head.command == ipc::WorkerCommand::kWrite &&
             (state_ == State::kOpen || state_ == State::kLastAnswers)) {
    // The first write may only choose a sub-protocol.
    if (!first || !payload.empty()) SendMessage(head, payload);
  }
  if (socket_.output_over_limit()) {
    Add(worker().counters().slow_clients_cut);
    EndSession("client too slow");
    Finish(101);
  }
  owner_.OnWebSocketProgress();
}

void WebSocketSession::SendMessage(const ipc::WorkerHead& head,
                                   std::string_view payload) {
  const bool wants_text =
      head.data_type.value_or(ipc::DataType::kText) == ipc::DataType::kText;
  // Text that is not UTF-8 would make the client fail the connection.
  const bool is_text = wants_text && IsUtf8(payload);
  if (head.data_type == ipc::DataType::kText && !is_text) {
    Add(worker().counters().frames_bad);
  }
  websocket::AppendMessage(is_text, payload, socket_.output());
  record_.AddBody(payload.size());
  Add(worker().counters().bytes_out, payload.size());
  if (unanswered_ != 0) --unanswered_;
  // At the next turn: there may be more in this one.
  if (state_ == State::kLastAnswers && unanswered_ == 0) {
    deadline_ = context_.loop.Now();
  }
}

void WebSocketSession::OnWorkerClosed(std::optional<int> code,
                                      std::string_view reason) {
  session_ = nullptr;
  switch (state_) {
    case State::kQueued:
    case State::kAnnounced: {
      // A refusal. 1000, which connectors close with unless told otherwise, is
      // no HTTP status.
      const int status = code.value_or(403);
      Refuse(status >= 400 && status < 600 ? status : 403, {});
      return;
    }
    case State::kOpen: {
      const int sent = code.value_or(Number(CloseCode::kNormal));
      StartClosing(
          sent < 0 ? Number(CloseCode::kNormal) : static_cast<uint16_t>(sent),
          reason);
      return;
    }
    case State::kRaw:
      Finish(101);
      return;
    case State::kLastAnswers:
      AnswerClose();
      return;
    case State::kClosing:
    case State::kDone:
      return;
  }
}

void WebSocketSession::OnWorkerLost(upstream::Loss loss) {
  session_ = nullptr;
  if (state_ == State::kOpen) {
    const bool planned = leaving_ || loss == upstream::Loss::kDetached;
    StartClosing(Number(planned ? leave_code_ : CloseCode::kInternalError), {});
  } else if (state_ == State::kRaw) {
    Finish(101);
  } else if (state_ == State::kLastAnswers) {
    AnswerClose();
  } else if (state_ != State::kClosing && state_ != State::kDone) {
    Refuse(502, "the worker ended before it answered");
  }
}

void WebSocketSession::BeginDrain() {
  if (leaving_) return;
  OnDrain({.for_good = true,
           .worker_answers = false,  // It was not asked.
           .spread = absl::ZeroDuration()});
}

void WebSocketSession::OnDrain(const upstream::DrainOrder& order) {
  leaving_ = true;
  worker_answers_ = order.worker_answers;
  leave_code_ =
      order.for_good ? CloseCode::kGoingAway : CloseCode::kServiceRestart;
  leave_from_ = context_.loop.Now() + order.spread;
  LeaveAfter(worker_answers_ ? absl::InfiniteDuration()
                             : context_.limits.ws_drain_quiet);
}

void WebSocketSession::OnWorkerDrained() {
  if (leaving_) LeaveAfter(absl::ZeroDuration());
}

void WebSocketSession::LeaveAfter(absl::Duration wait) {
  leave_at_ = std::max(context_.loop.Now(), leave_from_) + wait;
  owner_.OnWebSocketProgress();
}

void WebSocketSession::Leave() {
  leave_at_ = absl::InfiniteDuration();
  if (state_ == State::kOpen) {
    EndSession(kDraining);
    StartClosing(Number(leave_code_), {});
  } else if (state_ == State::kQueued || state_ == State::kAnnounced) {
    EndSession(kDraining);
    Refuse(503, "the service restarts");
  }
}

void WebSocketSession::StartClosing(uint16_t code, std::string_view reason) {
  websocket::AppendClose(code, reason, socket_.output());
  state_ = State::kClosing;
  input_paused_ = false;
  deadline_ = context_.loop.Now() + kCloseWait;
  owner_.OnWebSocketProgress();
}

void WebSocketSession::AnswerClose() {
  EndSession("closed by the client");
  websocket::AppendClose(Number(parser_.close_code()), {}, socket_.output());
  Finish(101);
}

bool WebSocketSession::input_paused() const {
  return input_paused_ || state_ == State::kQueued ||
         state_ == State::kAnnounced || state_ == State::kLastAnswers;
}

void WebSocketSession::OnWorkerWritable() { Resume(); }

void WebSocketSession::Resume() {
  if (!input_paused_) return;
  input_paused_ = false;
  heard_at_ = context_.loop.Now();  // It could not be heard.
  owner_.OnWebSocketProgress();
}

void WebSocketSession::PumpInput() {
  while ((state_ == State::kOpen || state_ == State::kClosing) &&
         socket_.has_input()) {
    if (state_ == State::kOpen &&
        (session_->instance->congested() || socket_.output_full())) {
      input_paused_ = true;
      return;
    }
    heard_at_ = context_.loop.Now();
    InputKit& kit = socket_.kit();
    std::span<char> input = kit.unread();
    const size_t before = input.size();
    const auto event = parser_.Next(input, heard_at_);
    kit.Consume(before - input.size());
    Add(worker().counters().bytes_in, before - input.size());
    switch (event) {
      case websocket::FrameParser::Event::kNeedMore:
        return;
      case websocket::FrameParser::Event::kMessage:
        if (!DeliverMessage()) return;
        break;
      case websocket::FrameParser::Event::kPing:
        if (state_ == State::kOpen) {
          websocket::AppendPong(parser_.payload(), socket_.output());
          owner_.OnWebSocketProgress();
        }
        break;
      case websocket::FrameParser::Event::kPong:
        break;
      case websocket::FrameParser::Event::kClose:
        if (state_ == State::kOpen && unanswered_ != 0) {
          // Without anything in between, the worker would have answered what
          // came before the close first (RFC 6455 5.5.1 lets us wait).
          state_ = State::kLastAnswers;
          deadline_ = heard_at_ + context_.limits.ws_accept_wait;
          return;
        }
        [[fallthrough]];
      case websocket::FrameParser::Event::kError: {
        const bool failed = event == websocket::FrameParser::Event::kError;
        EndSession(failed ? "protocol error" : "closed by the client");
        if (state_ == State::kOpen) {
          websocket::AppendClose(Number(parser_.close_code()), {},
                                 socket_.output());
        }
        Finish(101);
        return;
      }
    }
  }
}

// False if the input has to wait or the session ended.
bool WebSocketSession::DeliverMessage() {
  if (session_ == nullptr) return true;  // We have said goodbye.
  const std::string_view payload = parser_.payload();
  const absl::Status appended = ipc::AppendData(
      session_->id(),
      parser_.is_text() ? ipc::DataType::kText : ipc::DataType::kBinary,
      payload, session_->instance->Output());
  ++unanswered_;
  if (appended.ok()) return true;
  EndSession("message too large");
  StartClosing(Number(CloseCode::kMessageTooBig), {});
  return false;
}

void WebSocketSession::OnDeadline(absl::Duration now) {
  if (now >= leave_at_) {
    Leave();
    return;
  }
  if (now < deadline_) return;
  switch (state_) {
    case State::kQueued:
      Refuse(503, "no worker is free");
      return;
    case State::kAnnounced:
      if (!session_->instance->announces_accept()) {
        Accept(offered_protocols_.empty() ? std::string_view()
                                          : offered_protocols_.front());
        return;
      }
      // Its hello may have come after the session: the wait is longer now.
      deadline_ = announced_at_ + context_.limits.ws_accept_timeout;
      if (now >= deadline_) Refuse(504, "the worker did not answer in time");
      return;
    case State::kOpen:
      if (!input_paused_ && now - heard_at_ >= context_.limits.ws_dead_after) {
        EndSession("client timed out");
        Finish(101);
        return;
      }
      if (now >= ping_at_) {
        websocket::AppendPing({}, socket_.output());
        ping_at_ = now + context_.limits.ws_ping_interval;
      }
      deadline_ =
          input_paused_
              ? ping_at_
              : std::min(ping_at_, heard_at_ + context_.limits.ws_dead_after);
      owner_.OnWebSocketProgress();
      return;
    case State::kLastAnswers:
      AnswerClose();
      return;
    case State::kClosing:
      Finish(101);
      return;
    case State::kRaw:
    case State::kDone:
      return;
  }
}

void WebSocketSession::EndSession(std::string_view reason) {
  if (session_ == nullptr) return;
  upstream::Session& session = *session_;
  session_ = nullptr;
  worker().End(session, reason);
}

void WebSocketSession::Cancel(std::string_view reason) {
  EndSession(reason);
  if (state_ == State::kDone) return;
  const bool opened = opened_;
  state_ = State::kDone;
  if (opened) Add(worker().counters().websocket_closed);
  record_.End(context_, listener_, opened ? 101 : 499);
}

void WebSocketSession::Finish(int status) {
  if (state_ == State::kDone) return;
  DropHead();
  state_ = State::kDone;
  deadline_ = absl::InfiniteDuration();
  if (opened_) Add(worker().counters().websocket_closed);
  record_.End(context_, listener_, status);
  owner_.OnWebSocketDone();
}

}  // namespace apm::net
