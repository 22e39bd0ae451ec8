#include "ctl/event_text.h"

#include <algorithm>
#include <string>
#include <string_view>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <absl/time/time.h>

#include "ctl/printable.h"
#include "ctl/table.h"

namespace apm::ctl {
namespace {

constexpr char kTailIndent[] = "    | ";

// Text of others, that it cannot pass for a line of ours.
std::string OneLine(const std::string& text) {
  return absl::StrReplaceAll(Printable(text), {{"\n", "\\x0a"}});
}

std::string Mark(const std::string& severity, bool colors) {
  if (severity == "info") return "I";
  if (severity == "warning") return Paint("W", Color::kYellow, colors);
  if (severity == "error") return Paint("E", Color::kRed, colors);
  return "?";  // Of an agent that is newer than we are.
}

std::string Subject(const v1::Event& event) {
  if (event.worker().empty()) return "-";
  if (event.generation() == 0) return OneLine(event.worker());
  return absl::StrCat(OneLine(event.worker()), "/", event.instance());
}

std::string State(const std::string& state, bool colors) {
  return Paint(OneLine(state), ColorOfState(state), colors);
}

// "starting -> ready", else the type.
std::string What(const v1::Event& event, bool colors) {
  if (event.to_state().empty()) return OneLine(event.type());
  return absl::StrCat(State(event.from_state(), colors), " -> ",
                      State(event.to_state(), colors));
}

std::string Tail(const v1::Event& event) {
  const int lines = event.stderr_tail_size();
  const int first = std::max(lines - kMaxTailLinesShown, 0);
  std::string text;
  if (first > 0) {
    absl::StrAppend(&text, kTailIndent, "(earlier lines: ", first,
                    "; see: --output json)\n");
  }
  for (int i = first; i < lines; ++i) {
    absl::StrAppend(&text, kTailIndent, OneLine(event.stderr_tail(i)), "\n");
  }
  return text;
}

}  // namespace

std::string EventText(const v1::Event& event, absl::TimeZone zone,
                      bool colors) {
  const std::string time =
      absl::FormatTime("%Y-%m-%dT%H:%M:%E3S%Ez",
                       absl::FromUnixMicros(event.time_unix_us()), zone);
  const std::string text =
      event.text().empty() ? "" : absl::StrCat(": ", OneLine(event.text()));
  return absl::StrCat(time, " ", Mark(event.severity(), colors), " ",
                      Subject(event), " ", What(event, colors), text, "\n",
                      Tail(event));
}

}  // namespace apm::ctl
