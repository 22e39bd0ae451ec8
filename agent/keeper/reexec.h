// Replaces the program of this process by the one that is installed now:
// execve() keeps the pid, the children and the descriptors, and a sealed memfd
// carries what they mean (proto/apm/internal/v1/keeper_state.proto).
//
//   this program     writes the state, has the new one check it as a child,
//                    clears close-on-exec of what is kept, execve()
//   the new program  sets close-on-exec again, goes on

#pragma once

#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "apm/internal/v1/keeper_state.pb.h"

namespace apm::keeper {

// How long the new program may check the state; we wait for it.
inline constexpr absl::Duration kCheckPatience = absl::Seconds(2);

// The exit status of a check that found nothing wrong: one that no other
// program has by chance, since we become whatever says so.
inline constexpr int kStateAccepted = 42;

// Executes `program` with `args` and the option that names the state. Returns
// only if that failed, and then everything is as it was: the program cannot
// be executed, or it did not accept the state in time.
absl::Status ReplaceProgram(const std::string& program,
                            const std::vector<std::string>& args,
                            const internal::v1::KeeperState& state);

// Both for the new program: the state in the memfd `fd`, checked.
absl::StatusOr<internal::v1::KeeperState> ReadState(int fd);

// Whether what `state` names is passed on by execve(); a descriptor that was
// passed on must not reach any other child.
void SetInheritable(const internal::v1::KeeperState& state, bool inheritable);

}  // namespace apm::keeper
