// What is remembered of a request for the counters and the access log, since
// its head is gone when its answer ends.

#pragma once

#include <cstdint>
#include <string>

#include <absl/time/time.h>

#include "proxy/http1/request.h"
#include "proxy/net/listener.h"
#include "proxy/net/net_context.h"

namespace apm::net {

// Owned by an exchange or a WebSocket.
class RequestRecord {
 public:
  // Counts the request; copies what the log will want, if there is a log.
  void Begin(NetContext& context, Listener& listener, const Peer& peer,
             const http1::Request& request);

  void AddBody(uint64_t bytes) { body_bytes_ += bytes; }

  // Counts and logs the answer. Once a Begin().
  void End(NetContext& context, Listener& listener, int status);

 private:
  bool begun_ = false;
  uint64_t body_bytes_ = 0;
  absl::Duration started_;
  std::string remote_;
  std::string request_line_;
  std::string referer_;
  std::string user_agent_;
};

}  // namespace apm::net
