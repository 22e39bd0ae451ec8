#include "agent/control/gate.h"

#include <memory>
#include <optional>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "agent/agent_api.h"
#include "agent/control/access.h"
#include "agent/control/peer.h"
#include "base/os/user_name.h"
#include "base/status/status_macros.h"

namespace apm::control {

absl::Status Gate::StoppingStatus() {
  return absl::UnavailableError(
      "the agent is stopping; try again when it is back");
}

absl::StatusOr<agent::Caller> Gate::Admit(
    Method method, const grpc::CallbackServerContext& context,
    const std::shared_ptr<OpenCall>& call) {
  APM_ASSIGN_OR_RETURN(agent::Caller caller, Identify(method, context.peer()));
  if (!open_calls_.Add(call)) return StoppingStatus();
  return caller;
}

absl::StatusOr<agent::Caller> Gate::Identify(
    Method method, const std::string& peer_name) const {
  const std::optional<Peer> peer = connections_.Find(peer_name);
  if (!peer) {
    return absl::PermissionDeniedError(
        "the connection of this call is not known; connect again");
  }
  APM_RETURN_IF_ERROR(Authorise(method, *peer, policy_, UserName));
  return agent::Caller{.uid = peer->uid,
                       .gid = peer->gid,
                       .pid = peer->pid,
                       .admin = RoleOf(*peer, policy_) == Role::kAdmin};
}

}  // namespace apm::control
