// What the connections of one shard share. Built by the shard, which outlives
// them.

#pragma once

#include <time.h>

#include <string_view>
#include <vector>

#include "base/os/event_loop.h"
#include "proxy/access_log.h"
#include "proxy/counters.h"
#include "proxy/http1/date_line.h"
#include "proxy/net/input_kit.h"
#include "proxy/net/session_announcer.h"
#include "proxy/routing/snapshot.h"

namespace apm::net {

class Connection;

// Ends of turns and of connections: the shard's part.
class ConnectionOwner {
 public:
  virtual ~ConnectionOwner() = default;

  // EndOfTurn() of `connection` is called at the end of this turn; if it is
  // closed then, it is destroyed.
  virtual void Mark(Connection& connection) = 0;
};

struct NetContext {
  NetContext(EventLoop& event_loop, ConnectionOwner& connection_owner)
      : loop(event_loop), owner(connection_owner) {}

  EventLoop& loop;
  ConnectionOwner& owner;
  InputKitPool kits;
  SessionAnnouncer announcer;
  http1::DateLine date;
  routing::ClientLimits limits;
  proxy::CountersHeader* counters = nullptr;
  size_t held_bytes = 0;  // In all clients' outputs, after their last Flush().
  bool draining = false;  // No connection outlives its next answer.
  std::vector<proxy::AccessLog*> logs_to_flush;  // At the end of this turn.

  std::string_view DateNow() { return date.At(time(nullptr)); }
};

}  // namespace apm::net
