// Names of users, for messages.

#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace apm {

// "bob"; "unknown" for a uid that the name service does not know. May block:
// not for an event loop.
std::string UserName(uid_t uid);

// The uid of "bob"; nullopt if there is no such user. May block.
std::optional<uid_t> FindUser(const std::string& name);

}  // namespace apm
