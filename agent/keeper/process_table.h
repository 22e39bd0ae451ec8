// What the keeper remembers of each worker process, from its start until its
// exit has been acknowledged.
//
//   Spawn -> kStarting -> kRunning -> kExited -> AckExit: forgotten
//                `-> a step failed: forgotten
//
// Pure: knows no system call but closing the descriptors it holds.

#pragma once

#include <sys/types.h>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "apm/internal/v1/keeper.pb.h"
#include "base/os/unique_fd.h"

namespace apm::keeper {

struct ProcessKey {
  std::string worker;
  uint32_t instance = 0;
  uint64_t generation = 0;

  static ProcessKey From(const internal::v1::ProcessKey& key);
  internal::v1::ProcessKey ToProto() const;

  friend auto operator<=>(const ProcessKey&,
                          const ProcessKey&) =
      default;  // NOLINT(modernize-use-nullptr)
};

struct Process {
  enum class State : uint8_t {
    kStarting,  // In apm-exec.
    kRunning,   // The program itself.
    kExited,    // Reaped; `exited` waits for its acknowledgement.
  };

  pid_t pid = -1;
  UniqueFd pidfd;
  uint64_t start_ticks = 0;
  int64_t started_unix_ms = 0;
  UniqueFd failure_pipe;  // Only in kStarting.
  State state = State::kStarting;
  bool left_group =
      false;  // Others of its group were alive when it was reaped.
  internal::v1::Exited exited;  // Only in kExited.
};

class ProcessTable {
 public:
  static constexpr size_t kMaxProcesses = 16'384;

  // Null if it is not known. Valid until the entry is forgotten.
  Process* Find(const ProcessKey& key);

  // The key of a process that has not been reaped, else null.
  const ProcessKey* FindUnreaped(pid_t pid) const;

  size_t unreaped() const { return unreaped_.size(); }
  bool full() const { return processes_.size() >= kMaxProcesses; }

  // REQUIRES: the key is not known, !full().
  void Add(const ProcessKey& key, Process process);

  // kStarting -> kRunning.
  void SetRunning(const ProcessKey& key);

  // Keeps the exit; the pid may belong to a stranger from now on.
  void SetExited(const ProcessKey& key, internal::v1::Exited exited);

  void Forget(const ProcessKey& key);

  void ForEach(const std::function<void(const ProcessKey&, const Process&)>&
                   visit) const;

 private:
  std::map<ProcessKey, Process> processes_;
  std::map<pid_t, ProcessKey> unreaped_;
};

}  // namespace apm::keeper
