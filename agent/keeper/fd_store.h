// Descriptors that must outlive the process that uses them, by name: worker
// pipes, listening sockets, memfds.

#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include <absl/status/status.h>

#include "agent/keeper/process_table.h"
#include "base/os/unique_fd.h"

namespace apm::keeper {

class FdStore {
 public:
  // Four for each process that the keeper can have, and some listeners. The
  // system's limit (RLIMIT_NOFILE) may come first.
  static constexpr size_t kMaxFds =
      4 * ProcessTable::kMaxProcesses + size_t{4096};
  static constexpr size_t kMaxNameBytes = 256;

  // Keeps `fd`; closes what the name held before. kInvalidArgument for an
  // empty or too long name or no descriptor, kResourceExhausted if the store or
  // the process is full.
  absl::Status Put(const std::string& name, UniqueFd fd);

  // The descriptor, which stays the store's; -1 if the name is not known.
  int Find(const std::string& name) const;

  // Closes the descriptor. Harmless if the name is not known.
  void Drop(const std::string& name);

  std::vector<std::string> Names() const;
  size_t size() const { return fds_.size(); }

 private:
  std::map<std::string, UniqueFd> fds_;
};

}  // namespace apm::keeper
