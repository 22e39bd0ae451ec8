// A definition that can be read says the same when it is written and read
// again.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <absl/status/statusor.h>

#include "agent/store/definition_json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using apm::config::WorkerConfig;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const absl::StatusOr<WorkerConfig> read = apm::store::DecodeDefinition(input);
  if (!read.ok()) return 0;
  const absl::StatusOr<WorkerConfig> again =
      apm::store::DecodeDefinition(apm::store::EncodeDefinition(*read));
  if (!again.ok() || !(*again == *read)) abort();
  return 0;
}
