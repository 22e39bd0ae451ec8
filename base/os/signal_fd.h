// Signals as reads from a descriptor (signalfd(2)).

#pragma once

#include <initializer_list>
#include <vector>

#include <absl/status/statusor.h>

#include "base/os/unique_fd.h"

namespace apm {

// Blocks `signals` in the calling thread (and threads it starts later) and
// returns a non-blocking descriptor that is readable when one is pending.
absl::StatusOr<UniqueFd> CreateSignalFd(std::initializer_list<int> signals);

// The signals that were pending on `signal_fd`, each once or more; empty when
// there are none.
std::vector<int> TakeSignals(int signal_fd);

}  // namespace apm
