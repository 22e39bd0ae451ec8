#include "agent/keeper/fd_store.h"

#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>

#include "base/os/unique_fd.h"

namespace apm::keeper {

absl::Status FdStore::Put(const std::string& name, UniqueFd fd) {
  if (name.empty() || name.size() > kMaxNameBytes) {
    return absl::InvalidArgumentError("name of a descriptor is empty or long");
  }
  if (!fd) return absl::InvalidArgumentError("no descriptor to keep");
  if (fds_.size() >= kMaxFds && !fds_.contains(name)) {
    return absl::ResourceExhaustedError("no room for descriptor '" + name +
                                        "'");
  }
  fds_[name] = std::move(fd);
  return absl::OkStatus();
}

int FdStore::Find(const std::string& name) const {
  const auto found = fds_.find(name);
  return found == fds_.end() ? -1 : found->second.get();
}

void FdStore::Drop(const std::string& name) { fds_.erase(name); }

std::vector<std::string> FdStore::Names() const {
  std::vector<std::string> names;
  names.reserve(fds_.size());
  for (const auto& [name, fd] : fds_) names.push_back(name);
  return names;
}

}  // namespace apm::keeper
