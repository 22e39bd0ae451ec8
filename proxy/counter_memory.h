// The counters of counters.h as the proxy sees them: in the agent's memory
// once it has sent it, in its own until then.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "base/os/shared_memory.h"
#include "base/os/unique_fd.h"
#include "proxy/counters.h"

namespace apm::proxy {

// Thread: the shard's.
class CounterMemory {
 public:
  CounterMemory();
  CounterMemory(const CounterMemory&) = delete;
  CounterMemory& operator=(const CounterMemory&) = delete;

  // Counts in `memfd` from here on. What is open (connections, requests, ...)
  // by the counters there becomes what is open here: what a proxy before us
  // left open died with it. kInvalidArgument if it is too small for
  // `slots`, could still shrink, or has another layout; then all stays.
  // Pointers given out before go on to point to the old memory, which stays
  // mapped until the next Use(): ask again.
  absl::Status Use(UniqueFd memfd, uint32_t slots);

  CountersHeader& header() { return *header_; }
  // A slot that is not there is one that nobody reads.
  WorkerCounters& worker(uint32_t slot);

 private:
  std::unique_ptr<CountersHeader> own_header_;
  std::unique_ptr<WorkerCounters> own_worker_;
  CountersHeader* header_;
  WorkerCounters* workers_ = nullptr;
  uint32_t slots_ = 0;
  SharedMemory current_;
  SharedMemory previous_;
};

}  // namespace apm::proxy
