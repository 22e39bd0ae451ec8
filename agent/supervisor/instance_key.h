// Names one process of one instance of a worker.

#pragma once

#include <cstdint>
#include <string>

namespace apm::supervisor {

// A generation is one attempt to run the program. It is never used twice, so
// that an event which arrives late cannot be taken for a newer process's.
struct InstanceKey {
  std::string worker;
  uint32_t instance = 0;
  uint64_t generation = 0;

  friend bool operator==(const InstanceKey&, const InstanceKey&) = default;
};

}  // namespace apm::supervisor
