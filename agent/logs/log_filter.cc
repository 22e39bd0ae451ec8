#include "agent/logs/log_filter.h"

#include <optional>
#include <string>
#include <string_view>

#include "agent/logs/log_line.h"

namespace apm::logs {
namespace {

// Cheap before dear: most lines fall here. JSON spells the text differently.
bool MayContain(std::string_view raw, std::string_view text) {
  return raw.starts_with('{') || raw.find(text) != std::string_view::npos;
}

}  // namespace

std::optional<LogLine> Match(std::string_view raw, const LogFilter& filter) {
  if (!MayContain(raw, filter.contains)) return std::nullopt;
  std::optional<LogLine> line = ParseLine(raw);
  if (!line ||
      (!filter.instances.empty() &&
       !filter.instances.contains(line->instance)) ||
      (filter.stream && line->stream != *filter.stream) ||
      line->text.find(filter.contains) == std::string::npos ||
      (filter.matches && !filter.matches(line->text))) {
    return std::nullopt;
  }
  return line;
}

}  // namespace apm::logs
