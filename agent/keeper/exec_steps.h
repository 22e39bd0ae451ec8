// What apm-exec does between its start and the program: one step after the
// other, each by the system's own rules, until one fails.
//
//   setsid rlimit user chdir stdio exec
//
// The order is the point. Limits come before the user, who may not raise them;
// the user comes before chdir and exec, which must need his permissions and
// not ours; stdio comes late, so that nothing of ours can get into it.

#pragma once

#include <string>

#include "apm/internal/v1/keeper.pb.h"

namespace apm::keeper {

struct StepFailure {
  std::string step;  // A word of the line above.
  int error = 0;     // errno.
  std::string detail;
};

// Turns this process into the one that `spec` describes, with the descriptors
// `stdio` to `stdio` + 2 as its standard ones and no other. Returns only if a
// step failed.
StepFailure BecomeWorker(const internal::v1::ExecSpec& spec, int stdio);

}  // namespace apm::keeper
