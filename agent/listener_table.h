// Opens workers' listening sockets, shows them to the proxy, and leaves a copy
// of each with the keeper, so that neither a new proxy nor a new agent has to
// bind again: clients wait in the kernel's queue meanwhile.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "agent/keeper_client.h"
#include "agent/proxy_client.h"
#include "agent/worker_record.h"
#include "base/os/unique_fd.h"

namespace apm::agent {

// Thread: the main loop's.
class ListenerTable {
 public:
  // Both outlive the table.
  ListenerTable(KeeperClient& keeper, ProxyClient& proxy)
      : keeper_(keeper), proxy_(proxy) {}

  // Of the names in the keeper's store that are a listener's.
  static constexpr std::string_view kStoredPrefix = "listener:";

  // After a restart of the agent: what the keeper kept. Open() takes from
  // these before it binds.
  void AddStored(std::string_view name, UniqueFd fd);
  // Releases what no worker of this configuration wanted, here and in a proxy
  // that still accepts on it.
  void DropUnclaimed();

  // Listeners that are open and not in use yet: for each address of a worker
  // the name it is kept under and the socket, none where it is open already.
  struct Place {
    std::string name;
    std::optional<listeners::BoundListener> socket;
  };
  using Prepared = std::vector<Place>;

  // Opens those listeners of `wanted` that `current` (null: none) has not, or
  // none: the error says which one, who holds it, and what to do.
  absl::StatusOr<Prepared> Prepare(const WorkerRecord& wanted,
                                   const WorkerRecord* current);
  // `record` is what was wanted, with the listeners it has had: those it has
  // no more are closed.
  void Commit(WorkerRecord& record, Prepared prepared);
  // Of the socket files that are open, as the definition says now.
  static absl::Status SetSocketModes(const WorkerRecord& record);
  // Closes what was prepared in vain.
  void Discard(Prepared prepared);

  // Both for a worker that has none. The same errors.
  absl::Status Open(WorkerRecord& record);

  // Stops accepting and removes socket files that are still ours.
  void Close(WorkerRecord& record);

  // Tells a proxy that has just started.
  void Announce(const WorkerRecord& record);

 private:
  // Binds `address`, unless the keeper kept its socket.
  absl::StatusOr<listeners::BoundListener> TakeOrBind(
      const WorkerRecord& record, const config::ListenAddress& address,
      const std::string& name);

  void CloseOne(const WorkerRecord& record, OpenListener listener);

  KeeperClient& keeper_;
  ProxyClient& proxy_;
  std::set<uint32_t> ids_;  // Of the open ones.
  std::map<std::string, UniqueFd, std::less<>> stored_;
};

}  // namespace apm::agent
