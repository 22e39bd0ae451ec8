// A memo that can be read is written again to the very same bytes.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "agent/supervisor/memo.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace apm::supervisor;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto memo = DecodeProcessMemo(bytes)) {
    if (Encode(*memo) != bytes) abort();
  }
  if (const auto memo = DecodeInstanceMemo(bytes)) {
    if (Encode(*memo) != bytes) abort();
  }
  return 0;
}
