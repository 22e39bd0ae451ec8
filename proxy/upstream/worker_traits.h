// What a worker said of itself in its `hello`: the part that a proxy tells the
// agent, and that its successor is told.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace apm::ipc {
struct WorkerHead;
}

namespace apm::upstream {

inline constexpr size_t kMaxConnectorBytes = 64;
inline constexpr size_t kMaxFeatures = 16;
inline constexpr size_t kMaxFeatureBytes = 32;

// Of an original worker: empty.
struct WorkerTraits {
  std::string connector;
  uint32_t concurrency = 0;  // 0: it did not say.
  std::vector<std::string> features;

  friend bool operator==(const WorkerTraits&, const WorkerTraits&) = default;
};

// Within the limits above: a long name is cut, features over them are not
// taken. Features that this version does not know are kept: the next may.
WorkerTraits TraitsOf(const ipc::WorkerHead& hello);

}  // namespace apm::upstream
