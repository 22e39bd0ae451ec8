// Configuration files on disk, only where nobody else can have written them.

#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "agent/config/file_source.h"

namespace apm::config {

inline constexpr size_t kMaxFileBytes = size_t{1} << 20;

// What the ownership rule looks at.
struct PathOwner {
  uid_t uid = 0;
  mode_t mode = 0;  // As st_mode.
};

// The rule: owned by root or by `user`, and not writable by others. A folder
// with the sticky bit may be (/tmp): nobody can replace another's file in it.
// kPermissionDenied with the command to type.
absl::Status CheckPathOwner(const std::string& path, const PathOwner& owner,
                            uid_t user);

class DiskSource : public FileSource {
 public:
  // `user` is the uid the daemon runs as.
  explicit DiskSource(uid_t user) : user_(user) {}

  // Regular files up to kMaxFileBytes. The file, every folder above it, and
  // for a symlink the same of its target, pass CheckPathOwner.
  absl::StatusOr<std::string> Read(const std::string& path) override;
  absl::StatusOr<std::vector<std::string>> Glob(
      const std::string& pattern) override;

 private:
  uid_t user_;
};

}  // namespace apm::config
