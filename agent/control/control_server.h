// The agent's gRPC server (apm.v1, health, reflection) on a local socket.
//
// Every connection is accepted on the agent's loop, where the kernel says who
// is there; the descriptor is then gRPC's. Calls run on gRPC's threads: they
// are authorised there, posted to the loop, and answered from there.
//
//   auto server = ControlServer::Create(loop, api, {.socket = "@apm"});
//   server->Start();
//   ...
//   server->Stop(absl::Seconds(1));

#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "agent/control/access.h"
#include "base/os/event_loop.h"

namespace apm::agent {
class AgentApi;
}

namespace apm::control {

struct ControlOptions {
  // "@apm" is an abstract socket, "/run/apm/control.sock" a path.
  std::string socket;
  uid_t owner = 0;  // The daemon's user; besides root, the administrator.
  std::vector<AllowedGroup> allow_groups;
};

// Owned by: the agent's composition. Thread: the loop's.
class ControlServer {
 public:
  // Binds and listens: clients may connect from here on, and wait for
  // Start(). `loop` and `api` outlive the server.
  //
  // kAlreadyExists if somebody answers on the socket, with the holder's name
  // and the next step; or if the path is something else than a socket. A path
  // socket that nobody answers is removed. kInvalidArgument if the name is
  // empty, relative or too long.
  static absl::StatusOr<std::unique_ptr<ControlServer>> Create(
      EventLoop& loop, agent::AgentApi& api, ControlOptions options);

  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;
  ~ControlServer();  // Stops at once.

  // Serves. kInternal if gRPC cannot start. REQUIRES: called once.
  absl::Status Start();

  // Accepts no more, answers the calls that still wait with UNAVAILABLE,
  // lets answers that are on their way leave within `grace`, and removes a
  // path socket. Blocks for at most `grace`.
  void Stop(absl::Duration grace);

 private:
  class Impl;  // Keeps gRPC out of this header.
  explicit ControlServer(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace apm::control
