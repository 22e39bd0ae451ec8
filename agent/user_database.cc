#include "agent/user_database.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_format.h>

#include "base/os/errno_status.h"

namespace apm::agent {
namespace {

// Entries with very many members need more; a host that needs more than this
// has a broken database.
constexpr size_t kLargestEntryBytes = size_t{1} << 20;
constexpr int kMaxGroups = 65'536;  // NGROUPS_MAX.

// Calls a getXXnam_r-like `lookup` with a buffer that grows on ERANGE.
template <typename Lookup>
int WithGrowingBuffer(std::vector<char>& buffer, Lookup lookup) {
  buffer.resize(4096);
  for (;;) {
    const int error = lookup(buffer);
    if (error != ERANGE || buffer.size() >= kLargestEntryBytes) return error;
    buffer.resize(buffer.size() * 4);
  }
}

Identity FromEntry(const passwd& entry) {
  Identity identity;
  identity.uid = entry.pw_uid;
  identity.gid = entry.pw_gid;
  identity.name = entry.pw_name;
  identity.home = entry.pw_dir;
  identity.shell = entry.pw_shell;
  int count = 64;
  identity.groups.resize(static_cast<size_t>(count));
  while (getgrouplist(entry.pw_name, entry.pw_gid, identity.groups.data(),
                      &count) < 0 &&
         count <= kMaxGroups) {
    identity.groups.resize(static_cast<size_t>(count));
  }
  identity.groups.resize(static_cast<size_t>(count));
  return identity;
}

}  // namespace

absl::StatusOr<Identity> FindUser(std::string_view name) {
  const std::string terminated(name);
  std::vector<char> buffer;
  passwd entry{};
  passwd* found = nullptr;
  const int error = WithGrowingBuffer(buffer, [&](std::vector<char>& space) {
    return getpwnam_r(terminated.c_str(), &entry, space.data(), space.size(),
                      &found);
  });
  if (found != nullptr) return FromEntry(*found);
  if (error != 0) {
    return ErrnoStatus(error, absl::StrFormat("look up user '%s'", name));
  }
  return absl::NotFoundError(absl::StrFormat(
      "no user '%s' on this host; list users with: getent passwd", name));
}

Identity DescribeUid(uid_t uid, gid_t gid) {
  std::vector<char> buffer;
  passwd entry{};
  passwd* found = nullptr;
  WithGrowingBuffer(buffer, [&](std::vector<char>& space) {
    return getpwuid_r(uid, &entry, space.data(), space.size(), &found);
  });
  if (found != nullptr) return FromEntry(*found);
  Identity identity;
  identity.uid = uid;
  identity.gid = gid;
  identity.groups = {gid};
  identity.home = "/";
  identity.shell = "/bin/sh";
  return identity;
}

Identity OwnerOf(const std::string& path, const Identity& fallback) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0 || info.st_uid == 0) return fallback;
  return DescribeUid(info.st_uid, info.st_gid);
}

absl::StatusOr<gid_t> FindGroup(std::string_view name) {
  const std::string terminated(name);
  std::vector<char> buffer;
  group entry{};
  group* found = nullptr;
  const int error = WithGrowingBuffer(buffer, [&](std::vector<char>& space) {
    return getgrnam_r(terminated.c_str(), &entry, space.data(), space.size(),
                      &found);
  });
  if (found != nullptr) return entry.gr_gid;
  if (error != 0) {
    return ErrnoStatus(error, absl::StrFormat("look up group '%s'", name));
  }
  return absl::NotFoundError(absl::StrFormat(
      "no group '%s' on this host; create it with: groupadd %s", name, name));
}

}  // namespace apm::agent
