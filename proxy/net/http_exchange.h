// One request and its answer on a connection, from the parsed head to the last
// byte of the body.
//
//   request   head -> (queue) -> first frame -> body pieces -> end
//   response  kNone -> kHeld -> kStreaming -> kDone      HTTP framing
//             kNone -> kRaw                -> kDone      writeRaw
//             kNone                        -> kDone      an answer of our own
//
// The worker's first write is held until the turn ends: if closeConnection
// follows in it, the length of the answer is known and it needs no chunks.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/time/time.h>

#include "ipc/worker_head.h"
#include "proxy/http1/request.h"
#include "proxy/http1/response_writer.h"
#include "proxy/net/listener.h"
#include "proxy/net/net_context.h"
#include "proxy/net/request_body.h"
#include "proxy/net/request_record.h"
#include "proxy/upstream/session.h"

namespace apm::net {

class ClientSocket;

// What an exchange asks of its connection.
class ExchangeOwner {
 public:
  virtual ~ExchangeOwner() = default;

  // The answer is complete in the socket's output. May a request follow?
  virtual void OnAnswered(bool keep_alive) = 0;
  // What was sent of the answer has no end and must look so. `reset`: the
  // client could take the end of the connection for the end of the answer.
  virtual void OnAnswerBroken(bool reset) = 0;
  // There is something to send, or input may be read again.
  virtual void OnExchangeProgress() = 0;
};

// Owned by its Connection; used again for each of its requests.
class HttpExchange final : public upstream::SessionPeer {
 public:
  HttpExchange(NetContext& context, ExchangeOwner& owner, ClientSocket& socket,
               Listener& listener, const Peer& peer);

  // Starts with a complete head. `request` and its views stay until
  // holds_head() is false. `may_live`: the connection could be kept alive.
  void Begin(const http1::Request& request, bool may_live);

  // Answers a head that could not be read.
  void Refuse(int status, std::string_view detail);

  bool active() const { return response_ != Response::kDone; }
  bool holds_head() const { return request_ != nullptr; }
  const RequestBody& body() const { return body_; }
  RequestBody& body() { return body_; }

  // Moves what has been read of the body to the worker. False if the client
  // stopped sending before the body's end.
  bool PumpBody();
  // No more input is wanted for now.
  bool body_paused() const { return body_paused_; }

  // The end of the turn: what the worker wrote goes to the output.
  void Commit();

  // The client has gone: ends the session, answers nothing.
  void Cancel(std::string_view reason);

  // The next time at which OnDeadline() wants to be called.
  absl::Duration deadline() const;
  void OnDeadline(absl::Duration now);

  void OnDispatched() override;
  void OnQueued() override;
  void OnWorkerFrame(const ipc::WorkerHead& head, std::string_view payload,
                     bool first) override;
  void OnWorkerClosed(std::optional<int> code,
                      std::string_view reason) override;
  void OnWorkerLost(upstream::Loss loss) override;
  void OnWorkerWritable() override;
  void OnDrain(const upstream::DrainOrder&) override {}
  void OnWorkerDrained() override {}
  void OnDrainDeadline() override {}
  bool MayRetry() const override;

 private:
  enum class Response : uint8_t { kNone, kHeld, kStreaming, kRaw, kDone };

  http1::Exchange Wishes() const;
  bool MoreMayCome() const;
  upstream::Worker& worker() const { return *listener_.route->worker; }
  void SendFirstFrame();
  void DropHead();
  void EndSession(std::string_view reason);
  void Hold(const ipc::WorkerHead& head, std::string_view payload);
  void SendInterim(const ipc::WorkerHead& head);
  void SendHead(std::optional<uint64_t> body_bytes);
  void Fail(int status, std::string_view detail, std::string_view reason);
  void EndBody();
  void Finish(int status, bool keep_alive);
  void Break(std::string_view reason);
  void CountBadFrame();
  void TakeOutput(std::string_view bytes, bool raw);
  void ToFields(const std::vector<ipc::Field>& headers);
  absl::Duration BodyDeadline() const;

  NetContext& context_;
  ExchangeOwner& owner_;
  ClientSocket& socket_;
  Listener& listener_;
  const Peer& peer_;

  // Of the request.
  const http1::Request* request_ = nullptr;  // While its views are needed.
  upstream::Session* session_ = nullptr;
  http1::Version version_ = http1::Version::kHttp11;
  bool head_request_ = false;
  bool repeatable_ = false;  // GET, HEAD, OPTIONS without a body.
  bool keep_alive_ = false;
  bool expect_continue_ = false;
  RequestBody body_;
  bool body_paused_ = false;
  absl::Duration wait_deadline_ = absl::InfiniteDuration();
  absl::Duration body_since_;  // Shifted by the time it was paused.
  absl::Duration paused_since_;

  // Of the response.
  Response response_ = Response::kDone;
  int status_ = 0;
  std::string held_text_;  // Backs held_fields_.
  std::vector<http1::Field> held_fields_;
  std::string held_body_;
  http1::ResponseFraming framing_;
  http1::BodyWriter writer_;

  RequestRecord record_;
};

}  // namespace apm::net
