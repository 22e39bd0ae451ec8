// The configuration that the proxy works by, as plain values. Comes whole from
// the agent and replaces the one before; defaults are those of a proxy that
// was told nothing.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <absl/time/time.h>

namespace apm::routing {

// What one client connection may take.
struct ClientLimits {
  absl::Duration head_timeout = absl::Seconds(10);  // In total, not a read.
  absl::Duration idle_timeout = absl::Seconds(60);
  uint32_t max_requests = 10'000;
  absl::Duration body_grace = absl::Seconds(10);
  uint32_t body_bytes_per_second = 500;  // After body_grace.
  absl::Duration send_timeout = absl::Seconds(30);
  absl::Duration ws_ping_interval = absl::Seconds(30);
  absl::Duration ws_dead_after = absl::Seconds(60);
  absl::Duration ws_accept_wait = absl::Milliseconds(50);
  absl::Duration ws_accept_timeout = absl::Seconds(5);
  // A worker without the feature `drain` that has been silent for so long has
  // said its last on a WebSocket that has to go.
  absl::Duration ws_drain_quiet = absl::Milliseconds(250);
  size_t ws_max_message_bytes = size_t{1} << 20;
  // Of answers that wait for slow clients, for all of them together.
  size_t max_held_bytes = size_t{1} << 30;
};

struct WorkerSettings {
  uint32_t id = 0;
  std::string name;
  uint32_t counter_slot = 0;
  bool trust_proxy = false;
  std::vector<std::string> trusted;  // CIDRs and "unix"; empty: the default.
  absl::Duration queue_timeout = absl::Seconds(5);
  absl::Duration request_timeout = absl::Seconds(60);
  uint64_t max_body_bytes = uint64_t{16} << 20;
  bool access_log = false;
};

struct Snapshot {
  uint64_t version = 0;
  std::vector<WorkerSettings> workers;
  uint32_t max_connections = 0;  // 0: as many as descriptors allow.
  ClientLimits limits;
};

// An address that clients reach one worker at.
struct ListenerSpec {
  uint32_t id = 0;
  uint32_t worker_id = 0;
  std::string address;  // As configured: "http://127.0.0.1:3000".
  bool http = false;
  bool websocket = false;
  bool unix_socket = false;  // Its peers have no address.
};

}  // namespace apm::routing
