// How a keeper becomes another program: see reexec.h.

#include <unistd.h>

#include <cstdint>
#include <string>
#include <utility>

#include <absl/status/status.h>

#include "agent/keeper/keeper.h"
#include "agent/keeper/log.h"
#include "agent/keeper/reexec.h"
#include "agent/keeper/state.h"
#include "base/os/unique_fd.h"
#include "base/status/status_macros.h"
#include "base/version.h"

namespace apm::keeper {

namespace pb = ::apm::internal::v1;

// Not in the middle of a turn: whatever is in hand then would be lost.
void Keeper::ReexecAtEndOfTurn() {
  loop_.AtEndOfTurn([this] {
    const std::string program = setup_.folder + "/apm-keeper";
    LogInfo("replacing our program by '" + program + "'");
    const absl::Status failure =
        phase_ == Phase::kServing
            ? ReplaceProgram(program, setup_.args, Save())
            : absl::FailedPreconditionError("the keeper is stopping");
    LogError("the program stays: " + std::string(failure.message()));
    SayReexeced(failure);
  });
}

pb::KeeperState Keeper::Save() const {
  pb::KeeperState state;
  state.set_version(kStateVersion);
  state.set_folder(setup_.folder);
  if (!pid_file_.path().empty()) {
    state.mutable_pid_file()->set_path(pid_file_.path());
    state.mutable_pid_file()->set_fd(pid_file_.fd());
  }
  agent_.Save(*state.mutable_agent());
  proxy_.Save(*state.mutable_proxy());
  workers_.Save(state);
  for (const std::string& name : fds_.Names()) {
    pb::KeptFd* kept = state.add_fds();
    kept->set_name(name);
    kept->set_fd(fds_.Find(name));
  }
  for (const auto& [name, value] : notes_.notes()) {
    pb::PutState* note = state.add_states();
    note->set_name(name);
    note->set_value(value);
  }
  state.set_agent_has_spoken(agent_has_spoken_);
  state.set_ignored_messages(ignored_messages_);
  return state;
}

absl::Status Keeper::TakeOver(const pb::KeeperState& state) {
  agent_has_spoken_ = state.agent_has_spoken();
  ignored_messages_ = state.ignored_messages();
  for (const pb::KeptFd& kept : state.fds()) {
    APM_RETURN_IF_ERROR(fds_.Put(kept.name(), UniqueFd(kept.fd())));
  }
  for (const pb::PutState& note : state.states()) {
    APM_RETURN_IF_ERROR(notes_.Put(note.name(), note.value()));
  }
  APM_RETURN_IF_ERROR(workers_.TakeOver(state));
  APM_RETURN_IF_ERROR(agent_.TakeOver(state.agent()));
  APM_RETURN_IF_ERROR(proxy_.TakeOver(state.proxy()));
  LogInfo("version " + std::string(kVersion) + " took over, with " +
          std::to_string(workers_.alive()) + " processes and " +
          std::to_string(fds_.size()) + " stored descriptors");
  SayReexeced(absl::OkStatus());
  // Children that ended since: their signal may have been lost on the way.
  loop_.Post([this] { ReapChildren(); });
  return absl::OkStatus();
}

void Keeper::SayReexeced(const absl::Status& result) {
  pb::FromKeeper message;
  pb::Reexeced* reexeced = message.mutable_reexeced();
  reexeced->set_version(kVersion);
  reexeced->set_error(std::string(result.message()));
  reexeced->set_processes(static_cast<uint32_t>(workers_.alive()));
  reexeced->set_descriptors(static_cast<uint32_t>(fds_.size()));
  Tell(agent_, message);
}

}  // namespace apm::keeper
