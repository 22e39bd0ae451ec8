#include "agent/control/access.h"

#include <sys/types.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_join.h>

namespace apm::control {
namespace {

// A switch without a default, so that a new method fails to compile here.
Role RequiredRole(Method method) {
  switch (method) {
    case Method::kShutdown:
    case Method::kUpgrade:
    case Method::kApplyConfig:
      return Role::kAdmin;
    case Method::kGetStatus:
    case Method::kCreateWorker:
    case Method::kGetWorker:
    case Method::kListWorkers:
    case Method::kDeleteWorker:
    case Method::kStartWorker:
    case Method::kStopWorker:
    case Method::kRestartWorker:
    case Method::kReloadWorker:
    case Method::kScaleWorker:
    case Method::kReadLog:
    case Method::kFollowLog:
    case Method::kListEvents:
    case Method::kWatchEvents:
      return Role::kOperator;
  }
  return Role::kAdmin;
}

// What an operator is refused. REQUIRES: a method for administrators.
std::string_view AdminTask(Method method) {
  switch (method) {
    case Method::kApplyConfig:
      return "apply the configuration";
    case Method::kUpgrade:
      return "replace the agent's programs";
    default:
      return "end the agent";
  }
}

bool IsMember(const Peer& peer, gid_t gid) {
  return peer.gid == gid || std::ranges::count(peer.groups, gid) > 0;
}

std::string WhyNobody(const Peer& peer, const AccessPolicy& policy,
                      const std::string& name) {
  if (peer.uid == kUnmappedUid) {
    return absl::StrCat("uid ", kUnmappedUid, " (", name,
                        ") stands for users that do not exist in the agent's "
                        "user namespace and is never admitted; call as a user "
                        "of this host");
  }
  if (peer.namespaces == Namespaces::kForeign) {
    return absl::StrCat("pid ", peer.pid, " of uid ", peer.uid,
                        " is not in the agent's user, pid and mount "
                        "namespaces: users of a container are not users here; "
                        "call from outside of the container");
  }
  const std::string who = absl::StrCat("user ", name, " (uid ", peer.uid, ")");
  if (policy.allow_groups.empty()) {
    return absl::StrCat(who, " is neither root nor the owner (uid ",
                        policy.owner,
                        "), and no allow_group is set; to admit a group, write "
                        "in the agent's configuration: daemon { allow_group "
                        "apm-admin; }, then restart the agent");
  }
  const std::string groups = absl::StrJoin(
      policy.allow_groups, " or ", [](std::string* out, const auto& group) {
        absl::StrAppend(out, "'", group.name, "'");
      });
  return absl::StrCat(
      who, " is neither root, the owner (uid ", policy.owner,
      "), nor in allow_group ", groups, "; ask for: usermod -aG ",
      policy.allow_groups.front().name, " ", name, ", then log in again");
}

}  // namespace

Role RoleOf(const Peer& peer, const AccessPolicy& policy) {
  if (peer.uid == kUnmappedUid || peer.namespaces == Namespaces::kForeign) {
    return Role::kNone;
  }
  if (peer.uid == 0 || peer.uid == policy.owner) return Role::kAdmin;
  const bool member = std::ranges::any_of(
      policy.allow_groups,
      [&](const AllowedGroup& group) { return IsMember(peer, group.gid); });
  return member ? Role::kOperator : Role::kNone;
}

absl::Status Authorise(Method method, const Peer& peer,
                       const AccessPolicy& policy,
                       std::string (*user_name)(uid_t)) {
  const Role role = RoleOf(peer, policy);
  if (role == Role::kNone) {
    return absl::PermissionDeniedError(
        WhyNobody(peer, policy, user_name(peer.uid)));
  }
  if (role < RequiredRole(method)) {
    return absl::PermissionDeniedError(absl::StrFormat(
        "user %s (uid %d) may operate workers, but not %s; ask root or the "
        "owner (uid %d)",
        user_name(peer.uid), peer.uid, AdminTask(method), policy.owner));
  }
  if (method == Method::kCreateWorker && role != Role::kAdmin &&
      policy.owner != 0) {
    // An operator's workers have his uid, and only root can give it to them.
    return absl::PermissionDeniedError(absl::StrCat(
        "user ", user_name(peer.uid), " (uid ", peer.uid,
        ") may not create workers here: they would run as uid ", policy.owner,
        ", the owner; ask the owner, or start an agent of your own"));
  }
  return absl::OkStatus();
}

}  // namespace apm::control
