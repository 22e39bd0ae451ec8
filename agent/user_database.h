// Who a uid or a user name is: the host's user database through NSS, which
// may ask the network. Call it from Background, or before the loop runs.

#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

namespace apm::agent {

struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // Supplementary, `gid` included.
  std::string name;           // Empty where the database has none for the uid.
  std::string home;
  std::string shell;
};

// kNotFound: no such user; the message says how to see which there are.
absl::StatusOr<Identity> FindUser(std::string_view name);

// A uid without an entry is a user without name or home, in group 'gid'.
Identity DescribeUid(uid_t uid, gid_t gid);

// Who owns the folder at `path`; `fallback` if that is root, or nobody can
// tell since it does not exist.
Identity OwnerOf(const std::string& path, const Identity& fallback);

// kNotFound if there is no such group.
absl::StatusOr<gid_t> FindGroup(std::string_view name);

}  // namespace apm::agent
