// A line that can be read, in either format, says the same when it is written
// as text and read again; as JSON too, once what is not UTF-8 is replaced.

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
  const std::optional<LogLine> line =
      apm::logs::ParseLine(input.substr(0, input.find('\n')));
  if (!line) return 0;
  const std::string text = apm::logs::FormatLine(*line);
  if (apm::logs::ParseLine({text.data(), text.size() - 1}) != line) abort();
  const auto as_json = [](const LogLine& value) {
    std::string json = FormatLine(value, apm::logs::LineFormat::kJson);
    json.pop_back();
    return json;
  };
  const std::optional<LogLine> clean = apm::logs::ParseLine(as_json(*line));
  if (!clean || apm::logs::ParseLine(as_json(*clean)) != clean) abort();
  return 0;
}
