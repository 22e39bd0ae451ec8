// What an agent finds with the keeper when it starts: the processes, pipes and
// notes of the agents before it, sorted by what they belong to.
//
//   Inheritance inheritance(welcome);
//   for (const std::string& name : inheritance.wanted()) keeper.FetchFd(name);
//   // OnStoredFd: inheritance.Add(name, fd); until complete()
//
// Empty when the daemon has just been started. Pure: knows names, asks nobody.

#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/keeper_client.h"
#include "agent/kept_names.h"
#include "agent/process_note.h"
#include "base/os/unique_fd.h"

namespace apm::agent {

struct InheritedProcess {
  RunningProcess process;
  std::optional<ProcessNote> note;  // Absent if it cannot be read.
  std::map<PipeEnd, UniqueFd> pipes;
};

class Inheritance {
 public:
  Inheritance() = default;
  explicit Inheritance(const Welcome& welcome);

  // Descriptors to fetch from the keeper.
  const std::set<std::string, std::less<>>& wanted() const { return wanted_; }
  // What came of it; no descriptor if the keeper has it no more.
  void Add(std::string_view name, UniqueFd fd);
  bool complete() const { return wanted_.empty(); }

  // By worker, each oldest first.
  std::vector<InheritedProcess>& processes() { return processes_; }
  const std::map<InstancePlace, std::string>& instance_memos() const {
    return instance_memos_;
  }
  // kDaemonRuns or kDaemonStops; empty before the first boot is complete.
  const std::string& daemon_note() const { return daemon_note_; }

  // Everything that is not a process's: listening sockets and shared memory.
  UniqueFd Take(std::string_view name);
  std::map<std::string, UniqueFd, std::less<>> TakeAll(std::string_view prefix);

  // Names in the keeper's store that belong to no process: their agent died
  // before the spawn, or after the end.
  const std::vector<std::string>& stale_fds() const { return stale_fds_; }
  const std::vector<std::string>& stale_notes() const { return stale_notes_; }

 private:
  InheritedProcess* Find(const InstanceKey& key);

  std::set<std::string, std::less<>> wanted_;
  std::vector<InheritedProcess> processes_;
  std::map<InstancePlace, std::string> instance_memos_;
  std::map<std::string, UniqueFd, std::less<>> others_;
  std::string daemon_note_;
  std::vector<std::string> stale_fds_;
  std::vector<std::string> stale_notes_;
};

}  // namespace apm::agent
