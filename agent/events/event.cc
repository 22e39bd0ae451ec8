#include "agent/events/event.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <absl/strings/str_cat.h>

namespace apm::events {
namespace {

constexpr std::string_view kCutMark = "...";

bool IsContinuation(char byte) { return (byte & 0xC0) == 0x80; }

// Between characters, if `text` is UTF-8.
void Cut(std::string& text, size_t max_bytes) {
  if (text.size() <= max_bytes) return;
  size_t end = max_bytes - kCutMark.size();
  while (end > 0 && IsContinuation(text[end])) --end;
  text.resize(end);
  text += kCutMark;
}

}  // namespace

std::string Format(const Cursor& cursor) {
  return absl::StrCat(cursor.epoch, ":", cursor.sequence);
}

std::string_view Name(Severity severity) {
  switch (severity) {
    case Severity::kInfo:
      return "info";
    case Severity::kWarning:
      return "warning";
    case Severity::kError:
      return "error";
  }
  return "";
}

void CutToLimits(Event& event) {
  for (std::string* name :
       {&event.type, &event.worker, &event.from_state, &event.to_state}) {
    Cut(*name, kMaxNameBytes);
  }
  Cut(event.text, kMaxTextBytes);
  std::vector<std::string>& tail = event.stderr_tail;
  if (tail.size() > kMaxTailLines) {
    tail.erase(tail.begin(),
               tail.end() - static_cast<ptrdiff_t>(kMaxTailLines));
  }
  for (std::string& line : tail) Cut(line, kMaxTailLineBytes);
}

}  // namespace apm::events
