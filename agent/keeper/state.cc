#include "agent/keeper/state.h"

#include <unistd.h>

#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

#include "agent/keeper/fd_store.h"
#include "agent/keeper/note_store.h"
#include "agent/keeper/process_table.h"
#include "base/os/channel.h"
#include "base/status/status_macros.h"

namespace apm::keeper {
namespace {

namespace pb = ::apm::internal::v1;

absl::Status Wrong(std::string_view what) {
  return absl::InvalidArgumentError("the state of the keeper has " +
                                    std::string(what));
}

void AddDescriptors(const pb::KeptService& service, std::vector<int>& fds) {
  if (!service.has_channel()) return;
  fds.push_back(service.channel().fd());
  for (const pb::KeptPacket& packet : service.channel().queue()) {
    fds.insert(fds.end(), packet.fds().begin(), packet.fds().end());
  }
}

absl::Status CheckService(const pb::KeptService& service) {
  if (service.pid() < 0) return Wrong("a service with a wrong pid");
  if (service.pid() == 0 && (service.has_exit() || service.has_channel())) {
    return Wrong("a service that has ended and has not");
  }
  // Reaped and without a channel it would be gone.
  if (service.has_exit() && !service.has_channel()) {
    return Wrong("a service that has gone unnoticed");
  }
  const pb::KeptChannel& channel = service.channel();
  if (static_cast<size_t>(channel.queue_size()) > kMaxQueuedPackets) {
    return Wrong("too long a queue");
  }
  for (const pb::KeptPacket& packet : channel.queue()) {
    if (packet.bytes().empty() || packet.bytes().size() > kMaxPacketBytes ||
        static_cast<size_t>(packet.fds_size()) > kMaxPacketFds) {
      return Wrong("a packet that exceeds its limits");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckProcesses(const pb::KeeperState& state) {
  if (static_cast<size_t>(state.processes_size()) >
      ProcessTable::kMaxProcesses) {
    return Wrong("too many processes");
  }
  std::set<ProcessKey> keys;
  std::set<int> pids = {state.agent().pid()};
  if (!pids.insert(state.proxy().pid()).second && state.proxy().pid() != 0) {
    return Wrong("one pid twice");
  }
  for (const pb::KeptProcess& process : state.processes()) {
    if (!keys.insert(ProcessKey::From(process.key())).second) {
      return Wrong("one process twice");
    }
    if (process.has_exited()) {  // Its pid may be another one's now.
      if (process.failure_pipe() != 0) return Wrong("an exit before the start");
      continue;
    }
    if (process.pid() <= 0 || !pids.insert(process.pid()).second) {
      return Wrong("a wrong pid, or one twice");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckStores(const pb::KeeperState& state) {
  if (static_cast<size_t>(state.fds_size()) > FdStore::kMaxFds) {
    return Wrong("too many descriptors");
  }
  std::set<std::string_view> names;
  for (const pb::KeptFd& kept : state.fds()) {
    if (kept.name().empty() || kept.name().size() > FdStore::kMaxNameBytes ||
        !names.insert(kept.name()).second) {
      return Wrong("a wrong name of a descriptor, or one twice");
    }
  }
  NoteStore notes;
  for (const pb::PutState& note : state.states()) {
    APM_RETURN_IF_ERROR(notes.Put(note.name(), note.value()));
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<int> DescriptorsOf(const pb::KeeperState& state) {
  std::vector<int> fds;
  if (!state.pid_file().path().empty()) fds.push_back(state.pid_file().fd());
  AddDescriptors(state.agent(), fds);
  AddDescriptors(state.proxy(), fds);
  for (const pb::KeptProcess& process : state.processes()) {
    if (process.pidfd() != 0) fds.push_back(process.pidfd());
    if (process.failure_pipe() != 0) fds.push_back(process.failure_pipe());
  }
  for (const pb::KeptFd& kept : state.fds()) fds.push_back(kept.fd());
  return fds;
}

absl::Status CheckState(const pb::KeeperState& state) {
  if (state.version() != kStateVersion) {
    return Wrong("version " + std::to_string(state.version()) +
                 ", this program takes over from " +
                 std::to_string(kStateVersion));
  }
  if (!state.folder().starts_with('/')) return Wrong("no folder");
  APM_RETURN_IF_ERROR(CheckService(state.agent()));
  APM_RETURN_IF_ERROR(CheckService(state.proxy()));
  APM_RETURN_IF_ERROR(CheckProcesses(state));
  APM_RETURN_IF_ERROR(CheckStores(state));
  std::set<int> numbers;
  for (const int fd : DescriptorsOf(state)) {
    if (fd <= STDERR_FILENO || !numbers.insert(fd).second) {
      return Wrong("a wrong descriptor, or one twice");
    }
  }
  return absl::OkStatus();
}

}  // namespace apm::keeper
