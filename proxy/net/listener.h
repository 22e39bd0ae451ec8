// What a connection must know of the address it came in by.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "proxy/access_log.h"
#include "proxy/client_address/client_address.h"
#include "proxy/routing/snapshot.h"
#include "proxy/upstream/worker.h"

namespace apm::net {

// A worker with what belongs to it on the clients' side. Owned by the shard;
// outlives its listeners.
struct Route {
  std::unique_ptr<upstream::Worker> worker;
  client_address::Policy policy;
  std::unique_ptr<proxy::AccessLog> access_log;  // Null: none.
  bool retired = false;                          // No longer in the snapshot.
};

// Owned by the shard; outlives its connections.
struct Listener {
  routing::ListenerSpec spec;
  Route* route = nullptr;
  size_t connections = 0;
  bool closing = false;  // Accepts no more; connections end when idle.
};

// The other end of a connection.
struct Peer {
  std::optional<client_address::IpAddress> address;  // None on unix sockets.
  uint16_t port = 0;
  std::string text = "unix";  // The address as text.
};

}  // namespace apm::net
