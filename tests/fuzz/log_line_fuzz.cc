// A line that can be read says the same when it is written and read again.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "agent/logs/log_line.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using apm::logs::LogLine;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::optional<LogLine> line = apm::logs::ParseLine(input);
  if (!line) return 0;
  const std::string text = apm::logs::FormatLine(*line);
  if (apm::logs::ParseLine({text.data(), text.size() - 1}) != line) abort();
  return 0;
}
