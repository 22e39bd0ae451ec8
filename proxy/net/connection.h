// One client connection: reads requests off its socket, one exchange at a
// time, and ends in order.
//
//   kReading    the next head; idle while nothing of it is there
//   kExchange   a request and its answer (HttpExchange)
//   kDraining   answered, the rest of the request's body is dropped
//   kWebSocket  for good (WebSocketSession)
//   kFlushing   the last bytes go out, then the connection ends
//   kLingering  ours is said; what the client still sends is dropped, else a
//               reset could overtake our answer (RFC 9112 9.6)
//   kClosed     destroyed by its owner at the end of this turn
//
// Pipelined requests wait in the input buffer, and in the client's socket
// behind it: answers are in order because there is one at a time. They wait
// also while the client does not take the answers it has: what it makes us
// keep is bounded.
//
// Lifetimes. A connection is destroyed at the end of a turn and nowhere else.
// So whatever a callback of this turn still calls is there; after Close() it
// has no session, no timer and no descriptor, and does nothing.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "base/os/unique_fd.h"
#include "proxy/net/client_socket.h"
#include "proxy/net/http_exchange.h"
#include "proxy/net/lazy_timer.h"
#include "proxy/net/listener.h"
#include "proxy/net/net_context.h"
#include "proxy/net/websocket_session.h"

namespace apm::net {

// Owned by the shard. Thread: the shard's.
class Connection final : public ExchangeOwner, public WebSocketOwner {
 public:
  // `context` and `listener` outlive the connection.
  Connection(NetContext& context, Listener& listener, Peer peer,
             UniqueFd socket);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() override;

  absl::Status Start();

  // Refuses the client with 503: there are too many.
  void RefuseOverload();

  // Sends what the turn has gathered, goes on with what it has read.
  void EndOfTurn();
  bool closed() const { return state_ == State::kClosed; }

  // The proxy stops or the listener goes: ends when it is idle; a WebSocket
  // is told.
  void BeginDrain();
  // Now, whatever it does.
  void Abort(std::string_view reason);

  const Listener& listener() const { return listener_; }

  void OnAnswered(bool keep_alive) override;
  void OnAnswerBroken(bool reset) override;
  void OnExchangeProgress() override { Mark(); }
  void OnWebSocketProgress() override { Mark(); }
  void OnWebSocketDone() override;

  // The owner's: where it keeps this connection, and whether it is marked.
  size_t index = 0;
  bool marked = false;

 private:
  enum class State : uint8_t {
    kReading,
    kExchange,
    kDraining,
    kWebSocket,
    kFlushing,
    kLingering,
    kClosed,
  };

  void OnEvents(uint32_t events);
  void OnReadable();
  void OnInputEnded();
  void Advance();
  bool ReadHead();
  void BeginRequest();
  void DropBody();
  void EnterReading();
  void Flush();
  void FlushAndClose();
  void EndOutput();
  void UpdateInterest();
  void OnDeadline();
  absl::Duration NextDeadline() const;
  absl::Duration IdleDeadline() const;
  bool HoldsHead() const;
  bool MayGiveBackKit() const;
  void Mark() { context_.owner.Mark(*this); }
  void Close();

  NetContext& context_;
  Listener& listener_;
  const Peer peer_;
  ClientSocket socket_;
  LazyTimer timer_;
  HttpExchange exchange_;
  std::unique_ptr<WebSocketSession> websocket_;

  State state_ = State::kReading;
  bool head_begun_ = false;  // Of the request being read.
  bool linger_ = false;      // The client may still send: see kLingering.
  uint32_t requests_ = 0;
  uint64_t dropped_bytes_ = 0;  // In kDraining and kLingering.
  absl::Duration deadline_ = absl::InfiniteDuration();  // Of the state.
};

}  // namespace apm::net
