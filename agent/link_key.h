// A worker's process as the proxy knows it: by numbers.

#pragma once

#include <compare>
#include <cstdint>

namespace apm::agent {

struct LinkKey {
  uint32_t worker_id = 0;  // WorkerRecord::id; never 0.
  uint32_t instance = 0;
  uint64_t generation = 0;

  friend auto operator<=>(const LinkKey&, const LinkKey&) = default;
};

}  // namespace apm::agent
