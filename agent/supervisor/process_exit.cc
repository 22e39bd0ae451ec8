#include "agent/supervisor/process_exit.h"

#include <string.h>

#include <string>

#include <absl/strings/str_cat.h>

namespace apm::supervisor {

std::string DescribeExit(const ProcessExit& exit) {
  if (exit.signal == 0) return absl::StrCat("exited with status ", exit.code);
  const char* const name = sigabbrev_np(exit.signal);  // "KILL"
  return absl::StrCat("killed by ",
                      name != nullptr ? absl::StrCat("SIG", name)
                                      : absl::StrCat("signal ", exit.signal),
                      exit.core_dumped ? " (core dumped)" : "");
}

}  // namespace apm::supervisor
