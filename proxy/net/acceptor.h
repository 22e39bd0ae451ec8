// Takes new connections off one listening socket.

#pragma once

#include <cstdint>
#include <functional>

#include <absl/status/status.h>

#include "base/os/event_loop.h"
#include "base/os/timers.h"
#include "base/os/unique_fd.h"
#include "proxy/net/listener.h"

namespace apm::net {

// Thread: the shard's.
class Acceptor {
 public:
  using AcceptCallback = std::function<void(UniqueFd socket, Peer peer)>;
  using ErrorCallback = std::function<void()>;

  // `loop` outlives the acceptor. `on_error`: accept() failed in a way that
  // costs a client, e.g. no descriptor is left.
  Acceptor(EventLoop& loop, UniqueFd socket, AcceptCallback on_accept,
           ErrorCallback on_error);
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;
  ~Acceptor();

  absl::Status Start();

 private:
  void OnReadable();
  void ShedOne();
  void Pause();

  EventLoop& loop_;
  UniqueFd socket_;
  const AcceptCallback on_accept_;
  const ErrorCallback on_error_;
  UniqueFd reserve_;  // Given up when descriptors run out, to refuse politely.
  uint32_t jitter_state_;
  TimerId pause_ = kNoTimer;
};

}  // namespace apm::net
