// One WebSocket on a connection, from its handshake to its closing handshake.
//
//   kQueued     waits for an instance
//   kAnnounced  the worker has the session frame; 101 follows at its first
//               frame, or after a short wait: an echo worker says nothing
//               before a message, and no message comes before 101
//   kOpen       messages both ways
//   kRaw        the worker answered with writeRaw instead: its bytes
//   kClosing    our close frame is sent; the client's is awaited
//   kDone       nothing more is said
//
// One that has to go (its instance is replaced, its listener closed) goes on
// as it was until the worker is through with it: the worker says so, or says
// nothing for a while. Then the client hears why, and can connect again.

#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/time/time.h>

#include "ipc/worker_head.h"
#include "proxy/http1/request.h"
#include "proxy/net/listener.h"
#include "proxy/net/net_context.h"
#include "proxy/net/request_record.h"
#include "proxy/upstream/session.h"
#include "proxy/websocket/close_code.h"
#include "proxy/websocket/frame_parser.h"

namespace apm::net {

class ClientSocket;

// What a WebSocket asks of its connection.
class WebSocketOwner {
 public:
  virtual ~WebSocketOwner() = default;

  // Something was appended to the output, or input may be read again.
  virtual void OnWebSocketProgress() = 0;
  // Nothing more will be said: flush and close.
  virtual void OnWebSocketDone() = 0;
};

// Owned by its Connection. Thread: the shard's.
class WebSocketSession final : public upstream::SessionPeer {
 public:
  WebSocketSession(NetContext& context, WebSocketOwner& owner,
                   ClientSocket& socket, Listener& listener, const Peer& peer);

  // Judges the handshake and starts a session, or refuses it. `request` and
  // its views stay until holds_head() is false.
  void Begin(const http1::Request& request);

  bool holds_head() const { return request_ != nullptr; }

  // Takes frames out of the input while the worker takes messages and the
  // client what it is sent.
  void PumpInput();
  bool input_paused() const;
  // What paused the input may be over.
  void Resume();

  // The client has gone: ends the session, says nothing.
  void Cancel(std::string_view reason);
  // The proxy or the listener is to go.
  void BeginDrain();

  absl::Duration deadline() const { return std::min(deadline_, leave_at_); }
  void OnDeadline(absl::Duration now);

  void OnDispatched() override;
  void OnQueued() override;
  void OnWorkerFrame(const ipc::WorkerHead& head, std::string_view payload,
                     bool first) override;
  void OnWorkerClosed(std::optional<int> code,
                      std::string_view reason) override;
  void OnWorkerLost(upstream::Loss loss) override;
  void OnWorkerWritable() override;
  void OnDrain(const upstream::DrainOrder& order) override;
  void OnWorkerDrained() override;
  void OnDrainDeadline() override { Leave(); }
  bool MayRetry() const override { return false; }

 private:
  enum class State : uint8_t {
    kQueued,
    kAnnounced,
    kOpen,
    kRaw,
    kClosing,
    kDone
  };

  void SendFirstFrame();
  void DropHead();
  void Refuse(int status, std::string_view detail);
  void Accept(std::string_view protocol);
  void SendMessage(const ipc::WorkerHead& head, std::string_view payload);
  bool DeliverMessage();
  void LeaveAfter(absl::Duration wait);
  void Leave();
  void StartClosing(uint16_t code, std::string_view reason);
  void EndSession(std::string_view reason);
  void Finish(int status);
  std::string_view ChooseProtocol(const ipc::WorkerHead& head) const;
  upstream::Worker& worker() const { return *listener_.route->worker; }

  NetContext& context_;
  WebSocketOwner& owner_;
  ClientSocket& socket_;
  Listener& listener_;
  const Peer& peer_;

  State state_ = State::kQueued;
  const http1::Request* request_ = nullptr;  // While its views are needed.
  upstream::Session* session_ = nullptr;
  std::array<char, 28> accept_key_{};
  std::vector<std::string> offered_protocols_;
  websocket::FrameParser parser_;
  bool opened_ = false;
  bool input_paused_ = false;
  absl::Duration heard_at_;
  absl::Duration ping_at_;
  absl::Duration deadline_ = absl::InfiniteDuration();
  absl::Duration announced_at_;

  bool leaving_ = false;
  bool worker_answers_ = false;  // To the drain: its silence means nothing.
  websocket::CloseCode leave_code_ = websocket::CloseCode::kServiceRestart;
  absl::Duration leave_from_;  // Not before.
  absl::Duration leave_at_ = absl::InfiniteDuration();

  RequestRecord record_;
};

}  // namespace apm::net
