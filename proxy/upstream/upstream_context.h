// What the parts of one shard's upstream side share. Built by the shard, which
// outlives them.

#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/os/event_loop.h"
#include "proxy/link_memory.h"
#include "proxy/upstream/instance_key.h"
#include "proxy/upstream/session_table.h"

namespace apm::upstream {

// What happens upstream that the agent should know.
class UpstreamEvents {
 public:
  virtual ~UpstreamEvents() = default;

  // The first valid frame of a worker, of whatever kind; its `hello` if that
  // comes later; and again for each new agent.
  virtual void OnHello(const InstanceKey& key, const WorkerTraits& traits) = 0;
  virtual void OnDrained(const InstanceKey& key, uint32_t sessions_left) = 0;
  // Closed its pipes without being detached.
  virtual void OnLinkLost(const InstanceKey& key) = 0;
  // For a person to read, about one worker; at most once a minute a worker.
  virtual void OnWarning(uint32_t worker_id, std::string_view text) = 0;
};

struct UpstreamContext {
  EventLoop& loop;
  SessionTable& sessions;
  proxy::LinkMemory& links;
  UpstreamEvents& events;
  std::span<char> read_scratch;  // ipc::kLinkReadBytes.
};

}  // namespace apm::upstream
