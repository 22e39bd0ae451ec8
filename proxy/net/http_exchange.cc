#include "proxy/net/http_exchange.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "ipc/frame_encoder.h"
#include "proxy/counters.h"
#include "proxy/http1/error_response.h"
#include "proxy/net/client_socket.h"
#include "proxy/upstream/instance.h"
#include "proxy/upstream/worker.h"

namespace apm::net {
namespace {

using proxy::Add;

constexpr int kRetryAfterSeconds = 1;
// So much of an unread body is read and dropped to save the connection.
constexpr uint64_t kMaxDrainedBytes = uint64_t{64} << 10;
// An answer that was large does not make its connection large for ever.
constexpr size_t kKeptHeldBytes = 1024;

bool IsRepeatable(const http1::Request& request) {
  return (request.body == http1::BodyKind::kNone ||
          (request.body == http1::BodyKind::kLength &&
           request.content_length == 0)) &&
         (request.method == "GET" || request.method == "HEAD" ||
          request.method == "OPTIONS");
}

void Empty(std::string& text) {
  text.clear();
  if (text.capacity() > kKeptHeldBytes) text = std::string();
}

}  // namespace

HttpExchange::HttpExchange(NetContext& context, ExchangeOwner& owner,
                           ClientSocket& socket, Listener& listener,
                           const Peer& peer)
    : context_(context),
      owner_(owner),
      socket_(socket),
      listener_(listener),
      peer_(peer) {}

void HttpExchange::Begin(const http1::Request& request, bool may_live) {
  record_.Begin(context_, listener_, peer_, request);
  request_ = &request;
  version_ = request.version;
  head_request_ = request.method == "HEAD";
  repeatable_ = IsRepeatable(request);
  keep_alive_ = request.keep_alive && may_live;
  expect_continue_ = request.expect_continue;
  body_paused_ = false;
  response_ = Response::kNone;
  body_.Begin(request, worker().settings().max_body_bytes);

  if (!listener_.spec.http) {
    Fail(426, "this address speaks WebSocket only", {});
    return;
  }
  if (request.content_length > worker().settings().max_body_bytes) {
    Fail(413, {}, {});
    return;
  }
  session_ = worker().Open(upstream::SessionKind::kHttp, *this);
  if (session_ == nullptr) {
    Fail(503, "too many requests wait for this worker", {});
    return;
  }
  if (session_->instance != nullptr) {
    SendFirstFrame();
  } else {
    OnQueued();
  }
}

void HttpExchange::Refuse(int status, std::string_view detail) {
  Add(context_.counters->bad_requests);
  version_ = http1::Version::kHttp11;
  head_request_ = keep_alive_ = false;
  response_ = Response::kNone;
  Fail(status, detail, {});
}

void HttpExchange::SendFirstFrame() {
  const absl::Status announced = context_.announcer.Announce(
      *session_, "http", *request_, listener_, peer_);
  if (!announced.ok()) {
    Fail(431, "the head is too large for the worker", {});
    return;
  }
  wait_deadline_ = context_.loop.Now() + worker().settings().request_timeout;
  if (repeatable_) return;  // The head is kept for another try.
  DropHead();
  body_since_ = context_.loop.Now();
  if (expect_continue_ && !body_.done() && !socket_.has_input()) {
    expect_continue_ = false;
    socket_.output() += http1::kContinue;
    owner_.OnExchangeProgress();
  }
}

void HttpExchange::DropHead() {
  if (request_ == nullptr) return;
  socket_.kit().Consume(request_->head_bytes);
  socket_.kit().parser.Reset();
  request_ = nullptr;
}

// Closing must be announced in the head, so what will be left of the request
// at the end of the answer is judged here.
http1::Exchange HttpExchange::Wishes() const {
  const bool body_in_reach =
      body_.done() ||
      (!expect_continue_ && body_.left_bytes() <= kMaxDrainedBytes);
  return {.version = version_,
          .head_request = head_request_,
          .keep_alive = keep_alive_ && body_in_reach && MoreMayCome() &&
                        !listener_.closing && !context_.draining};
}

// Of a client that stopped sending, what it had sent before is still answered.
bool HttpExchange::MoreMayCome() const {
  if (!socket_.ended()) return true;
  const size_t head_bytes = request_ != nullptr ? request_->head_bytes : 0;
  return socket_.has_input() && socket_.kit().unread().size() > head_bytes;
}

bool HttpExchange::PumpBody() {
  while (session_ != nullptr && session_->instance != nullptr &&
         !body_.done()) {
    if (!socket_.has_input()) return !socket_.ended();
    upstream::Instance& instance = *session_->instance;
    if (instance.congested()) {
      if (!body_paused_) paused_since_ = context_.loop.Now();
      body_paused_ = true;
      return true;
    }
    expect_continue_ = false;  // It did not wait.
    RequestBody::Piece piece;
    switch (body_.Next(socket_.kit(), piece)) {
      case RequestBody::Result::kNeedMore:
        return !socket_.ended();
      case RequestBody::Result::kTooLarge:
        Fail(413, {}, "request body too large");
        return true;
      case RequestBody::Result::kError:
        Fail(body_.error().status, body_.error().reason, "bad request body");
        return true;
      case RequestBody::Result::kPiece:
        break;
    }
    Add(worker().counters().bytes_in, piece.bytes.size());
    // A piece is within the limits of a frame: nothing to check.
    if (piece.last) {
      (void)ipc::AppendData(session_->id(), ipc::DataType::kBinary, piece.bytes,
                            instance.Output());
    } else {
      (void)ipc::AppendChunk(session_->id(), ipc::DataType::kBinary,
                             piece.bytes, instance.Output());
    }
  }
  return true;
}

void HttpExchange::OnDispatched() {
  SendFirstFrame();
  owner_.OnExchangeProgress();
}

void HttpExchange::OnQueued() {
  wait_deadline_ = context_.loop.Now() + worker().settings().queue_timeout;
  owner_.OnExchangeProgress();
}

void HttpExchange::OnWorkerWritable() {
  if (!body_paused_) return;
  body_paused_ = false;
  body_since_ += context_.loop.Now() - paused_since_;
  owner_.OnExchangeProgress();
}

bool HttpExchange::MayRetry() const { return repeatable_ && holds_head(); }

void HttpExchange::ToFields(const std::vector<ipc::Field>& headers) {
  size_t bytes = 0;
  for (const ipc::Field& field : headers) {
    bytes += field.name.size() + field.value.size();
  }
  held_text_.clear();
  held_text_.reserve(bytes);  // No move below: the fields are views into it.
  held_fields_.clear();
  const auto keep = [this](std::string_view text) {
    const char* at = held_text_.data() + held_text_.size();
    held_text_.append(text);
    return std::string_view(at, text.size());
  };
  for (const ipc::Field& field : headers) {
    const std::string_view name = keep(field.name);
    held_fields_.push_back({name, keep(field.value)});
  }
}

void HttpExchange::OnWorkerFrame(const ipc::WorkerHead& head,
                                 std::string_view payload, bool first) {
  if (head.command == ipc::WorkerCommand::kAccept) return;
  const bool raw = head.command == ipc::WorkerCommand::kWriteRaw;
  switch (response_) {
    case Response::kNone:
      if (raw) {
        response_ = Response::kRaw;
        status_ = 200;  // For the log: the worker's bytes are not looked at.
        wait_deadline_ = absl::InfiniteDuration();
        DropHead();
        TakeOutput(payload, /*raw=*/true);
      } else if (first) {
        Hold(head, payload);
      } else {
        SendInterim(head);
      }
      return;
    case Response::kHeld:
      if (raw) {
        CountBadFrame();
      } else {
        held_body_.append(payload);
      }
      return;
    case Response::kStreaming:
      if (raw) {
        CountBadFrame();
      } else {
        TakeOutput(payload, /*raw=*/false);
      }
      return;
    case Response::kRaw:
      if (raw) {
        TakeOutput(payload, /*raw=*/true);
      } else {
        CountBadFrame();
      }
      return;
    case Response::kDone:
      return;
  }
}

void HttpExchange::Hold(const ipc::WorkerHead& head, std::string_view payload) {
  response_ = Response::kHeld;
  wait_deadline_ = absl::InfiniteDuration();
  DropHead();
  status_ = head.x_status.value_or(200);
  ToFields(head.headers);
  held_body_.assign(payload);
  owner_.OnExchangeProgress();
}

void HttpExchange::SendInterim(const ipc::WorkerHead& head) {
  if (version_ == http1::Version::kHttp10) return;
  ToFields(head.headers);
  const absl::Status sent = http1::AppendInterimHead(
      Wishes(), *head.x_status, held_fields_, socket_.output());
  if (!sent.ok()) CountBadFrame();
  owner_.OnExchangeProgress();
}

void HttpExchange::Commit() {
  if (response_ == Response::kHeld) SendHead(std::nullopt);
}

void HttpExchange::SendHead(std::optional<uint64_t> body_bytes) {
  const absl::StatusOr<http1::ResponseFraming> framing =
      http1::AppendResponseHead(Wishes(), status_, held_fields_, body_bytes,
                                context_.DateNow(), socket_.output());
  if (!framing.ok()) {
    CountBadFrame();
    Fail(502, "the worker's answer cannot be sent", "answer refused");
    return;
  }
  framing_ = *framing;
  writer_ = http1::BodyWriter(framing_);
  response_ = Response::kStreaming;
  if (!held_body_.empty()) TakeOutput(held_body_, /*raw=*/false);
  Empty(held_body_);
  Empty(held_text_);
}

void HttpExchange::TakeOutput(std::string_view bytes, bool raw) {
  const size_t before = socket_.output().size();
  if (raw) {
    socket_.output().append(bytes);
  } else if (!writer_.Append(bytes, socket_.output())) {
    CountBadFrame();
    Break("more than content-length");
    return;
  }
  if (socket_.output().size() != before) {
    record_.AddBody(bytes.size());
    Add(worker().counters().bytes_out, bytes.size());
  }
  if (socket_.output_over_limit()) {
    Add(worker().counters().slow_clients_cut);
    Break("client too slow");
    return;
  }
  owner_.OnExchangeProgress();
}

void HttpExchange::OnWorkerClosed(std::optional<int> code, std::string_view) {
  session_ = nullptr;
  switch (response_) {
    case Response::kNone:
      DropHead();
      // 0 and 1000 are how some say "no code": none of them is a status.
      status_ = code == 0 || code == 1000 ? 200 : code.value_or(200);
      held_fields_.clear();
      held_body_.clear();
      SendHead(0);
      if (response_ == Response::kStreaming) EndBody();
      return;
    case Response::kHeld:
      SendHead(held_body_.size());
      if (response_ == Response::kStreaming) EndBody();
      return;
    case Response::kStreaming:
      EndBody();
      return;
    case Response::kRaw:
      Finish(status_, /*keep_alive=*/false);
      return;
    case Response::kDone:
      return;
  }
}

void HttpExchange::EndBody() {
  if (!writer_.Finish(socket_.output())) {
    CountBadFrame();
    Break({});
    return;
  }
  Finish(status_,
         framing_.keep_alive && body_.left_bytes() <= kMaxDrainedBytes);
}

void HttpExchange::OnWorkerLost(upstream::Loss) {
  session_ = nullptr;
  if (active()) Fail(502, "the worker ended before it answered", {});
}

void HttpExchange::EndSession(std::string_view reason) {
  if (session_ == nullptr) return;
  upstream::Session& session = *session_;
  session_ = nullptr;
  worker().End(session, reason);
}

void HttpExchange::Fail(int status, std::string_view detail,
                        std::string_view reason) {
  if (response_ != Response::kNone && response_ != Response::kHeld) {
    Break(reason);
    return;
  }
  response_ = Response::kNone;
  EndSession(reason);
  http1::ErrorResponse error;
  error.status = status;
  error.detail = detail;
  if (status == 503) error.retry_after_seconds = kRetryAfterSeconds;
  const bool live = http1::AppendErrorResponse(
      Wishes(), error, context_.DateNow(), socket_.output());
  Finish(status, live);
}

void HttpExchange::Finish(int status, bool keep_alive) {
  response_ = Response::kDone;
  wait_deadline_ = absl::InfiniteDuration();
  DropHead();
  record_.End(context_, listener_, status);
  owner_.OnAnswered(keep_alive);
}

void HttpExchange::Break(std::string_view reason) {
  const bool reset =
      response_ == Response::kRaw || framing_.framing == http1::Framing::kClose;
  EndSession(reason);
  response_ = Response::kDone;
  wait_deadline_ = absl::InfiniteDuration();
  record_.End(context_, listener_, status_);
  owner_.OnAnswerBroken(reset);
}

void HttpExchange::Cancel(std::string_view reason) {
  if (!active()) return;
  EndSession(reason);
  const bool answered = response_ != Response::kNone;
  response_ = Response::kDone;
  // What nginx made the custom for a client that left.
  record_.End(context_, listener_, answered ? status_ : 499);
}

void HttpExchange::CountBadFrame() { Add(worker().counters().frames_bad); }

absl::Duration HttpExchange::BodyDeadline() const {
  if (body_.done() || body_paused_ || session_ == nullptr ||
      session_->instance == nullptr) {
    return absl::InfiniteDuration();
  }
  const uint64_t received =
      body_.received_bytes() +
      (socket_.has_input() ? socket_.kit().unread().size() : 0);
  return body_since_ + context_.limits.body_grace +
         absl::Seconds(static_cast<double>(received) /
                       context_.limits.body_bytes_per_second);
}

absl::Duration HttpExchange::deadline() const {
  return std::min(wait_deadline_, BodyDeadline());
}

void HttpExchange::OnDeadline(absl::Duration now) {
  if (now >= wait_deadline_) {
    if (session_->instance == nullptr) {
      Fail(503, "no worker is free", {});
    } else {
      Fail(504, "the worker did not answer in time", "timeout");
    }
  } else if (now >= BodyDeadline()) {
    Fail(408, "the request body is too slow", "request body too slow");
  }
}

}  // namespace apm::net
