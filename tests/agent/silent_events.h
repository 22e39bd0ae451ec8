// A listener to keeper and proxy that hears nothing: for tests that look at
// what is sent.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string_view>

#include "agent/keeper_client.h"
#include "agent/proxy_client.h"

namespace apm::agent {

class SilentEvents final : public KeeperEvents, public ProxyEvents {
 public:
  void OnWelcome(Welcome) override {}
  void OnSpawned(const InstanceKey&, pid_t, uint64_t) override {}
  void OnSpawnFailed(const InstanceKey&, std::string_view, int,
                     std::string_view) override {}
  void OnExited(const InstanceKey&, const ProcessExit&) override {}
  void OnStoredFd(std::string_view, UniqueFd) override {}
  void OnProxyStarted(pid_t, uint64_t, UniqueFd) override {}
  void OnProxyExited(const ProxyExit&) override {}
  void OnShutdownRequested() override {}
  void OnReexeced(const ReexecReport&) override {}
  void OnKeeperGone(const absl::Status&) override {}

  void OnProxyReady(uid_t, std::string_view) override {}
  void OnWorkerHello(const LinkKey&, const WorkerTraits&) override {}
  void OnWorkerDrained(const LinkKey&, uint32_t) override {}
  void OnWorkerLinkLost(const LinkKey&) override {}
  void OnProxyGone(const absl::Status&) override {}
};

}  // namespace apm::agent
