// Names one process of a worker, as the agent and the keeper do, and what
// comes with it.

#pragma once

#include <cstdint>
#include <optional>

#include "base/os/unique_fd.h"
#include "proxy/upstream/worker_traits.h"

namespace apm::upstream {

struct InstanceKey {
  uint32_t worker_id = 0;
  uint32_t instance = 0;
  uint64_t generation = 0;  // Never reused for this worker and instance.

  friend bool operator==(const InstanceKey&, const InstanceKey&) = default;
};

// Our ends of a worker's pipes.
struct WorkerPipes {
  UniqueFd to_worker;
  UniqueFd from_worker;
  UniqueFd stray;  // What the worker printed between frames goes there.
};

// A process to send sessions to.
struct Attachment {
  WorkerPipes pipes;
  uint32_t link_record = 0;            // proxy/link_records.h
  std::optional<WorkerTraits> traits;  // Of one that has spoken already.
};

}  // namespace apm::upstream
