// The agent's end of its channel to apm-proxy: messages of
// proto/apm/internal/v1/proxy.proto as calls and events.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "agent/link_key.h"
#include "base/os/channel.h"
#include "base/os/event_loop.h"
#include "base/os/unique_fd.h"

namespace apm::agent {

// What the proxy is told about a worker; numbers, as it knows no processes.
struct RouteSpec {
  uint32_t id = 0;
  std::string name;
  uint32_t counter_slot = 0;
  bool trust_proxy = false;
  std::vector<std::string> trusted;
  bool access_log = false;  // UseAccessLog() follows.
};

struct ListenerSpec {
  uint32_t id = 0;
  uint32_t worker_id = 0;
  std::string address;
  bool http = false;
  bool websocket = false;
  bool unix = false;
  int fd = -1;  // Still the caller's.
};

// The agent's ends of a worker's pipes. All still the caller's.
struct LinkPipes {
  int to_worker = -1;
  int from_worker = -1;
  int stray = -1;  // Where output between frames goes.
};

// What a worker said of itself in its first frame: what a proxy has to know
// that takes its link over.
struct WorkerTraits {
  std::string connector;     // "python/1.0"; empty for an original worker.
  uint32_t concurrency = 0;  // 0: it did not say.
  std::vector<std::string> features;
};

// The memory of LinkBoard.
struct LinkRecordsFds {
  int links_fd = -1;
  uint32_t links = 0;
  int sessions_fd = -1;
  uint32_t sessions = 0;
};

// What the proxy says. Called on the loop.
class ProxyEvents {
 public:
  virtual ~ProxyEvents() = default;
  virtual void OnProxyReady(uid_t uid, std::string_view warning) = 0;
  // May come again: the worker said more, or Attach() was repeated. To be kept
  // for the next proxy.
  virtual void OnWorkerHello(const LinkKey& link,
                             const WorkerTraits& traits) = 0;
  virtual void OnWorkerDrained(const LinkKey& link, uint32_t sessions_left) = 0;
  // The worker closed its pipes, or the proxy refused a torn link.
  virtual void OnWorkerLinkLost(const LinkKey& link) = 0;
  // The channel is closed; the keeper will say when a new proxy is there.
  virtual void OnProxyGone(const absl::Status& reason) = 0;
};

// Thread: the main loop's. Calls while no proxy is connected do nothing: a
// new one is told everything by its owner.
class ProxyClient {
 public:
  ProxyClient(EventLoop& loop, ProxyEvents& events)
      : loop_(loop), events_(events) {}

  // A proxy has started; an earlier channel is closed.
  absl::Status Connect(UniqueFd channel);
  void Disconnect() { channel_.reset(); }
  bool connected() const { return channel_ != nullptr; }

  void SendCounters(int memfd, uint32_t slots);
  // Replaces everything said before about workers.
  void SendSnapshot(std::span<const RouteSpec> routes);
  // `file` is still the caller's.
  void UseAccessLog(uint32_t worker_id, int file);
  void AddListener(const ListenerSpec& listener);
  void RemoveListener(uint32_t id);
  // Before any Attach(). The descriptors are still the caller's.
  void SendLinkRecords(const LinkRecordsFds& records);
  // `record`: LinkBoard::Take(). `traits` of a worker that has spoken, to this
  // proxy or to one before. Of a link that this proxy has already only
  // `pipes.stray` is used; sessions go on.
  void Attach(const LinkKey& link, const LinkPipes& pipes, uint32_t record,
              const std::optional<WorkerTraits>& traits);
  // Every link has been attached that there is.
  void TakeOverDone();
  void Ready(const LinkKey& link);
  // `for_good`: its clients find no other process in its place.
  void Drain(const LinkKey& link, bool for_good, absl::Duration deadline);
  void Detach(const LinkKey& link);

 private:
  void OnMessage(std::string_view message);
  template <typename Message>
  void Send(const Message& message, std::span<const int> fds = {});

  EventLoop& loop_;
  ProxyEvents& events_;
  std::unique_ptr<Channel> channel_;
  uint64_t snapshot_version_ = 0;
};

}  // namespace apm::agent
