// A number for what a process gets only at its start. A process that was
// started from another definition than its worker has now must be replaced:
// so a new agent finishes what a killed one had begun.

#pragma once

#include <cstdint>

#include "agent/config/config.h"
#include "agent/run_as.h"

namespace apm::agent {

// Never 0. The same on every host and in every version that starts processes
// the same way.
uint64_t DefinitionHash(const config::WorkerConfig& config,
                        const RunAs& run_as);

}  // namespace apm::agent
