#include "ctl/log_text.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <absl/strings/str_cat.h>
#include <absl/time/time.h>

#include "ctl/printable.h"
#include "ctl/table.h"

namespace apm::ctl {
namespace {

// A longer name pushes its own line to the right, not all others.
constexpr size_t kMaxWidth = 24;

std::string NameOf(const v1::LogLine& line) {
  return absl::StrCat(line.worker(), "/", line.instance());
}

// The same one in every call of apmctl.
Color ColorOf(std::string_view worker) {
  constexpr Color kColors[] = {Color::kCyan, Color::kGreen, Color::kYellow,
                               Color::kBlue, Color::kMagenta};
  uint32_t hash = 0;
  for (const char byte : worker) hash = hash * 31 + static_cast<uint8_t>(byte);
  return kColors[hash % std::size(kColors)];
}

}  // namespace

void LogFormatter::Widen(const v1::LogLine& line) {
  width_ = std::max(width_, std::min(NameOf(line).size(), kMaxWidth));
}

std::string LogFormatter::Format(const v1::LogLine& line) {
  const std::string text =
      style_.to_terminal ? Printable(line.text()) : line.text();
  if (style_.raw) return text + "\n";
  Widen(line);
  std::string result;
  if (style_.timestamps) {
    const std::string time = absl::FormatTime(
        "%Y-%m-%dT%H:%M:%E3S%Ez", absl::FromUnixMicros(line.time_unix_us()),
        style_.zone);
    absl::StrAppend(&result, Paint(time, Color::kFaint, style_.colors), " ");
  }
  const std::string name = NameOf(line);
  const std::string padding(width_ - std::min(width_, name.size()), ' ');
  absl::StrAppend(
      &result, Paint(name, ColorOf(line.worker()), style_.colors), padding, " ",
      line.stream() == "err" ? Paint("err", Color::kRed, style_.colors)
                             : line.stream(),
      " | ", text, "\n");
  return result;
}

}  // namespace apm::ctl
