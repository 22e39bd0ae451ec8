// The agent's end of its channel to apm-proxy: messages of
// proto/apm/internal/v1/proxy.proto as calls and events.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/time/time.h>

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

// An instance as the proxy knows it.
struct LinkKey {
  uint32_t worker_id = 0;
  uint32_t instance = 0;
  uint64_t generation = 0;
};

// What the proxy says. Called on the loop.
class ProxyEvents {
 public:
  virtual ~ProxyEvents() = default;
  virtual void OnProxyReady(uid_t uid, std::string_view warning) = 0;
  virtual void OnWorkerHello(const LinkKey& link,
                             std::string_view connector) = 0;
  virtual void OnWorkerDrained(const LinkKey& link, uint32_t sessions_left) = 0;
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
  void AddListener(const ListenerSpec& listener);
  void RemoveListener(uint32_t id);
  // `stdin_pipe`, `stdout_pipe`: the agent's ends of the worker's pipes;
  // `stray_pipe`: where output between frames goes. All still the caller's.
  void Attach(const LinkKey& link, int stdin_pipe, int stdout_pipe,
              int stray_pipe);
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
